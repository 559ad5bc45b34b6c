"""Train rows by their hashes, to tell made rows that equal one."""

from collections.abc import Sequence

import numpy as np
from deltalake import DeltaTable
from numpy.typing import NDArray

from raresmith.encoder import Encoder
from raresmith.gan.generate import row_hash
from raresmith.gan.tables import query, quoted
from raresmith.raw_units import Columns, RawUnits


class TrainRows:
    """What the train rows of some classes are in raw units: 8 bytes a row.

    Two rows that differ are taken for equal once in 2^64 pairs.
    """

    def __init__(self, features: DeltaTable, classes: Sequence[int], encoder: Encoder) -> None:
        self._raw = RawUnits(encoder, ())
        columns = ", ".join(map(quoted, encoder.names))
        condition = f"split = 'train' AND label IN ({', '.join(map(str, classes))})"
        hashes = [np.empty(0, np.int64)]
        with query(features, f"SELECT {columns} FROM t WHERE {condition}") as batches:
            for batch in batches:
                hashes.append(self._hash({name: batch[name].to_numpy() for name in encoder.names}))
        self._hashes = np.unique(np.concatenate(hashes))

    def have(self, features: Columns) -> NDArray[np.bool_]:
        """For each made row, given by its feature columns, whether a train row is the same in raw units."""
        return np.isin(self._hash(features), self._hashes)

    def _hash(self, features: Columns) -> NDArray[np.int64]:
        return row_hash(self._raw.comparable(features))
