"""An id of every raw row, the same for any order, partitioning and day it is read; and the rows that repeat."""

from collections.abc import Sequence
from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.spark.columns import COMPLETE, CONTENT, REASON, ROW_ID, col, quoted
from raresmith.spark.content_hash import hashable
from raresmith.tables.row_counts import reason

MOST_BROADCAST = 100_000
"""Up to here repeated ids come to the driver (8 bytes each) and go to every task, so that only their rows are moved."""

BLOCK_BITS = 15
"""Spark's bitmaps are of 2^15 bits."""

_IS_REPEATED, _SAME, _WHOLE, _NTH = "__row_repeated", "__row_same", "__row_whole", "__row_nth"


def with_row_id(
    judged: DataFrame, key: Sequence[str], on_duplicate: Literal["keep", "quarantine", "refuse"]
) -> DataFrame:
    """`judged` with ROW_ID, and a REASON for rows that repeat one that is kept; with CONTENT where such are kept too.

    The id is the key itself where that is one whole number, else a 64-bit hash of the key, or of all columns where
    there is no key. Rows of one key: the one with the smallest hash of all columns is kept, the others are duplicate
    keys. Rows equal in every column: duplicate rows all but one, unless on_duplicate is "keep"; then they get ids of
    their own, or with a key are duplicate keys too. Different rows whose 64-bit hashes meet are told apart by
    another 64 bits and kept.

    Whole numbers that lie close together, as those from a sequence do, are shown to be distinct by one bit each;
    otherwise one job looks for repeated ids, shuffling eight bytes a row. Where there is none the rows are not moved
    at all, and else only those that repeat.

    Parameters
    ----------
    judged : DataFrame with REASON
        Rows that have a reason already neither repeat nor are repeated.
    key
        Columns that identify a row, or none.
    """
    columns = raw_fields(judged.schema)
    identity = identity_of(judged.schema, key)
    rows = judged.withColumn(ROW_ID, plain_id(identity))
    # Without their reasons, for those take all columns to tell: an id too many here changes nothing below.
    ids = rows.select(ROW_ID).where(F.col(ROW_ID).isNotNull())
    if is_whole_number(identity) and _shown_distinct(ids):
        return rows
    repeated = ids.groupBy(ROW_ID).count().where("count > 1").select(ROW_ID)
    some = repeated.limit(MOST_BROADCAST + 1).toArrow()
    if some.num_rows == 0:
        return rows
    if some.num_rows <= MOST_BROADCAST:
        repeated = F.broadcast(judged.sparkSession.createDataFrame(some))
    if on_duplicate == "keep" and not key:
        rows = rows.withColumn(CONTENT, col(ROW_ID))
    marked = rows.join(repeated.withColumn(_IS_REPEATED, F.lit(True)), ROW_ID, "left").withColumn(
        _IS_REPEATED, F.coalesce(F.col(_IS_REPEATED) & col(REASON).isNull(), F.lit(False))
    )
    together = marked.where(_IS_REPEATED).withColumns({_SAME: row_hash(identity, 1), _WHOLE: row_hash(columns, 2)})
    in_order = Window.partitionBy(ROW_ID).orderBy(_SAME, _WHOLE)
    together = together.withColumns(
        {
            _NTH: F.row_number().over(in_order),
            _SAME: F.col(_SAME).eqNullSafe(F.lag(_SAME).over(in_order)),
            _WHOLE: F.col(_WHOLE).eqNullSafe(F.lag(_WHOLE).over(in_order)),
        }
    )
    reasons = []
    if on_duplicate != "keep":
        reasons.append(F.when(F.col(_SAME) & F.col(_WHOLE), F.lit(reason("duplicate_row"))))
    if key:
        reasons.append(F.when(F.col(_SAME), F.lit(reason("duplicate_key"))))
    # The first of an id keeps it, so an id changes only where there is a choice.
    own = F.when(F.col(_NTH) > 1, F.xxhash64(ROW_ID, _NTH)).otherwise(F.col(ROW_ID))
    together = together.withColumns({ROW_ID: own, REASON: F.coalesce(*reasons, F.lit(None).cast("string"))})
    kept = [col(name) for name in rows.columns]
    return marked.where(~F.col(_IS_REPEATED)).select(*kept).unionByName(together.select(*kept))


def without_known(judged: DataFrame, known: DataFrame) -> DataFrame:
    """`judged` with the REASON of a row of an earlier run for rows that `known` holds.

    Parameters
    ----------
    judged : DataFrame with ROW_ID and REASON
    known : DataFrame with row_id
    """
    again = known.select(F.col("row_id").alias(ROW_ID)).join(judged.select(ROW_ID), ROW_ID, "left_semi")
    some = again.limit(MOST_BROADCAST + 1).toArrow()
    if some.num_rows == 0:
        return judged
    if some.num_rows <= MOST_BROADCAST:
        again = F.broadcast(judged.sparkSession.createDataFrame(some))
    marked = judged.join(again.withColumn(_IS_REPEATED, F.lit(True)), ROW_ID, "left")
    why = F.coalesce(col(REASON), F.when(F.col(_IS_REPEATED), F.lit(reason("earlier_run"))))
    return marked.withColumn(REASON, why).select(*[col(name) for name in judged.columns])


def _shown_distinct(ids: DataFrame) -> bool:
    """Whether bitmaps show that no id repeats; False, which says nothing, where they would be larger than the ids."""
    block = F.shiftright(ROW_ID, BLOCK_BITS)
    spans = ids.groupBy(F.spark_partition_id()).agg(
        F.count(ROW_ID).alias("rows"), (F.max(block) - F.min(block) + 1).alias("blocks")
    )
    total = spans.agg(F.sum("rows").alias("rows"), F.sum("blocks").alias("blocks")).first()
    assert total is not None
    if total["rows"] is None:
        return True
    if total["blocks"] * 2**BLOCK_BITS > total["rows"] * 64:
        return False
    position = F.col(ROW_ID).bitwiseAND(2**BLOCK_BITS - 1)
    marks = ids.groupBy(block).agg(F.bitmap_construct_agg(position).alias("marks"))
    marked = marks.agg(F.sum(F.bitmap_count("marks")).alias("ids")).first()
    assert marked is not None
    return bool(marked["ids"] == total["rows"])


def raw_fields(schema: t.StructType) -> list[t.StructField]:
    """The columns that two rows may differ in, by name."""
    return sorted((f for f in schema.fields if f.name not in (REASON, COMPLETE)), key=lambda f: f.name)


def identity_of(schema: t.StructType, key: Sequence[str]) -> list[t.StructField]:
    """The columns that `plain_id` is made of."""
    columns = raw_fields(schema)
    return [f for f in columns if f.name in key] or columns


def is_whole_number(identity: Sequence[t.StructField]) -> bool:
    """Whether the columns of the key are one whole number, which is the id then."""
    return len(identity) == 1 and isinstance(identity[0].dataType, t.IntegralType)


def plain_id(fields: Sequence[t.StructField]) -> Column:
    """The id of a row that no other repeats, by the columns of its key."""
    if is_whole_number(fields):
        key: Column = col(fields[0].name).cast("bigint")
        return key
    return row_hash(fields, 0)


def row_hash(fields: Sequence[t.StructField], salt: int) -> Column:
    """64-bit hash of the values in order; another `salt` gives one that is independent."""
    # xxhash64 skips nulls, so that (null, a) and (a, null) would be one: a flag goes before each value.
    flagged = [f"{quoted(f.name)} IS NULL, {hashable(f)}" for f in fields]
    return F.expr(f"xxhash64({', '.join([str(salt), *flagged])})")
