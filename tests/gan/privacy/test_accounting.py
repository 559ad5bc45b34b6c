import math
import sys

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant
from scipy.stats import norm

from raresmith.config import PrivacyConfig
from raresmith.errors import ConfigError
from raresmith.gan.privacy.accounting import ORDERS, make_guarantee


@pytest.mark.parametrize(("epsilon", "delta", "rate", "steps"), [(3.0, 1e-5, 0.01, 2000), (1.0, 1e-6, 0.1, 300)])
def test_the_epsilon_is_what_the_accountants_count_for_this_noise(
    epsilon: float, delta: float, rate: float, steps: int
) -> None:
    made = make_guarantee(PrivacyConfig(epsilon=epsilon, delta=delta, max_grad_norm=0.5), rate, steps)
    rdp, prv = RDPAccountant(), PRVAccountant()
    for _ in range(steps):
        rdp.step(noise_multiplier=made.noise_multiplier, sample_rate=rate)
        prv.step(noise_multiplier=made.noise_multiplier, sample_rate=rate)
    assert 0.98 * epsilon <= made.epsilon <= epsilon
    assert made.epsilon == pytest.approx(rdp.get_epsilon(delta, alphas=ORDERS), rel=1e-9)
    # Another bound of the same, a tighter one.
    assert 0.85 * made.epsilon < prv.get_epsilon(delta) < made.epsilon
    assert (made.delta, made.max_grad_norm, made.sample_rate, made.steps) == (delta, 0.5, rate, steps)


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 2.0, 8.0])
@pytest.mark.parametrize("steps", [1, 25])
def test_without_sampling_the_noise_is_that_of_the_gaussian_mechanism(epsilon: float, steps: int) -> None:
    made = make_guarantee(PrivacyConfig(epsilon=epsilon), 1.0, steps)
    # Steps are one with a deviation smaller by their root.
    sigma = made.noise_multiplier / math.sqrt(steps)

    def delta(epsilon: float) -> float:
        """Balle, Wang 2018 (arXiv:1805.06530), theorem 8: no smaller one holds."""
        above, below = norm.cdf(0.5 / sigma - epsilon * sigma), norm.cdf(-0.5 / sigma - epsilon * sigma)
        return float(above - math.exp(epsilon) * below)

    assert delta(made.epsilon) <= 1e-5 < delta(0.85 * made.epsilon)


def test_without_opacus_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(ConfigError, match=r"not installed; install raresmith\[dp\]"):
        make_guarantee(PrivacyConfig(epsilon=1.0), 0.1, 10)


def test_a_budget_that_no_noise_keeps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no noise keeps refine.privacy.epsilon = 0.001 .* lower refine.steps"):
        make_guarantee(PrivacyConfig(epsilon=0.001), 1.0, 1000)
