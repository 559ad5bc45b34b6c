"""`[refine]`: the model and how its trainer is started."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Lt

from raresmith.config.parameters import Choice
from raresmith.config.section import Finite, Natural, Positive, Section
from raresmith.errors import ConfigError


class PrivacyConfig(Section):
    """`[refine.privacy]`: training that is differentially private for each train row (docs/models.md)."""

    section: ClassVar[str] = "refine.privacy"

    epsilon: Annotated[Finite, Gt(0)]
    """Most that training may spend, above 0; the noise is as large as the steps and the batch size then ask for."""
    delta: Annotated[float, Gt(0), Lt(1)] = 1e-5
    """Chance that `epsilon` does not hold; above 0, and less than one by the real rows that are trained on."""
    max_grad_norm: Annotated[Finite, Gt(0)] = 1.0
    """Length to which the gradient of each row is cut, above 0; the noise grows with it."""


class RefineConfig(Choice):
    """`[refine]`: the model and how its trainer is started."""

    section: ClassVar[str] = "refine"

    chooser: ClassVar[str] = "model"
    registry: ClassVar[str] = "raresmith.generators.registry:GENERATORS"

    model: str = "redraw"
    """The generator; its own keys stand beside those that are shared (docs/models.md)."""
    latent: Literal["synthetic", "noise"] = "synthetic"
    """What the generator starts from: SMOTE rows or standard normal noise."""
    steps: Positive = 500
    """Training steps, each one discriminator and one generator update; at least 1."""
    batch_size: int = 128
    """Rows of one step over all ranks: half real, half fake in the discriminator's; even, at least 4."""
    accumulate: Positive = 1
    """Parts that each process cuts its rows of a step into, one in memory at a time, their gradients added up; at least
    1. BatchNorm, in the generators of gan and wgan_gp, then looks at a part of the batch at a time."""
    learning_rate: Annotated[float, Gt(0), Lt(1)] | None = None
    """Adam's step size; in (0, 1). Without it the generator's own."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the networks compute in while they are trained (mixed precision); weights and made rows are float32."""
    compile: bool = False
    """Whether the networks are trained compiled (torch.compile), which on a CPU takes a C++ compiler; without it
    training goes on uncompiled. Not all generators can."""
    validate_every: Natural = 100
    """Steps between two looks at refined rows by the validation rows; the weights of the best look are kept
    (docs/models.md). 0 looks never and keeps those of the last step."""
    patience: Positive = 5
    """Looks without a better one after which training stops; at least 1."""
    checkpoint_every: Positive = 500
    """Steps between checkpoints; at least 1."""
    nproc_per_node: Positive = 1
    """Processes, which torchrun starts on this machine where they are several, or jobs/refine_on_executors.py on a
    cluster's; at least 1."""
    max_restarts: Natural = 3
    """Times the processes are started again after one died; at least 0."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA (nccl) where there is one, else CPU (gloo)."""
    privacy: PrivacyConfig | None = None
    """`[refine.privacy]`; without it training is not differentially private."""

    def mistakes(self) -> Iterator[ConfigError]:
        """What the model cannot do, and what does not go with privacy."""
        if self.batch_size < 4 or self.batch_size % 2:
            yield ConfigError(f"refine.batch_size must be even and at least 4, got {self.batch_size}")
        if self.compile and not self.kind.can_compile:
            yield ConfigError(
                f'refine.compile = true does not go with refine.model = "{self.model}", of which each step takes other '
                "columns; leave it out"
            )
        if self.privacy is not None:
            yield from self._not_private()

    def _not_private(self) -> Iterator[ConfigError]:
        """What would look at real rows beside the noise."""
        private = " or ".join(f'"{name}"' for name, kind in self.available().items() if kind.can_train_privately())
        only = f"only {private} learns from real rows by noisy gradients"
        refused = {
            f'refine.model = "{self.model}", of which {only}; set that': not self.kind.can_train_privately(),
            'refine.latent = "synthetic", for synthetic rows are made of real ones; set "noise"': (
                self.latent == "synthetic"
            ),
            f"refine.accumulate = {self.accumulate}, for a sample has no fixed size to be cut; set 1": (
                self.accumulate > 1
            ),
            f'refine.precision = "{self.precision}", for gradients are cut exactly; set "float32"': (
                self.precision != "float32"
            ),
            "refine.compile = true, for the gradient of each row is taken layer by layer; set false": self.compile,
            f"refine.validate_every = {self.validate_every}, for looks choose weights by real rows; set 0": (
                self.validate_every > 0
            ),
        }
        for found, is_found in refused.items():
            if is_found:
                yield ConfigError(f"refine.privacy does not go with {found}")

    @property
    def step_size(self) -> float:
        """`learning_rate`, or the model's own."""
        if self.learning_rate is not None:
            return self.learning_rate
        return float(self.kind.learning_rate)
