"""The GAN of Goodfellow et al. 2014 (arXiv:1406.2661), its generator's loss the one that does not saturate."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import ClassVar

import torch
from torch.nn import functional

from raresmith.gan.data.rows import Batch
from raresmith.gan.models.adversarial import Adversarial
from raresmith.generators import gan


class Gan(Adversarial):
    """A generator, and a discriminator that tells its rows from real ones."""

    spec: ClassVar = gan.Gan
    losses: ClassVar = ("discriminator", "generator")
    judged_by: ClassVar = "discriminator"
    betas: ClassVar = (0.5, 0.999)
    """Of Radford et al. 2016 (arXiv:1511.06434)."""

    def step(self, batch: Batch) -> torch.Tensor:
        """The discriminator learns from half of the made rows and as many real ones, then the generator from all."""
        # The rows of a whole batch are made once for both; those of parts twice, to hold one part at a time.
        made = lru_cache(maxsize=1)(self.made)

        def loss(part: Batch) -> torch.Tensor:
            logits = self.passed[self.judged_by](made(part, trains_generator=True))
            is_real = torch.ones_like(logits)
            return part.scale * functional.binary_cross_entropy_with_logits(logits, is_real, reduction="sum")

        of_discriminator = self.train_discriminator(batch, partial(made, trains_generator=not batch.cuts))
        # The bare discriminator, frozen: its gradients are of no use here, and DDP would send them around.
        self.judge.requires_grad_(False)
        of_generator = self.descend("generator", batch, loss)
        self.judge.requires_grad_(True)
        return torch.stack([of_discriminator, of_generator])

    def train_discriminator(self, batch: Batch, made: Callable[[Batch], torch.Tensor]) -> torch.Tensor:
        """Teach the discriminator to tell real rows from those that are `made`; return this rank's part of its loss."""

        def loss(part: Batch) -> torch.Tensor:
            # One pass over real and made rows together: two before one backward is where DDP stumbles.
            logits = self.parallel["discriminator"](torch.cat([self.inputs(part.real), made(part)[::2].detach()]))
            is_real = (torch.arange(len(logits), device=self.device) < len(part.real)).to(logits.dtype)
            return part.scale * functional.binary_cross_entropy_with_logits(logits, is_real, reduction="sum")

        return self.descend("discriminator", batch, loss)
