"""Rows as one number that tells whether they are the same, whatever their order."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import AtomicType, StructField, VariantType

from raresmith.spark.columns import quoted
from raresmith.tables.content_hash import digest

_AS_JSON = """map(
    'ignoreNullFields', 'false',
    'timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", 'timestampNTZFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"
)"""
"""Options by which values that differ are texts that differ: of itself Spark skips nulls and writes milliseconds."""


def hashable(field: StructField) -> str:
    """The column, as SQL text, as something that tells its values apart when hashed."""
    value = quoted(field.name)
    if isinstance(field.dataType, AtomicType) and not isinstance(field.dataType, VariantType):
        return value
    # Spark hashes neither maps nor variants, and skips nulls within arrays and structs.
    return f"to_json(struct({value}), {_AS_JSON})"


def content_hash(df: DataFrame) -> str:
    """Hex digest of the rows of `df` by xxhash64, the same for any order and partitioning."""
    # In parts of 22 bits, for whose sums a long has room.
    parts = [F.sum(F.shiftrightunsigned("hash", shift).bitwiseAND(2**22 - 1)) for shift in (0, 22, 44)]
    hashed = df.select(F.expr(f"xxhash64({', '.join(map(hashable, df.schema))}) AS hash"))
    row = hashed.agg(F.count("hash").alias("rows"), *parts).first()
    assert row is not None
    rows, *sums = row
    total = sum((part or 0) << shift for part, shift in zip(sums, (0, 22, 44), strict=True))
    return digest(total, rows)
