"""Both networks with what they need to read rows and to make them."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from raresmith.gan import draws
from raresmith.gan.draws import Stream
from raresmith.gan.networks import Architecture, Discriminator, Generator
from raresmith.gan.representation import Representation

Latent = Literal["synthetic", "noise"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows on the device: numbers and inputs of categories as `Representation.split` gives them, and the class as a
    position among the made classes."""

    numbers: torch.Tensor
    positions: torch.Tensor
    classes: torch.Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def to(self, device: torch.device) -> "Rows":
        return Rows(self.numbers.to(device), self.positions.to(device), self.classes.to(device))

    def take(self, indices: torch.Tensor) -> "Rows":
        return Rows(self.numbers[indices], self.positions[indices], self.classes[indices])


class Gan:
    """A generator and a discriminator of the same preset, on one device, equal on all ranks for the same seed.

    Where one class is made the networks see features alone; with more, both see the class as well, one-hot.
    """

    def __init__(
        self,
        representation: Representation,
        *,
        architecture: Architecture,
        latent: Latent,
        classes: tuple[int, ...],
        seed: int,
        device: torch.device,
    ) -> None:
        self.representation, self.latent, self.classes, self.seed = representation, latent, classes, seed
        self.device = device
        self.condition_width = len(classes) if len(classes) > 1 else 0
        d = representation.width
        # Initial weights come from the CPU's generator, so that they do not depend on the device.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws.key(seed, Stream.WEIGHTS))
            self.generator = Generator(architecture, d + self.condition_width, d).to(device)
            self.discriminator = Discriminator(architecture, d + self.condition_width).to(device)

    def inputs(self, rows: Rows) -> torch.Tensor:
        """What the discriminator sees of `rows`: (n, width + classes)."""
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
        width = self.representation.width
        return self.conditioned(draws.normal(self._key(Stream.LATENT, step), counters, width), rows.classes)

    def activate(self, raw: torch.Tensor, counters: torch.Tensor, step: int | None = None) -> torch.Tensor:
        """The generator's raw output as rows; categories are drawn by `counters` as in `latents`."""
        sizes = sum(self.representation.sizes)
        gumbel = draws.gumbel(self._key(Stream.CATEGORY, step), counters, sizes) if sizes else None
        return self.representation.activate(raw, gumbel)

    def _key(self, stream: Stream, step: int | None) -> int:
        return draws.key(self.seed, stream, 0 if step is None else step + 1)

    def weights(self) -> dict[str, torch.Tensor]:
        """All weights and running statistics by name, as they are and not copied."""
        return {
            f"{name}.{key}": tensor
            for name, network in (("generator", self.generator), ("discriminator", self.discriminator))
            for key, tensor in network.state_dict().items()
        }
