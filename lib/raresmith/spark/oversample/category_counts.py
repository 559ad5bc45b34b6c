"""How often each category comes with a class, counted in one pass over the table."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.errors import DataError
from raresmith.spark.columns import col
from raresmith.spark.neighbors.feature_matrix import FeatureColumns

Counts = list[NDArray[np.int64]]
"""For each column the rows with each code, from 0 on."""


MOST_CODES = 2**24
"""A table of all codes up to the largest is held for each column."""
_NAMES = ["feature", "code", "own", "rows"]


def code_counts(train: DataFrame, features: FeatureColumns, label: int) -> tuple[Counts, Counts]:
    """The class's rows with each code of each feature, and all rows; `train` has label and the features."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: Counter[tuple[int, int, bool]] = Counter()
        for batch in batches:
            own = batch.column(0).to_numpy() == label
            for f in range(len(features.names)):
                values = batch.column(f + 1).to_numpy(zero_copy_only=False)
                if not ((values >= 0) & (values < MOST_CODES) & (values % 1 == 0)).all():
                    raise DataError(
                        "feature {name!r} must hold codes, whole numbers from 0 to {most}, in all rows; index its "
                        "categories first",
                        name=features.names[f],
                        most=MOST_CODES - 1,
                    )
                for is_own in (False, True):
                    rows = np.bincount(values[own == is_own].astype(np.int64))
                    found.update({(f, int(code), is_own): int(rows[code]) for code in np.flatnonzero(rows)})
        keys = np.array(list(found) or np.empty((0, 3)), np.int64)
        yield pa.RecordBatch.from_arrays([*map(pa.array, keys.T), pa.array(list(found.values()), pa.int64())], _NAMES)

    # By number: mapInArrow refuses names with a dot.
    columns = [col(name).alias(f"feature_{f}") for f, name in enumerate(features.names)]
    counted = train.select("label", *columns).mapInArrow(count, "feature long, code long, own long, rows long")
    table = counted.groupBy("feature", "code", "own").agg(F.sum("rows").alias("rows")).toArrow()
    feature, code, own, rows = (column.to_numpy() for column in table.columns)
    counts: tuple[Counts, Counts] = [], []
    for f in range(len(features.names)):
        size = code[feature == f].max(initial=-1) + 1
        for place, chosen in zip(counts, (own == 1, own >= 0), strict=True):
            here = (feature == f) & chosen
            place.append(np.bincount(code[here], rows[here], minlength=size).astype(np.int64))
    return counts
