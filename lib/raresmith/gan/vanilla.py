"""The GAN of Goodfellow et al. 2014 (arXiv:1406.2661), its generator's loss the one that does not saturate."""

from typing import ClassVar

import torch
from torch.nn import functional

from raresmith.gan.model import Batch, Model, Rows, Setting
from raresmith.gan.networks import Architecture, Discriminator, Generator
from raresmith.gan.optimizer import adam

BETAS = (0.5, 0.999)
"""Adam's, of Radford et al. 2016 (arXiv:1511.06434)."""


class Gan(Model):
    """A generator, and a discriminator that tells its rows from real ones."""

    losses: ClassVar = ("discriminator", "generator")

    def __init__(self, setting: Setting, architecture: Architecture, learning_rate: float) -> None:
        d, c = setting.representation.width, setting.condition_width
        with setting.initial_weights():
            self.generator = Generator(architecture, d + c, d)
            self.discriminator = Discriminator(architecture, d + c)
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        super().__init__(setting, networks, lambda network: adam(network.parameters(), learning_rate, BETAS))

    def step(self, batch: Batch) -> torch.Tensor:
        """The discriminator learns from half of the made rows and as many real ones, then the generator from all."""
        made = self.activate(
            self.parallel["generator"](self.latents(batch.smote, batch.slots, batch.step)), batch.slots, batch.step
        )
        made = self.conditioned(made, batch.smote.classes)

        # One pass over real and made rows together: two before one backward is where DDP stumbles.
        logits = self.parallel["discriminator"](torch.cat([self.inputs(batch.real), made[::2].detach()]))
        is_real = (torch.arange(len(logits), device=self.device) < len(batch.real)).to(logits.dtype)
        discriminator_loss = batch.scale * functional.binary_cross_entropy_with_logits(logits, is_real, reduction="sum")
        self.descend("discriminator", discriminator_loss)

        # The bare discriminator, frozen: its gradients are of no use here, and DDP would send them around.
        self.discriminator.requires_grad_(False)
        logits = self.discriminator(made)
        generator_loss = batch.scale * functional.binary_cross_entropy_with_logits(
            logits, torch.ones_like(logits), reduction="sum"
        )
        self.descend("generator", generator_loss)
        self.discriminator.requires_grad_(True)
        return torch.stack([discriminator_loss.detach(), generator_loss.detach()])

    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        return self.activate(self.generator(self.latents(rows, counters)), counters)

    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.discriminator(self.conditioned(made, classes)))
