"""The GAN of Goodfellow et al. 2014 (arXiv:1406.2661), its generator's loss the one that does not saturate."""

from typing import ClassVar

import torch
from torch.nn import functional

from raresmith.gan.adversarial import Adversarial
from raresmith.gan.model import Batch


class Gan(Adversarial):
    """A generator, and a discriminator that tells its rows from real ones."""

    losses: ClassVar = ("discriminator", "generator")
    judged_by: ClassVar = "discriminator"
    betas: ClassVar = (0.5, 0.999)
    """Of Radford et al. 2016 (arXiv:1511.06434)."""

    def step(self, batch: Batch) -> torch.Tensor:
        """The discriminator learns from half of the made rows and as many real ones, then the generator from all."""
        made = self.made(batch, self.parallel["generator"])
        discriminator_loss = self.train_discriminator(batch, made[::2].detach())

        # The bare discriminator, frozen: its gradients are of no use here, and DDP would send them around.
        self.judge.requires_grad_(False)
        logits = self.judge(made)
        generator_loss = batch.scale * functional.binary_cross_entropy_with_logits(
            logits, torch.ones_like(logits), reduction="sum"
        )
        self.descend("generator", generator_loss)
        self.judge.requires_grad_(True)
        return torch.stack([discriminator_loss, generator_loss.detach()])

    def train_discriminator(self, batch: Batch, fake: torch.Tensor) -> torch.Tensor:
        """Teach the discriminator to tell the batch's real rows from `fake`; return this rank's part of its loss."""
        # One pass over real and made rows together: two before one backward is where DDP stumbles.
        logits = self.parallel["discriminator"](torch.cat([self.inputs(batch.real), fake]))
        is_real = (torch.arange(len(logits), device=self.device) < len(batch.real)).to(logits.dtype)
        loss = batch.scale * functional.binary_cross_entropy_with_logits(logits, is_real, reduction="sum")
        self.descend("discriminator", loss)
        return loss.detach()
