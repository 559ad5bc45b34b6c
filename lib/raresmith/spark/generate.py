"""Rows that are made on the executors block by block, by whatever makes them."""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

Maker = Callable[[Iterator[int]], Iterator[pa.RecordBatch]]
"""What makes the blocks with some numbers; it is sent to the tasks."""


def rows_of_blocks(spark: SparkSession, make: Maker, num_blocks: int, schema: StructType) -> DataFrame:
    """The rows of the blocks 0 to below `num_blocks`, in the columns of `schema`, all of which may be null."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return make(number for batch in batches for number in batch.column(0).to_pylist())

    tasks = min(num_blocks, spark.sparkContext.defaultParallelism)
    columns = StructType([StructField(field.name, field.dataType) for field in schema.fields])
    return spark.range(num_blocks, numPartitions=tasks).mapInArrow(task, columns)
