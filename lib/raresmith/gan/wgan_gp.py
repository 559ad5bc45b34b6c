"""The Wasserstein GAN with gradient penalty of Gulrajani et al. 2017 (arXiv:1704.00028)."""

from typing import ClassVar

import torch

from raresmith.gan import draws
from raresmith.gan.draws import Stream
from raresmith.gan.model import Batch, Model, Rows, Setting
from raresmith.gan.networks import Architecture, Discriminator, Generator
from raresmith.gan.optimizer import adam

BETAS = (0.0, 0.9)
PENALTY = 10.0
CRITIC_STEPS = 5
"""Steps of the critic to one of the generator; all three are the paper's."""


class WganGp(Model):
    """A generator, and a critic whose mean over real and over made rows differ by about their Wasserstein distance."""

    losses: ClassVar = ("critic", "generator")

    def __init__(self, setting: Setting, architecture: Architecture, learning_rate: float) -> None:
        d, c = setting.representation.width, setting.condition_width
        with setting.initial_weights():
            self.generator = Generator(architecture, d + c, d)
            # Without a last bias: it cancels in the loss, so that Adam would move it by rounding errors alone.
            self.critic = Discriminator(architecture, d + c, output_bias=False)
        networks = {"generator": self.generator, "critic": self.critic}
        super().__init__(setting, networks, lambda network: adam(network.parameters(), learning_rate, BETAS))

    def step(self, batch: Batch) -> torch.Tensor:
        """One step of the critic, and every CRITIC_STEPS steps one of the generator."""
        trains_generator = (batch.step + 1) % CRITIC_STEPS == 0
        with torch.set_grad_enabled(trains_generator):
            generator = self.parallel["generator"] if trains_generator else self.generator
            made = self.activate(generator(self.latents(batch.smote, batch.slots, batch.step)), batch.slots, batch.step)
            made = self.conditioned(made, batch.smote.classes)

        real, fake = self.inputs(batch.real), made[::2].detach()
        share = draws.uniform(draws.key(self.seed, Stream.MIX, batch.step), batch.slots[::2], 1)
        between = (share * real + (1 - share) * fake).requires_grad_()
        # One pass over all, as DDP wants it; the penalty looks at the last third.
        values = self.parallel["critic"](torch.cat([real, fake, between]))
        of_real, of_fake, of_between = values.split(len(real))
        (slopes,) = torch.autograd.grad(of_between.sum(), between, create_graph=True)
        penalty = PENALTY * (slopes.norm(dim=1) - 1).square()
        critic_loss = 2 * batch.scale * (of_fake - of_real + penalty).sum()
        self.descend("critic", critic_loss)

        self.critic.requires_grad_(False)
        generator_loss = -batch.scale * self.critic(made).sum()
        if trains_generator:
            self.descend("generator", generator_loss)
        self.critic.requires_grad_(True)
        return torch.stack([critic_loss.detach(), generator_loss.detach()])

    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        return self.activate(self.generator(self.latents(rows, counters)), counters)

    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """A critic's value has no zero: the sigmoid only brings it to [0, 1], in the same order."""
        return torch.sigmoid(self.critic(self.conditioned(made, classes)))
