"""Which rows a rank holds, and which rows make the batch of a step.

Rows are ordered by (class, row_id), which no file layout changes. A batch is a stratified sample: slot s of S draws
from the s-th of S equal parts of that order, so every row is as likely as any other, and a rank that fills slots
[a, b) needs only the rows of those parts. The batch is the same whatever the number of ranks, its shape never changes,
and where rows are fewer than slots they repeat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from raresmith.errors import ConfigError, DataError
from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.hashes import are_at
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Batch, Rows, sent
from raresmith.gan.data.tables import RowSource

MOST_SPREAD = 2**16
"""Rows that every rank reads, whatever its share, to count them."""
_STRETCHES = 64
_AHEAD = 2**13
"""Slots whose rows are drawn at a time, of several steps: a call costs as much for one as for a hundred."""


@dataclass(frozen=True, eq=False)
class RowIndex:
    """The (class, row_id) of all rows of a table in order: 12 bytes a row, the only thing a rank holds of them all."""

    labels: NDArray[np.int32]
    row_ids: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[np.int32], row_ids: NDArray[np.int64], table: str) -> "RowIndex":
        """Sort; DataError where two rows are the same."""
        sorting = np.lexsort((row_ids, labels))
        labels, row_ids = labels[sorting], row_ids[sorting]
        repeated = int(((row_ids[1:] == row_ids[:-1]) & (labels[1:] == labels[:-1])).sum())
        if repeated:
            raise DataError(f"{table} has {repeated} rows whose row_id another row has; run the stage that wrote it")
        return cls(labels, row_ids)

    def __len__(self) -> int:
        return len(self.row_ids)

    def counts(self) -> dict[int, int]:
        """Rows of each class, in the order of the classes."""
        return dict(zip(*(a.tolist() for a in np.unique(self.labels, return_counts=True)), strict=True))

    def classes(self, part: "RowIndex") -> torch.Tensor:
        """The classes of the rows of `part` as positions among all classes here."""
        return torch.from_numpy(np.searchsorted(self._classes, part.labels))

    @cached_property
    def _classes(self) -> NDArray[np.int32]:
        return np.unique(self.labels)

    def part(self, parts: Sequence[slice]) -> "RowIndex":
        """That of the rows at some positions, given in order."""
        return RowIndex(*(np.concatenate([whole[part] for part in parts]) for whole in (self.labels, self.row_ids)))

    def places(self, labels: NDArray[np.int32], row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Positions of rows; None where one of them is not there."""
        places = np.empty(len(labels), np.int64)
        for label in np.unique(labels):
            low, high = np.searchsorted(self.labels, [label, label + 1])
            of_label = labels == label
            places[of_label] = low + np.searchsorted(self.row_ids[low:high], row_ids[of_label])
        return places if are_at(self.row_ids, places, row_ids).all() else None

    def condition(self, low: int, high: int) -> str:
        """SQL condition of the rows at positions [low, high)."""
        parts = []
        for label in np.unique(self.labels[low:high]):
            ids = self.row_ids[low:high][self.labels[low:high] == label]
            parts.append(f"(label = {label} AND row_id BETWEEN {ids[0]} AND {ids[-1]})")
        return " OR ".join(parts) or "false"


def read_row_index(source: RowSource) -> RowIndex:
    """The index of the rows of `source`."""
    columns = source.read(())
    return RowIndex.of(columns["label"].astype(np.int32), columns["row_id"].astype(np.int64), source.table.table_uri)


def read_rows(
    source: RowSource, index: RowIndex, low: int, high: int, representation: Representation
) -> tuple[Rows, NDArray[np.int64]]:
    """The rows of `source` at positions [low, high) of its `index`, and their ids.

    Only these rows are kept; Delta skips the files whose statistics rule them out.
    """
    return read_stretches(source, index, [slice(low, high)], representation)


