"""Rows as one number that tells whether they are the same, whatever their order."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import AtomicType, StructField

from raresmith.spark.columns import col
from raresmith.tables.content_hash import digest


def hashable(field: StructField) -> Column:
    """The column as something that tells its values apart when hashed."""
    value = col(field.name)
    if isinstance(field.dataType, AtomicType):
        return value
    # Spark hashes no maps, and skips nulls within arrays and structs.
    return F.to_json(F.struct(value), {"ignoreNullFields": "false"})


def content_hash(df: DataFrame) -> str:
    """Hex digest of the rows of `df` by xxhash64, the same for any order and partitioning."""
    # In parts of 22 bits, for whose sums a long has room.
    parts = [F.sum(F.shiftrightunsigned("hash", shift).bitwiseAND(2**22 - 1)) for shift in (0, 22, 44)]
    hashed = df.select(F.xxhash64(*[hashable(f) for f in df.schema]).alias("hash"))
    row = hashed.agg(F.count("hash").alias("rows"), *parts).first()
    assert row is not None
    rows, *sums = row
    total = sum((part or 0) << shift for part, shift in zip(sums, (0, 22, 44), strict=True))
    return digest(total, rows)
