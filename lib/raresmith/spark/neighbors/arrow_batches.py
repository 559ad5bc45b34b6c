"""Made rows on their way from Python to Spark, in batches that do not grow with their number."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import DoubleType, FloatType, LongType, StructField, StructType

from raresmith.oversampling.base import MadeRows
from raresmith.oversampling.plan import ClassPlan
from raresmith.spark.neighbors.feature_matrix import FeatureColumns

METHOD = "__method"
"""Column beside the made rows: what made each, since an oversampler may have another one make what it cannot."""
_BATCH_ROWS = 2**14
_BATCH_BYTES = 2**25


def made_schema(features: FeatureColumns) -> StructType:
    """What the tasks return; label, method and run_id are constants that Spark adds."""
    types = {"float": FloatType(), "double": DoubleType()}
    return StructType(
        [
            *(StructField(name, LongType(), False) for name in ("row_id", "base_row_id", "neighbor_row_id")),
            StructField("gap", DoubleType(), False),
            *(
                StructField(name, types[kind], False)
                for name, kind in zip(features.names, features.storages, strict=True)
            ),
        ]
    )


def made_batches(plan: ClassPlan, numbers: NDArray[np.int64], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The made rows with these numbers."""
    for few in slices(numbers, schema):
        yield made_batch(plan.rows(few), schema)


def slices(numbers: NDArray[np.int64], schema: pa.Schema) -> Iterator[NDArray[np.int64]]:
    """The numbers in parts so small that a batch of as many rows is."""
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (8 * len(schema))))
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def made_batch(made: MadeRows, schema: pa.Schema) -> pa.RecordBatch:
    """Made rows as a batch of `schema`, that of `made_schema`."""
    values = [made.row_id, made.base_row_id, made.neighbor_row_id, made.gap, *made.columns]
    # Ends that fit in 32 bits keep the value between them when it is rounded to 32 bits.
    cast = [pa.array(column, field.type, safe=False) for column, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(cast, schema=schema)