def read_spread(source: RowSource, index: RowIndex, representation: Representation) -> Rows:
    """At most MOST_SPREAD rows of `source`, in stretches at equal distances in `index`: the same on all ranks."""
    n, stretch = len(index), MOST_SPREAD // _STRETCHES
    parts = [slice(0, n)]
    if n > MOST_SPREAD:
        parts = [slice(start, start + stretch) for start in (np.arange(_STRETCHES) * n // _STRETCHES).tolist()]
    return read_stretches(source, index, parts, representation)[0]


def read_stretches(
    source: RowSource, index: RowIndex, parts: Sequence[slice], representation: Representation
) -> tuple[Rows, NDArray[np.int64]]:
    """As `read_rows`, of several stretches of `index`, one after the other."""
    wanted = index.part(parts)
    numbers = torch.empty(len(wanted), len(representation.numeric))
    positions = torch.empty(len(wanted), len(representation.categorical), dtype=torch.int64)
    for places, *values in scan(source, index, parts, representation):
        numbers[places], positions[places] = values
    return Rows(numbers, positions, index.classes(wanted)), wanted.row_ids


def scan(
    source: RowSource, index: RowIndex, parts: Sequence[slice], representation: Representation
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor, torch.Tensor]]:
    """The rows of `source` at some positions of its `index`, batch by batch as they come, for all at once would take
    several times their size: each one's place among these positions, then numbers and positions as in `Rows`.

    Raises
    ------
    DataError
        If they are no longer those of `index`.
    """
    table, wanted, found = source.table.table_uri, index.part(parts), 0
    condition = " OR ".join(index.condition(part.start, part.stop) for part in parts)
    with source.batches(representation.names, condition) as batches:
        for batch in batches:
            columns = {name: batch[name].to_numpy() for name in batch.schema.names}
            places = wanted.places(columns["label"], columns["row_id"])
            if places is None:
                break
            yield places, *representation.split(columns, table)
            found += len(places)
    if found != len(wanted):
        if source.base is not None and len(source.read((), condition)["row_id"]) == len(wanted):
            raise DataError(
                f"{table} has {len(wanted) - found} rows whose base_row_id is no train row of their class in "
                f"{source.base.table.table_uri}; run oversample again"
            )
        raise DataError(f"{table} gave other rows on a second read; run the stage that wrote it again")


def without_features(index: RowIndex, low: int, high: int) -> Rows:
    """The classes of the rows at positions [low, high): all that a model needs which does not learn from them."""
    nothing = torch.empty(high - low, 0)
    return Rows(nothing, nothing.long(), index.classes(index.part([slice(low, high)])))


def parted(total: int, parts: int, part: int) -> tuple[int, int]:
    """The bounds of one of `parts` parts of range(total) that differ by one at most."""
    return part * total // parts, (part + 1) * total // parts


class StratifiedBatchSampler:
    """The rows of each step's batch, for one rank.

    The real rows follow the classes of the synthetic ones: a class that has a tenth of the synthetic rows has a tenth
    of each batch on both sides, or the discriminator would learn the shares and not the rows.

    Parameters
    ----------
    real, synthetic
        Rows of each class; the classes of `synthetic` are among those of `real`.
    batch_size
        Synthetic rows of a step over all ranks; real rows are half as many.
    accumulate
        Parts that each rank takes its rows in.

    Attributes
    ----------
    half
        This rank's real rows of a step; its synthetic rows are twice as many.
    real_range, smote_range
        Positions [low, high) in the two orders that this rank's slots draw from.
    scale
        As that of a `Batch`.
    cuts
        Likewise. The slot says which part a row is in, so that the same rows are together in a part
        whatever the number of ranks.

    Raises
    ------
    ConfigError
        If there are more ranks, or more parts of a rank's rows, than real rows.
    """

    def __init__(
        self,
        real: dict[int, int],
        synthetic: dict[int, int],
        *,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        device: torch.device,
        accumulate: int = 1,
    ) -> None:
        self._total, self._slots, self._seed = sum(synthetic.values()), batch_size // 2, seed
        self.scale = world_size / batch_size
        if world_size > self._slots:
            raise ConfigError(
                f"refine.batch_size = {batch_size} has {self._slots} real rows for {world_size} processes; "
                f"raise refine.batch_size to at least {2 * world_size} or lower refine.nproc_per_node"
            )
        if self._slots * self._total * max(real.values()) >= 2**63 or self._total > 2**31:
            raise ConfigError(f"{self._total} synthetic rows are too many for batches of {batch_size}; lower either")
        first, last = parted(self._slots, world_size, rank)
        self.half = last - first
        if accumulate > self._slots // world_size:
            raise ConfigError(
                f"refine.accumulate = {accumulate} but a process has {self._slots // world_size} real rows of a batch; "
                f"raise refine.batch_size to at least {2 * world_size * accumulate} or lower refine.accumulate"
            )
        self.real_slots = torch.arange(first, last, device=device)
        self.smote_slots = torch.arange(2 * first, 2 * last, device=device)
        self.cuts: list[tuple[torch.Tensor, torch.Tensor]] = []
        for part in range(accumulate) if accumulate > 1 else ():
            real_rows = torch.arange((part - first) % accumulate, self.half, accumulate, device=device)
            self.cuts.append((real_rows, torch.stack([2 * real_rows, 2 * real_rows + 1], dim=1).flatten()))
        made = np.array(list(synthetic.values()), dtype=np.int64)
        given = np.array([real[label] for label in synthetic], dtype=np.int64)
        starts = np.array([sum(n for other, n in real.items() if other < label) for label in synthetic])
        self._made, self._given, self._starts = (torch.tensor(a, device=device) for a in (made, given, starts))
        # Where each class ends among the slots' numbers, which run from 0 to slots * total.
        self._ends = torch.tensor(np.cumsum(made) * self._slots, device=device)
        edges = torch.tensor([first * self._total, last * self._total - 1], device=device)
        low, high = self._real_position(edges).tolist()
        self.real_range = low, high + 1
        self.smote_range = first * self._total // self._slots, -(-last * self._total // self._slots)
        self._steps = range(0)
        self._ahead = max(1, _AHEAD // batch_size)

    def real(self, step: int) -> torch.Tensor:
        """Positions of this rank's real rows within `real_range`; shape (half,)."""
        self._draw(step)
        return self._real[step - self._steps.start]

    def smote(self, step: int) -> torch.Tensor:
        """Positions of this rank's synthetic rows within `smote_range`; shape (2 * half,)."""
        self._draw(step)
        return self._smote[step - self._steps.start]

    def _draw(self, step: int) -> None:
        """The positions of `step` and of those after it, unless they are there."""
        if step in self._steps:
            return
        self._steps = range(step, step + self._ahead)
        self._real = self._real_position(self._numbers(Stream.REAL, self.real_slots)) - self.real_range[0]
        self._smote = self._numbers(Stream.SYNTHETIC, self.smote_slots) // (2 * self._slots) - self.smote_range[0]

    def _numbers(self, stream: Stream, slots: torch.Tensor) -> torch.Tensor:
        """Of each step and slot a number from those of the slot, which are as many as there are synthetic rows."""
        keys = sent([[counter_rng.key(self._seed, stream, step)] for step in self._steps], slots.device)
        return slots * self._total + counter_rng.below(keys, slots, self._total)

    def _real_position(self, number: torch.Tensor) -> torch.Tensor:
        """Position in the order of real rows of numbers in [0, slots * total): stretched within each class."""
        of = torch.bucketize(number, self._ends, right=True)
        made, given = self._made[of], self._given[of]
        within = number - (self._ends[of] - made * self._slots)
        return self._starts[of] + within * given // (made * self._slots)


class BatchLoader:
    """The batches that `sampler` takes from this rank's rows, those of its `real_range` and `smote_range`."""

    def __init__(self, sampler: StratifiedBatchSampler, real: Rows, smote: Rows) -> None:
        device = sampler.smote_slots.device
        self._sampler, self._real, self._smote = sampler, real.to(device), smote.to(device)

    def batch(self, step: int) -> Batch:
        """That of a step."""
        sampler, real = self._sampler, self._sampler.real(step)
        return Batch(
            step=step,
            real=self._real.take(real),
            is_drawn=real >= 0,
            smote=self._smote.take(sampler.smote(step)),
            slots=sampler.smote_slots,
            scale=sampler.scale,
            cuts=sampler.cuts,
        )
