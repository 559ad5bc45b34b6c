"""A stable identity for every raw row: the same for any order, partitioning and day it is read."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.spark.tables import col
from raresmith.spark.working import REASON, ROW_ID

_COPIES = "__copies"
_OCCURRENCE = "__occurrence"


def with_row_id(judged: DataFrame, key: Sequence[str], on_duplicate: str) -> DataFrame:
    """`judged` with ROW_ID, and a REASON for rows that repeat one that is kept.

    The id is the key itself where that is one whole number, else a 64-bit hash of the key, or of the whole row where
    there is no key. Rows of one key: the one with the smallest hash of all columns is kept, the others are "duplicate
    key". Rows equal in every column: kept under ids of their own ("keep"), or all but one are "duplicate row".

    One job looks for repeated ids, shuffling eight bytes a row; only where there are some do their rows pay a window.

    Parameters
    ----------
    judged : DataFrame with REASON
        Rows that have a reason already are left out of the search.
    """
    columns = [f for f in judged.schema.fields if f.name != REASON]
    rows = judged.withColumn(ROW_ID, _identity([f for f in columns if f.name in key] or columns))
    passing = rows.where(col(REASON).isNull())
    repeated = passing.groupBy(ROW_ID).count().where("count > 1").select(F.col(ROW_ID), F.lit(True).alias(_COPIES))
    if repeated.isEmpty():
        return rows
    marked = rows.join(repeated, ROW_ID, "left")
    is_repeated = F.col(_COPIES) & col(REASON).isNull()
    alone = marked.where(~F.coalesce(is_repeated, F.lit(False)))
    # A second hash orders the rows of an id, so that which one is first does not depend on how they were read.
    order = F.row_number().over(Window.partitionBy(ROW_ID).orderBy(_hash(columns, salt=1)))
    together = marked.where(is_repeated).withColumn(_OCCURRENCE, order)
    later = F.col(_OCCURRENCE) > 1
    if key:
        together = together.withColumn(REASON, F.when(later, F.lit("duplicate key")))
    else:
        own = F.when(later, F.xxhash64(F.col(ROW_ID), F.col(_OCCURRENCE))).otherwise(F.col(ROW_ID))
        together = together.withColumn(ROW_ID, own)
        if on_duplicate != "keep":
            together = together.withColumn(REASON, F.when(later, F.lit("duplicate row")))
    names = rows.columns
    return alone.select(*[col(n) for n in names]).unionByName(together.select(*[col(n) for n in names]))


def _identity(fields: Sequence[t.StructField]) -> Column:
    if len(fields) == 1 and isinstance(fields[0].dataType, t.IntegralType):
        return col(fields[0].name).cast("bigint")
    return _hash(fields, salt=0)


def _hash(fields: Sequence[t.StructField], salt: int) -> Column:
    """64-bit hash that tells (null, a) from (a, null): Spark's own skips nulls."""
    nulls = F.concat(*[F.when(col(f.name).isNull(), "1").otherwise("0") for f in fields])
    values = [col(f.name) if isinstance(f.dataType, t.AtomicType) else F.to_json(F.struct(col(f.name))) for f in fields]
    return F.xxhash64(F.lit(salt), nulls, *values)
