"""The rows of a class on their way through Python: row ids, and features as an array or packed into bytes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.neighbors.distance import Distance
from raresmith.oversampling.base import Features
from raresmith.spark.columns import col

LARGEST = 1e150
"""Beyond it a squared distance overflows."""

Arrays = tuple[NDArray[np.int64], NDArray[Any]]
"""Row ids of shape (n_rows,) and features of shape (n_features, n_rows)."""


@dataclass(frozen=True, kw_only=True)
class FeatureColumns:
    """The columns that rows are made in, each of them a number."""

    names: tuple[str, ...]
    storages: tuple[str, ...]
    """float or double."""
    categorical: tuple[bool, ...]
    """Whether the numbers are codes."""
    groups: tuple[int, ...]
    """Columns with the same number belong together."""
    class_name: str = "any"
    """Whose rows they are of, for errors."""

    @classmethod
    def of(cls, encoder: Encoder) -> "FeatureColumns":
        """Those of a `features` table; a number and the indicator of its nulls belong together."""
        sources = {f.state: f.name for f in encoder.features if f.kind == "numeric" and f.state}
        leaders = [sources.get(name, name) for name in encoder.names]
        numbers = {name: i for i, name in enumerate(dict.fromkeys(leaders))}
        return cls(
            names=tuple(encoder.names),
            storages=tuple(feature.storage for feature in encoder.features),
            categorical=tuple(encoder.categorical),
            groups=tuple(numbers[name] for name in leaders),
        )

    def of_class(self, class_name: str) -> "FeatureColumns":
        """These columns in rows of one class."""
        return replace(self, class_name=class_name)

    @property
    def features(self) -> Features:
        """As an oversampler is told of them."""
        return Features(np.array(self.categorical, bool), self.names, np.array(self.groups))

    def distance(self, columns: NDArray[Any]) -> Distance:
        """How far rows of these features are from each other, by rows such as `columns`."""
        return Distance.among(columns, np.array(self.categorical, bool))

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 as soon as one column needs it, since distances mix the columns."""
        return np.dtype(np.float64) if "double" in self.storages else np.dtype(np.float32)

    @property
    def row_bytes(self) -> int:
        """What a row and its id take."""
        return bytes_of_row(len(self.names), "double" in self.storages)

    def of_rows(self, rows: DataFrame, bases: str = "") -> DataFrame:
        """row_id, these columns, by number since mapInArrow refuses names with a dot, label and is_base.

        `bases` is the SQL condition of the rows that others are made of; empty means all.
        """
        columns = [col(name).alias(f"feature_{f}") for f, name in enumerate(self.names)]
        return rows.select("row_id", *columns, "label", F.expr(bases or "true").alias("is_base"))

    def arrays(self, table: pa.Table | pa.RecordBatch) -> Arrays:
        """What `of_rows` gives, as arrays.

        Raises
        ------
        DataError
            If a feature is null, NaN, infinite or too large.
        """
        columns = np.empty((len(self.names), table.num_rows), self.dtype)
        for f, name in enumerate(self.names):
            values = table.column(f + 1)
            columns[f] = values.to_numpy() if isinstance(table, pa.Table) else values.to_numpy(zero_copy_only=False)
            if not (np.abs(columns[f]) < np.float64(LARGEST)).all():
                raise DataError(
                    "feature {name!r} has a null, NaN, infinite or too large value in a row of class {class_name!r}; "
                    "fill it, or leave the row out",
                    name=name,
                    class_name=self.class_name,
                )
        return table.column(0).to_numpy(), columns

    def ordered(self, table: pa.Table) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.intp]]:
        """As `arrays`, by ascending id, and where in the table each row stands."""
        row_ids, columns = self.arrays(table)
        order = np.argsort(row_ids, kind="stable")
        for column in columns:  # one at a time, for the class may fill much of the memory
            column[:] = column[order]
        return row_ids[order], columns, order


def bytes_of_row(n_features: int, is_wide: bool) -> int:
    """What a row and its id take; all columns take eight bytes as soon as one does."""
    return 8 + n_features * (8 if is_wide else 4)


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
