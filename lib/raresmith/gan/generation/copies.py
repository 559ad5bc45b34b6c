"""Rows that equal a train row: told by hashes, and made anew."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from raresmith.encoding.decode import Columns, RawUnits
from raresmith.encoding.encoder import Encoder
from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.hashes import are_at, row_hash
from raresmith.gan.data.rows import Rows
from raresmith.gan.data.tables import RowSource, query, quoted
from raresmith.gan.models.base import Model

TIMES = 10
"""That a row is made anew before it is left as it is."""


class TrainRows:
    """What train rows are, in raw units where a feature is a raw column: 8 bytes a row.

    Two rows that differ are taken for equal once in 2^64 pairs.

    Parameters
    ----------
    parts
        The rows' feature columns, part by part.
    """

    def __init__(self, encoder: Encoder, parts: Iterable[Columns]) -> None:
        self._raw = RawUnits(encoder, ())
        self._made = [feature.name for feature in encoder.features if feature.made]
        self._hashes = np.unique(np.concatenate([np.empty(0, np.int64), *map(self._hash, parts)]))

    def have(self, features: Columns, base: Columns | None) -> NDArray[np.bool_]:
        """For each made row, given by its feature columns, whether a train row is the same.

        Where the rows that they were made of are given too, also whether that one has the same raw columns: what else
        it has goes with it into the table that is published.
        """
        hashes = self._hash(features)
        found = are_at(self._hashes, np.searchsorted(self._hashes, hashes), hashes)
        if base is not None:
            found |= row_hash(self._raw.comparable(features)) == row_hash(self._raw.comparable(base))
        return np.asarray(found)

    def _hash(self, features: Columns) -> NDArray[np.int64]:
        return row_hash([*self._raw.comparable(features), *(features[name] for name in self._made)])


def read_train_rows(source: RowSource, encoder: Encoder) -> TrainRows:
    """The train rows of `source`, each batch of which is forgotten once it is read."""
    sql = f"SELECT {', '.join(map(quoted, encoder.names))} FROM t WHERE {source.condition}"
    with query(source.table, sql) as batches:
        return TrainRows(encoder, ({name: batch[name].to_numpy() for name in encoder.names} for batch in batches))


def made_anew(
    model: Model,
    generated: Callable[[torch.Tensor], torch.Tensor],
    start: Rows | None,
    counters: torch.Tensor,
    train_rows: TrainRows | None,
) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """Rows (n, width) that `generated` makes of `start` by `counters`, by others where they would be copies; and which
    of them are after all, as where the model makes nothing else. Without `train_rows` none is held to be a copy."""
    representation, base = model.representation, None
    rows = generated(counters)
    if train_rows is None:
        return rows, np.zeros(len(rows), np.bool_)
    if start is not None and model.spec.starts_from_base:
        base = representation.columns(representation.join(start.numbers, start.positions))
    is_copy = train_rows.have(representation.columns(representation.clamp(rows)[0]), base)
    for time in range(TIMES):
        if not is_copy.any():
            break
        again = generated(counter_rng.bits(counter_rng.key(model.seed, Stream.AGAIN, time), counters))
        rows = torch.where(torch.from_numpy(is_copy).to(rows.device)[:, None], again, rows)
        is_copy = train_rows.have(representation.columns(representation.clamp(rows)[0]), base)
    return rows, is_copy
