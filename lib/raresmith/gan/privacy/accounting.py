"""The noise that a promise of differential privacy asks for."""

from typing import TYPE_CHECKING

from raresmith.errors import ConfigError
from raresmith.gan.models.guarantee import Guarantee

if TYPE_CHECKING:
    from raresmith.config import PrivacyConfig

ORDERS = (*(1 + tenths / 10 for tenths in range(1, 100)), *range(12, 64), *(2**i for i in range(6, 11)))
"""Of the Rényi divergences among which the accountant takes the one that says most: Opacus's own, and larger ones for
an ε below one."""


def make_guarantee(privacy: "PrivacyConfig", sample_rate: float, steps: int) -> Guarantee:
    """What `steps` steps of the Poisson-sampled Gaussian mechanism promise with the least noise that keeps the budget.

    The ε is an upper bound by Rényi divergences (Mironov, Talwar, Zhang 2019, arXiv:1908.10530), at most
    `privacy.epsilon` and within 1 % of it. The bound by the privacy random variable (Gopi et al. 2021,
    arXiv:2106.02848) would ask for some 5 % less noise, but takes minutes for many steps or a small δ.

    Raises
    ------
    ConfigError
        If opacus is not installed, or no noise is large enough.
    """
    try:
        from opacus.accountants import RDPAccountant
        from opacus.accountants.utils import get_noise_multiplier
    except ImportError:
        raise ConfigError(
            "refine.privacy needs opacus to count what training spends, and it is not installed; install raresmith[dp]"
        ) from None
    try:
        sigma = get_noise_multiplier(
            target_epsilon=privacy.epsilon,
            target_delta=privacy.delta,
            sample_rate=sample_rate,
            steps=steps,
            epsilon_tolerance=privacy.epsilon / 100,
            accountant="rdp",
            alphas=ORDERS,
        )
    except ValueError:
        raise ConfigError(
            f"no noise keeps refine.privacy.epsilon = {privacy.epsilon} and delta = {privacy.delta} in {steps} "
            "steps; raise them, or lower refine.steps"
        ) from None
    accountant = RDPAccountant()
    accountant.history = [(sigma, sample_rate, steps)]
    epsilon = accountant.get_epsilon(privacy.delta, alphas=ORDERS)
    return Guarantee(
        epsilon=float(epsilon),
        delta=privacy.delta,
        noise_multiplier=float(sigma),
        max_grad_norm=privacy.max_grad_norm,
        sample_rate=sample_rate,
        steps=steps,
    )
