"""Rows as one number that tells whether they are the same, whatever their order."""

from py4j.java_gateway import JavaObject
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.types import AtomicType, StructField, VariantType

from raresmith.spark.columns import quoted
from raresmith.tables.content_hash import digest

_AS_JSON = """map(
    'ignoreNullFields', 'false',
    'timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", 'timestampNTZFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"
)"""
"""Options by which values that differ are texts that differ: of itself Spark skips nulls and writes milliseconds."""
_HASH = "raresmith hash"
"""A column that no table has."""
_SHIFTS = (0, 22, 44)
"""The hashes are added up in parts of 22 bits, for whose sums a long has room."""


def hashable(field: StructField) -> str:
    """The column, as SQL text, as something that tells its values apart when hashed."""
    value = quoted(field.name)
    if isinstance(field.dataType, AtomicType) and not isinstance(field.dataType, VariantType):
        return value
    # Spark hashes neither maps nor variants, and skips nulls within arrays and structs.
    return f"to_json(struct({value}), {_AS_JSON})"


def content_hash(df: DataFrame) -> str:
    """Hex digest of the rows of `df` by xxhash64, the same for any order and partitioning."""
    row = df.select(_hash(df)).agg(*_sums()).first()
    assert row is not None
    return _digest(row.asDict())


class HashedOnTheWay:
    """Rows that are hashed while they are written, so that they need not be read again for it.

    Parameters
    ----------
    df
        The rows to write.
    without
        Columns that the hash leaves out.
    """

    def __init__(self, df: DataFrame, without: str) -> None:
        self._observation = Observation()
        hashed = df.withColumn(_HASH, _hash(df.drop(without)))
        self.rows = hashed.observe(self._observation, *_sums()).drop(_HASH)
        """The rows of `df`, to write once."""

    def digest(self) -> str | None:
        """`content_hash` of the rows that were written; None where nothing was, or Spark does not tell.

        A task that Spark does a second time in the midst of a query may be counted twice, and the rows with it.
        """
        observed: JavaObject = self._observation._jo
        # Where no write came of it, to wait for it would be to wait for ever.
        found = dict(observed.getAsJava()) if observed.future().isCompleted() else {}
        return _digest(found) if found else None


def _hash(df: DataFrame) -> Column:
    return F.expr(f"xxhash64({', '.join(map(hashable, df.schema))})").alias(_HASH)


def _sums() -> list[Column]:
    parts = {f"from bit {shift}": F.shiftrightunsigned(_HASH, shift).bitwiseAND(2**22 - 1) for shift in _SHIFTS}
    return [F.count(_HASH).alias("rows"), *[F.sum(part).alias(name) for name, part in parts.items()]]


def _digest(sums: dict[str, int | None]) -> str:
    return digest(sum((sums[f"from bit {shift}"] or 0) << shift for shift in _SHIFTS), sums["rows"] or 0)
