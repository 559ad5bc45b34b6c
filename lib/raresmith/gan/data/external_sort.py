"""Rows in pieces that follow their order, by one scan of a table that follows none."""

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from raresmith.gan.data.batches import RowIndex, read_rows, scan
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Rows
from raresmith.gan.data.tables import RowSource

_GATHERED = 2**18
"""Rows that are held before they are parted, so that many of a piece are written at a time."""


def read_pieces(
    source: RowSource, index: RowIndex, pieces: Sequence[tuple[int, int]], representation: Representation
) -> Iterator[tuple[Rows, NDArray[np.int64]]]:
    """Each of some adjoining pieces [low, high) of `index` in turn, as `read_rows` gives it.

    Row ids are hashes, so that a piece has rows in every file of the table: to read piece by piece would scan the table
    once for each. Of several pieces the rows wait for their turn in the folder for temporary files, in as many bytes as
    their features take in memory.
    """
    if len(pieces) < 2:
        for low, high in pieces:
            yield read_rows(source, index, low, high, representation)
        return
    first, starts = pieces[0][0], np.array([low for low, _ in pieces])
    record = np.dtype(
        [
            ("place", np.int64),
            ("numbers", np.float32, (len(representation.numeric),)),
            ("positions", np.int32, (len(representation.categorical),)),
        ]
    )
    # Without a name, so that a process that is killed leaves nothing.
    with tempfile.TemporaryFile(prefix="raresmith-") as file:
        gathered: list[NDArray[np.void]] = []
        filled = np.zeros(len(pieces), np.int64)

        def part() -> None:
            records = np.concatenate([np.empty(0, record), *gathered])
            gathered.clear()
            of = np.searchsorted(starts, records["place"], side="right") - 1
            for i in np.unique(of):
                file.seek((starts[i] - first + filled[i]) * record.itemsize)
                records[of == i].tofile(file)
                filled[i] += (of == i).sum()

        for places, numbers, positions in scan(source, index, [slice(first, pieces[-1][1])], representation):
            records = np.empty(len(places), record)
            records["place"], records["numbers"], records["positions"] = first + places, numbers, positions
            gathered.append(records)
            if sum(map(len, gathered)) >= _GATHERED:
                part()
        part()
        file.seek(0)
        for low, high in pieces:
            found = np.fromfile(file, record, high - low)
            records = np.empty(high - low, record)
            records[found["place"] - low] = found
            wanted = index.part([slice(low, high)])
            numbers, positions = (torch.tensor(records[name]) for name in ("numbers", "positions"))
            yield Rows(numbers, positions.long(), index.classes(wanted)), wanted.row_ids
