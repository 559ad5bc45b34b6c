"""Hashes of rows of numbers."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from raresmith.gan import counter_rng
from raresmith.tables.content_hash import digest


def content_hash(batches: pa.RecordBatchReader) -> str:
    """Hex digest of the rows, the same for any order; text, which is the same in every row, is left out."""
    total, rows = 0, 0
    for batch in batches:
        numbers = [
            column.fill_null(0).to_numpy(zero_copy_only=False)
            for field, column in zip(batch.schema, batch.columns, strict=True)
            if not (pa.types.is_string(field.type) or pa.types.is_string_view(field.type))
        ]
        total, rows = total + int(row_hash(numbers).sum()), rows + len(batch)
    return digest(total, rows)


def row_hash(columns: Sequence[NDArray[np.generic]]) -> NDArray[np.int64]:
    """64 bits of each row of numbers, given by its columns."""
    value = torch.zeros(len(columns[0]), dtype=torch.int64)
    for column in columns:
        numbers = column.astype(np.float64).view(np.int64) if column.dtype.kind == "f" else column.astype(np.int64)
        value = counter_rng.bits(0, value ^ counter_rng.bits(1, torch.from_numpy(numbers)))
    return np.asarray(value)


def are_at(ordered: NDArray[np.int64], places: NDArray[np.intp], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of `values` is in `ordered`, given the place that np.searchsorted found for it."""
    if len(ordered) == 0:
        return np.zeros(len(values), np.bool_)
    # A place past the end is that of a value above them all, which the last one is not.
    return np.asarray(ordered.take(places, mode="clip") == values)
