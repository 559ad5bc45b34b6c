"""The Wasserstein GAN with gradient penalty of Gulrajani et al. 2017 (arXiv:1704.00028)."""

from functools import lru_cache
from typing import ClassVar

import torch

from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.rows import Batch
from raresmith.gan.models.adversarial import Adversarial
from raresmith.generators import wgan_gp

PENALTY = 10.0
CRITIC_STEPS = 5
"""Steps of the critic to one of the generator; these and Adam's betas are the paper's."""


class WganGp(Adversarial):
    """A generator, and a critic whose mean over real and over made rows differ by about their Wasserstein distance."""

    spec: ClassVar = wgan_gp.WganGp
    losses: ClassVar = ("critic", "generator")
    judged_by: ClassVar = "critic"
    betas: ClassVar = (0.0, 0.9)
    # torch does not compile what is differentiated twice, as the penalty is.
    eager: ClassVar = ("critic",)
    # It cancels in the loss, so that Adam would move it by rounding errors alone.
    judge_has_last_bias: ClassVar = False

    def step(self, batch: Batch) -> torch.Tensor:
        """One step of the critic, and every CRITIC_STEPS steps one of the generator."""
        trains_generator = (batch.step + 1) % CRITIC_STEPS == 0
        # As those of `Gan`.
        whole, made = not batch.cuts, lru_cache(maxsize=1)(self.made)

        def critic_loss(part: Batch) -> torch.Tensor:
            real = self.inputs(part.real)
            fake = made(part, trains_generator=trains_generator and whole)[::2].detach()
            share = counter_rng.uniform(counter_rng.key(self.seed, Stream.MIX, part.step), part.slots[::2], 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            # One pass over all, as DDP wants it; the penalty looks at the last third.
            values = self.parallel["critic"](torch.cat([real, fake, between]))
            of_real, of_fake, of_between = values.split(len(real))
            (slopes,) = torch.autograd.grad(of_between.sum(), between, create_graph=True)
            penalty = PENALTY * (slopes.norm(dim=1) - 1).square()
            return 2 * part.scale * (of_fake - of_real + penalty).sum()

        def generator_loss(part: Batch) -> torch.Tensor:
            return -part.scale * self.judge(made(part, trains_generator=trains_generator)).sum()

        of_critic = self.descend("critic", batch, critic_loss)
        self.judge.requires_grad_(False)
        if trains_generator:
            of_generator = self.descend("generator", batch, generator_loss)
        else:
            with self.autocast():
                of_generator = torch.stack([generator_loss(part) for part in batch.parts()]).sum(0)
        self.judge.requires_grad_(True)
        return torch.stack([of_critic, of_generator])
