"""The rows of one class on their way through Python: row ids, and features packed into bytes or as an array."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray
from pyspark.sql import DataFrame

from raresmith.encoder import Encoder
from raresmith.errors import DataError
from raresmith.spark.tables import col

LARGEST = 1e150
"""Beyond it a squared distance overflows."""


def feature_dtype(encoder: Encoder) -> np.dtype[Any]:
    """float64 as soon as one column needs it, since distances mix the columns."""
    double = any(feature.storage == "double" for feature in encoder.features)
    return np.dtype(np.float64) if double else np.dtype(np.float32)


def selected(rows: DataFrame, encoder: Encoder) -> DataFrame:
    """row_id and the features in the encoder's order, by number: mapInArrow refuses names with a dot."""
    return rows.select("row_id", *[col(name).alias(f"feature_{f}") for f, name in enumerate(encoder.names)])


def arrays(
    table: pa.Table | pa.RecordBatch, dtype: DTypeLike, names: list[str], class_name: str
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Row ids, and features of shape (n_features, n_rows), of what `selected` gives.

    Raises
    ------
    DataError
        If a feature called one of `names` is null, NaN, infinite or too large.
    """
    columns = np.empty((len(names), table.num_rows), dtype)
    for f, name in enumerate(names):
        columns[f] = table.column(f + 1).to_numpy(**({} if isinstance(table, pa.Table) else {"zero_copy_only": False}))
        if not (np.abs(columns[f]) < np.float64(LARGEST)).all():
            raise DataError(
                f"feature {name!r} has a null, NaN, infinite or too large value in a train row of class "
                f"{class_name!r}; run prepare again"
            )
    return table.column(0).to_numpy(), columns


def packed(columns: NDArray[Any]) -> pa.Array:
    """Each row of an array of shape (n_features, n_rows) as bytes, so that Spark moves one value and not many."""
    rows = np.ascontiguousarray(columns.T)
    size = rows.shape[1] * rows.itemsize
    ends = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(size)
    return pa.Array.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(ends), pa.py_buffer(rows)])


def unpacked(rows: pa.Array, n_features: int, dtype: DTypeLike) -> NDArray[Any]:
    """The array of shape (n_features, n_rows) whose rows were `packed`."""
    size = n_features * np.dtype(dtype).itemsize
    values = np.frombuffer(rows.buffers()[2], dtype, len(rows) * n_features, offset=rows.offset * size)
    return np.ascontiguousarray(values.reshape(-1, n_features).T)
