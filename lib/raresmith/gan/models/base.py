"""What every model shares: how it reads rows and makes them, which class it is told, its weights and its optimisers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from raresmith.errors import DataError
from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Batch, Rows
from raresmith.gan.models.guarantee import Guarantee
from raresmith.gan.models.networks import GlobalBatchNorm
from raresmith.gan.models.optimizer import adam_state
from raresmith.generators.base import Generator

Latent = Literal["synthetic", "noise"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What a model is made for."""

    representation: Representation
    latent: Latent
    """Whether it starts from SMOTE rows, or from noise."""
    classes: tuple[int, ...]
    """The labels that rows are made of."""
    seed: int
    device: torch.device

    @property
    def condition_width(self) -> int:
        """Inputs that tell the class: none where there is one."""
        return len(self.classes) if len(self.classes) > 1 else 0

    @contextmanager
    def initial_weights(self) -> Iterator[None]:
        """Networks made in this block begin alike on all ranks and devices."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(counter_rng.key(self.seed, Stream.WEIGHTS))
            yield


class Model(ABC):
    """Networks that turn SMOTE rows, or noise, into rows; equal on all ranks for the same seed.

    Where one class is made the networks see features alone; with more, they see the class as well, one-hot.
    """

    spec: ClassVar[type[Generator]]
    """What is known of it without torch."""
    losses: ClassVar[tuple[str, ...]]
    """What the losses that `step` returns are called."""
    trained_alike: ClassVar[bool] = False
    """Whether training is the same for both latents, so that a model of either can start from noise."""
    in_tiles: ClassVar[bool] = False
    """Whether it takes rows in tiles of one size, so that a made row and its score do not depend on how many are made
    at once."""
    eager: ClassVar[tuple[str, ...]] = ()
    """Networks that torch cannot compile."""
    padded: ClassVar[tuple[str, ...]] = ()
    """Weights with infinities where there is nothing: its own `check` looks at them."""
    holds: ClassVar[str] = "no value of any row"
    """What the weights have of the real rows that they were trained on, beside what training leaves in them."""

    guarantee: Guarantee | None = None
    """What training promises of single real rows, if it does."""
    optimizers: dict[str, AdamW]
    """One for each network, once `prepare` has made them."""

    @classmethod
    def build(cls, setting: Setting, parameters: Any, rows: Callable[[], Rows]) -> Self:
        """The model untrained; `parameters` are its spec's own, and `rows` reads real rows, to count them first."""
        return cls(setting, parameters)

    @classmethod
    def rebuild(cls, setting: Setting, parameters: Any, sizes: list[int]) -> Self:
        """A model whose weights are to be loaded, of the `sizes` that one of them had.

        Raises
        ------
        DataError
            If they do not fit the other arguments; the message goes on from the model's place.
        """
        return cls(setting, parameters)

    def __init__(self, setting: Setting, networks: dict[str, nn.Module]) -> None:
        self.representation, self.latent = setting.representation, setting.latent
        self.classes, self.seed, self.device = setting.classes, setting.seed, setting.device
        self.condition_width = setting.condition_width
        self.networks = {name: network.to(self.device) for name, network in networks.items()}
        self.passed: dict[str, nn.Module] = self.networks
        """The networks to train through: as they are, or compiled."""
        self.parallel: dict[str, nn.Module] = self.networks
        """Those to train: as `passed`, or so that all ranks share their gradients."""
        self.precision = torch.float32
        """What the networks compute in while they are trained; what they give, weights and made rows are float32."""

    def prepare(self, steps: int, learning_rate: float) -> None:
        """Make ready for a training of `steps` steps; a model that only makes rows needs none of it."""
        self.optimizers = {name: self.optimizer(network, learning_rate) for name, network in self.networks.items()}

    @abstractmethod
    def optimizer(self, network: Any, learning_rate: float) -> AdamW:
        """One for the parameters of `network`."""

    @property
    def sizes(self) -> list[int]:
        """Those of its tensors that only rows tell, for `rebuild`."""
        return []

    def check(self) -> None:
        """Refuse loaded weights that make no rows, by a DataError as those of `rebuild`."""
        for name, tensor in self.weights().items():
            if name not in self.padded and not tensor.isfinite().all():
                raise DataError(f"has numbers that are not finite in the tensor {name}")

    @property
    def learns_from_smote(self) -> bool:
        """Whether `step` looks at more than the classes of SMOTE rows."""
        return self.latent == "synthetic" and not self.trained_alike

    @abstractmethod
    def step(self, batch: Batch) -> torch.Tensor:
        """Train by one batch; return this rank's part of the losses, of shape (len(losses),)."""

    @abstractmethod
    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        """Made rows (n, width), one for each of `rows`; what is drawn belongs to `counters`."""

    def completed(self, rows: Rows, counters: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """As `generated`, with the columns where `given` (n_columns, bool) as in `rows`: of a model that can."""
        raise NotImplementedError(f"{self.spec.name} makes whole rows only")

    @abstractmethod
    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """How real the model takes each row (n, width) to be, in [0, 1]."""

    def inputs(self, rows: Rows) -> torch.Tensor:
        """What the networks see of `rows`: (n, width + classes)."""
        return self.conditioned(self.representation.join(rows.numbers, rows.positions), rows.classes)

    def conditioned(self, rows: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """`rows` with the class beside them, where there are several."""
        if not self.condition_width:
            return rows
        return torch.cat([rows, functional.one_hot(classes, self.condition_width).to(rows.dtype)], dim=1)

    def latents(self, rows: Rows, counters: torch.Tensor, step: int | None = None) -> torch.Tensor:
        """What the generator starts from: `rows`, or noise of the same width that belongs to `counters`.

        In training the counters are slots of the batch of `step`, in generation (no step) they are row ids.
        """
        if self.latent == "synthetic":
            return self.inputs(rows)
        return self.conditioned(self.noise(counters, self.representation.width, step), rows.classes)

    def noise(self, counters: torch.Tensor, width: int, step: int | None = None) -> torch.Tensor:
        """Standard normal numbers (n, width) that belong to `counters`."""
        return counter_rng.normal(self._key(Stream.LATENT, step), counters, width)

    def activate(self, raw: torch.Tensor, counters: torch.Tensor, step: int | None = None) -> torch.Tensor:
        """Raw output of a network as rows; categories are drawn by `counters` as in `latents`."""
        sizes = sum(self.representation.sizes)
        gumbel = counter_rng.gumbel(self._key(Stream.CATEGORY, step), counters, sizes) if sizes else None
        return self.representation.activate(raw, gumbel)

    def _key(self, stream: Stream, step: int | None) -> int:
        return counter_rng.key(self.seed, stream, 0 if step is None else step + 1)

    def compile(self) -> None:
        """Train through compiled networks; rows are made by the networks as they are."""
        for module in (module for network in self.networks.values() for module in network.modules()):
            if isinstance(module, GlobalBatchNorm):
                # Compiled with the rest, two ranks do not train as one does (seen with torch 2.15).
                module.sum_over_ranks = torch.compiler.disable(module.sum_over_ranks)  # type: ignore[method-assign]
        self.passed = {
            name: network if name in self.eager else torch.compile(network) for name, network in self.networks.items()
        }
        self.parallel = self.passed

    def distribute(self) -> None:
        """Train on all ranks of the process group."""
        # Buffers are the same on all ranks by GlobalBatchNorm; sending them around would only cost.
        self.parallel = {
            name: DistributedDataParallel(network, forward_sync_buffers=False) for name, network in self.passed.items()
        }

    def autocast(self) -> AbstractContextManager[Any]:
        """Passes through the networks in this block compute in `precision`."""
        if self.precision == torch.float32:
            return nullcontext()
        context: AbstractContextManager[Any] = torch.autocast(self.device.type, self.precision)
        return context

    def descend(
        self, name: str, batch: Batch, loss_of: Callable[[Batch], torch.Tensor], longest: float = math.inf
    ) -> torch.Tensor:
        """One step of the network called `name` down the sum of `loss_of` over the parts of `batch`; return it.

        A loss may have several terms, of shape (terms,). The gradient is cut to the norm `longest`.
        """
        network, losses = self.parallel[name], []
        for number, part in enumerate(batch.parts(), start=1):
            # The ranks share what the parts have added up to, with the last one.
            waits = number < len(batch.cuts) and isinstance(network, DistributedDataParallel)
            with network.no_sync() if waits else nullcontext():
                with self.autocast():
                    loss = loss_of(part)
                loss.sum().backward()
            losses.append(loss.detach())
        if longest < math.inf:
            nn.utils.clip_grad_norm_(self.networks[name].parameters(), longest)
        self.optimizers[name].step()
        self.optimizers[name].zero_grad()
        return torch.stack(losses).sum(0)

    def finish(self) -> None:  # noqa: B027
        """Do what is left after the last step: for most models nothing."""

    @contextmanager
    def finished(self) -> Iterator[None]:
        """The model as `finish` would leave it now, ready to make rows; afterwards it trains on as if nothing were."""
        parameters = [p.detach() for network in self.networks.values() for p in network.parameters()]
        before = [parameter.clone() for parameter in parameters]
        self.finish()
        self.train(False)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, before)
            self.train(True)

    def train(self, mode: bool) -> None:
        """Let the networks train, or make rows."""
        for network in self.networks.values():
            network.train(mode)

    def weights(self) -> dict[str, torch.Tensor]:
        """All weights and running statistics by name, as they are and not copied."""
        return {
            f"{name}.{key}": tensor
            for name, network in self.networks.items()
            for key, tensor in network.state_dict().items()
        }

    def state(self) -> dict[str, torch.Tensor]:
        """The weights and what the optimisers know, as they are and not copied."""
        parts = [self.weights(), *(adam_state(name, optimizer) for name, optimizer in self.optimizers.items())]
        return {name: tensor for part in parts for name, tensor in part.items()}
