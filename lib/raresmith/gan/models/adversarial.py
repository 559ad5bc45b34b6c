"""What adversarial models share: a generator, and a network that judges its rows."""

from typing import Any, ClassVar

import torch

from raresmith.gan.data.rows import Batch, Rows
from raresmith.gan.models.base import Model, Setting
from raresmith.gan.models.networks import Discriminator, Generator
from raresmith.gan.models.optimizer import adam
from raresmith.generators.gan import Gan

Parameters = Gan.Parameters


class Adversarial(Model):
    """A generator, and a judge of its rows; how they learn from each other is the subclass's `step`."""

    judged_by: ClassVar[str]
    """What the paper calls the judge."""
    betas: ClassVar[tuple[float, float]]
    """Adam's."""
    judge_has_last_bias: ClassVar[bool] = True

    def __init__(self, setting: Setting, parameters: Parameters) -> None:
        d, c = setting.representation.width, setting.condition_width
        with setting.initial_weights():
            self.generator = Generator(parameters.architecture, d + c, d)
            self.judge = Discriminator(parameters.architecture, d + c, output_bias=self.judge_has_last_bias)
        super().__init__(setting, {"generator": self.generator, self.judged_by: self.judge})

    def optimizer(self, network: Any, learning_rate: float) -> torch.optim.AdamW:
        return adam(network.parameters(), learning_rate, self.betas)

    def made(self, part: Batch, trains_generator: bool) -> torch.Tensor:
        """The part's made rows as the judge sees them."""
        with torch.set_grad_enabled(trains_generator):
            # The bare generator where it learns nothing: DDP expects every pass to be followed by one backward.
            generator = (self.parallel if trains_generator else self.passed)["generator"]
            raw = generator(self.latents(part.smote, part.slots, part.step))
            return self.conditioned(self.activate(raw, part.slots, part.step), part.smote.classes)

    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        return self.activate(self.generator(self.latents(rows, counters)), counters)

    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """The judge's logits brought to [0, 1]."""
        return torch.sigmoid(self.judge(self.conditioned(made, classes)))
