"""The GAN whose discriminator learns from real rows by DP-SGD (Abadi et al. 2016, arXiv:1607.00133).

The generator sees real rows through the discriminator alone, so what protects that one protects both (Xie et al. 2018,
arXiv:1802.06739).
"""

import os
from collections.abc import Callable
from typing import Any, ClassVar

import torch

from raresmith.config import RefineConfig
from raresmith.errors import ConfigError
from raresmith.gan import counter_rng
from raresmith.gan.artifacts.checkpoint import Saved
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.batches import StratifiedBatchSampler
from raresmith.gan.data.rows import Batch
from raresmith.gan.models.gan import Gan
from raresmith.gan.privacy.accounting import make_guarantee
from raresmith.gan.privacy.clipping import clipped_sum
from raresmith.gan.privacy.poisson import PoissonBatchSampler
from raresmith.gan.ranks import Ranks


class PrivateGan(Gan):
    """`Gan`, trained by Poisson samples of the real rows, cut gradients and noise; it makes rows as `Gan` does."""

    # The loss of the real rows would tell of them without noise.
    losses: ClassVar = ("discriminator of made rows", "generator")

    def protect(self, ranks: Ranks, settings: RefineConfig, batches: PoissonBatchSampler, secret: torch.Tensor) -> None:
        """Learn the noise that all ranks add for `settings` on `batches`; `secret` is what they draw it by."""
        assert settings.privacy is not None
        self._ranks, self._batch_size, self._secret = ranks, settings.batch_size, secret
        self._noise_seed = int(secret)
        self.guarantee = make_guarantee(settings.privacy, batches.sample_rate, settings.steps)
        # The first rank's: the search for it may round otherwise on another machine.
        sigma = ranks.broadcast(torch.tensor(self.guarantee.noise_multiplier, dtype=torch.float64).to(ranks.device))
        self._deviation = float(sigma) * settings.privacy.max_grad_norm

    def train_discriminator(self, batch: Batch, made: Callable[[Batch], torch.Tensor]) -> torch.Tensor:
        """A step of DP-SGD; made rows are no secret, but cut as real ones are, or the discriminator would heed them
        more. Return this rank's part of the loss of made rows."""
        assert self.guarantee is not None
        fake = made(batch)[::2].detach()
        rows = torch.cat([self.inputs(batch.real), fake])
        is_real = torch.arange(len(rows), device=self.device) < len(batch.real)
        counts = torch.cat([batch.is_drawn, is_real.new_ones(len(fake))])
        gradient, losses = clipped_sum(self.judge, rows, is_real.to(rows.dtype), counts, self.guarantee.max_grad_norm)

        gradient = self._ranks.all_reduce(gradient).double()
        places = torch.arange(len(gradient), device=self.device)
        noise = counter_rng.fine_normal(counter_rng.key(self._noise_seed, Stream.NOISE, batch.step), places)
        gradient = (gradient + self._deviation * noise) / self._batch_size
        parameters = list(self.judge.parameters())
        for parameter, part in zip(parameters, gradient.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter).to(parameter.dtype)
        self.optimizers["discriminator"].step()
        self.optimizers["discriminator"].zero_grad()
        return 2 * batch.scale * losses[len(batch.real) :].sum()

    def state(self) -> dict[str, torch.Tensor]:
        """As `Model.state`, and the secret: a run that goes on adds the noise that it would have added."""
        return {**super().state(), _SECRET: self._secret}


_SECRET = "secret"


def make_batch_sampler(
    ranks: Ranks,
    settings: RefineConfig,
    model: Any,
    real: dict[int, int],
    synthetic: dict[int, int],
    saved: Saved | None,
) -> StratifiedBatchSampler:
    """The batches that `model` learns from, given the rows of each class; a private one is protected for them, by its
    `protect`, as that of `PrivateGan`.

    Raises
    ------
    ConfigError, DataError
        If a batch cannot be drawn so, or the guarantee would be none.
    """
    shares: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "seed": model.seed,
        "rank": ranks.rank,
        "world_size": ranks.world_size,
        "device": ranks.device,
    }
    if settings.privacy is None:
        return StratifiedBatchSampler(real, synthetic, accumulate=settings.accumulate, **shares)
    n = sum(real.values())
    if settings.privacy.delta * n >= 1:
        raise ConfigError(
            f"refine.privacy.delta = {settings.privacy.delta} allows a training that shows one of its {n} real rows; "
            f"set it below {1 / n:.1g}"
        )
    # Not run.random_state, which the card names: who can draw the noise again can take it away.
    secret = saved[0][_SECRET] if saved else torch.tensor(int.from_bytes(os.urandom(8), signed=True))
    secret = ranks.broadcast(secret.to(ranks.device))
    batches = PoissonBatchSampler(real, synthetic, secret=int(secret), **shares)
    model.protect(ranks, settings, batches, secret)
    return batches
