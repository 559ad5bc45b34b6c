"""Batches as the accounting of differential privacy wants them: every real row is drawn or not, whatever the others."""

import math

import numpy as np
import torch

from raresmith.errors import DataError
from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.batches import StratifiedBatchSampler, parted


class PoissonBatchSampler(StratifiedBatchSampler):
    """As `StratifiedBatchSampler`, but the real rows of a step are a Poisson sample, drawn by `secret`.

    In the mean it has as many rows of each class as that one takes. Each rank draws from its own part of the real rows;
    the sample is the same whatever the number of ranks.

    Attributes
    ----------
    sample_rate
        The largest chance of a row to be in the sample of a step.

    Raises
    ------
    DataError
        If a class has fewer real rows than a step wants.
    """

    def __init__(
        self,
        real: dict[int, int],
        synthetic: dict[int, int],
        *,
        secret: int,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        device: torch.device,
    ) -> None:
        super().__init__(
            real, synthetic, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size, device=device
        )
        self._secret = secret
        total, rates = sum(synthetic.values()), []
        for label, n in real.items():
            wanted = batch_size // 2 * synthetic[label] / total
            if wanted > n:
                raise DataError(
                    f"refine.batch_size = {batch_size} wants {wanted:.1f} real rows of class {label} in a step, but "
                    f"there are {n}; lower refine.batch_size"
                )
            rates.append(wanted / n)
        self.sample_rate = max(rates)
        low, high = self.real_range = parted(sum(real.values()), world_size, rank)
        self._positions = torch.arange(low, high, device=device)
        of_row = np.repeat(np.arange(len(rates)), list(real.values()))[low:high]
        limits = np.array([min(int(rate * 2**63), 2**63 - 1) for rate in rates], dtype=np.int64)[of_row]
        self._limits = torch.from_numpy(limits).to(device)
        self._most = min(high - low, most_drawn(float(np.array(rates)[of_row].sum())))

    def real(self, step: int) -> torch.Tensor:
        """Positions of the sampled rows within `real_range`, then -1; their number is the same in every step."""
        bits = counter_rng.bits(counter_rng.key(self._secret, Stream.REAL, step), self._positions)
        is_drawn = (bits & (2**63 - 1)) < self._limits
        return is_drawn.nonzero_static(size=self._most, fill_value=-1)[:, 0]


def most_drawn(mean: float) -> int:
    """A number of rows that a Poisson sample of `mean` rows exceeds with a chance below e^-50.

    By Bernstein's inequality (1946). The sample is cut there, so that tensors keep their shape: over any training this
    moves probabilities by far less than any δ.
    """
    return math.ceil(mean + 50 / 3 + math.sqrt((50 / 3) ** 2 + 100 * mean))
