import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from raresmith.errors import DataError
from raresmith.gan.privacy.poisson import PoissonBatchSampler, most_drawn

CPU = torch.device("cpu")
REAL, SYNTHETIC = {0: 40, 2: 400}, {0: 300, 2: 100}


def poisson(
    rank: int = 0, world_size: int = 1, secret: int = 5, seed: int = 1, batch_size: int = 32
) -> PoissonBatchSampler:
    return PoissonBatchSampler(
        REAL, SYNTHETIC, secret=secret, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size, device=CPU
    )


def drawn(batches: PoissonBatchSampler, step: int) -> np.ndarray:
    positions = batches.real(step)
    assert not (positions[positions.argmin() :] >= 0).any() or (positions >= 0).all()
    rows: np.ndarray = (positions[positions >= 0] + batches.real_range[0]).numpy()
    return rows


def test_each_row_is_drawn_by_itself_at_the_rate_of_its_class() -> None:
    batches, steps = poisson(), 20_000
    indicators = np.zeros((steps, 440), dtype=bool)
    for step in range(steps):
        indicators[step, drawn(batches, step)] = True
    # Of 16 rows three quarters are of class 0.
    for rows, rate in ((slice(0, 40), 12 / 40), (slice(40, 440), 4 / 400)):
        error = np.sqrt(rate * (1 - rate) / steps)
        assert np.abs(indicators[:, rows].mean(0) - rate).max() < 5 * error
    assert batches.sample_rate == 12 / 40
    # The size varies as that of independent draws.
    sizes = indicators.sum(1)
    assert sizes.mean() == pytest.approx(16, rel=0.01)
    assert sizes.var() == pytest.approx(40 * 0.3 * 0.7 + 400 * 0.01 * 0.99, rel=0.04)
    correlations = np.corrcoef(indicators[:, :40].T)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(steps)


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_any_number_of_ranks_draws_the_same_sample(world_size: int) -> None:
    alone, ranks = poisson(), [poisson(rank, world_size) for rank in range(world_size)]
    for step in range(50):
        assert drawn(alone, step).tolist() == np.concatenate([drawn(rank, step) for rank in ranks]).tolist()


def test_the_secret_draws_and_not_the_seed() -> None:
    samples = [drawn(poisson(secret=a, seed=b), 0).tolist() for a, b in ((5, 1), (5, 2), (6, 1))]
    assert samples[0] == samples[1] != samples[2]


def test_all_steps_have_one_shape() -> None:
    batches = poisson()
    assert {len(batches.real(step)) for step in range(200)} == {most_drawn(16)}
    assert {len(poisson(rank, 16).real(0)) for rank in range(16)} == {27, 28}  # all rows of the rank


@pytest.mark.parametrize(("n", "rate"), [(10**7, 3e-6), (10**6, 1e-3), (1000, 0.5), (100, 0.99), (10**9, 1e-12)])
def test_a_sample_is_longer_than_its_place_with_no_chance_worth_naming(n: int, rate: float) -> None:
    assert binom.sf(most_drawn(n * rate), n, rate) < math.exp(-50)


def test_a_batch_of_more_rows_than_a_class_has_is_refused() -> None:
    with pytest.raises(DataError, match=r"batch_size = 128 wants 48.0 real rows of class 0 .* there are 40; lower"):
        poisson(batch_size=128)
