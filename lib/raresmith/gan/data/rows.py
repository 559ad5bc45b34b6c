"""Rows as tensors, and those of a training step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch


def sent(numbers: Sequence[Any], device: torch.device) -> torch.Tensor:
    """Whole `numbers` on the device, without waiting for it: a GPU reads pinned memory in its own time."""
    tensor = torch.tensor(numbers, dtype=torch.int64)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


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


@dataclass(frozen=True, eq=False)
class Batch:
    """This rank's rows of a step."""

    step: int
    real: Rows
    """Of shape (half,)."""
    is_drawn: torch.Tensor
    """Which of `real` belong to the batch: the others fill up a sample whose size varies."""
    smote: Rows
    """Of shape (2 * half,)."""
    slots: torch.Tensor
    """The places of the SMOTE rows in the batch of all ranks: what is drawn for a row belongs to its slot."""
    scale: float
    """What makes a mean of a sum over this rank's rows, once DDP has taken the mean of the ranks: ranks hold unequal
    shares where the batch does not divide. For as many rows as `smote`; twice that for as many as `real`."""
    cuts: Sequence[tuple[torch.Tensor, torch.Tensor]] = ()
    """Of each part that the batch is taken in, which of `real` and of `smote` it has; none where it is taken whole."""

    def parts(self) -> Iterator["Batch"]:
        """The parts, one after the other; what is a sum over rows adds up over them."""
        if not self.cuts:
            yield self
        for real, smote in self.cuts:
            yield replace(
                self,
                real=self.real.take(real),
                is_drawn=self.is_drawn[real],
                smote=self.smote.take(smote),
                slots=self.slots[smote],
                cuts=(),
            )
