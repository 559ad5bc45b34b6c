"""Which rows train, choose and judge: decided before anything is learnt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.config import SplitConfig
from raresmith.spark.tables import col
from raresmith.spark.working import LABEL, ROW_ID, SPLIT

NAMES = ("train", "validation", "test")
BUCKET_BITS = 12
"""Hashes are counted in 4096 buckets: what comes to the driver does not grow with the table."""

_HASH = "__split_hash"
_KNOWN_ENTITY, _KNOWN_SINCE = "__split_known_entity", "__split_known_since"


def with_split(
    df: DataFrame, split: SplitConfig, *, timestamp: str, positive: Column, random_state: int
) -> DataFrame:
    """`df` with SPLIT: "train", "validation", "test", or null for a row that is in none.

    hash cuts each class at hashes of the row id, so that its shares are exact to the row in a class of up to about a
    thousand rows and to some 0.01 % in a larger one; every split gets a row of a class with at least three. entity
    cuts at hashes of the entity, where the shares of rows come nearest; a row without an entity is one by itself.
    time goes by the day of `timestamp` in the session's time zone, and leaves out test rows of entities known to be
    positive. hash and entity cost one aggregation of at most 4096 counts a class.

    Parameters
    ----------
    df : DataFrame with ROW_ID, and LABEL for strategy "hash"
    timestamp
        Column of type timestamp, timestamp_ntz or date; used by strategy "time" alone.
    positive
        Boolean condition of the class that makes an entity known; used with split.known_entity.
    random_state
        Seed of the hashes.
    """
    if split.strategy == "time":
        return _by_time(df, split, timestamp, positive)
    row_hash = F.xxhash64(F.lit(random_state), F.lit("row"), col(ROW_ID))
    if split.strategy == "hash":
        hashed = df.withColumn(_HASH, row_hash)
        buckets = _buckets(hashed, [LABEL])
        cuts = {label: _cut(_row_cuts(found), split.fractions) for label, found in buckets.items()}
        sides = [F.when(col(LABEL).eqNullSafe(F.lit(label)), _side(*cut)) for label, cut in cuts.items()]
        side = F.coalesce(*sides) if sides else F.lit(None).cast("string")
    else:
        entity = col(split.entity)
        entity_hash = F.xxhash64(F.lit(random_state), F.lit("entity"), entity)
        hashed = df.withColumn(_HASH, F.when(entity.isNull(), row_hash).otherwise(entity_hash))
        found = _buckets(hashed, []).get(None, [])
        side = _side(*_cut(_entity_cuts(found), split.fractions))
    return hashed.withColumn(SPLIT, side).drop(_HASH)


@dataclass(frozen=True)
class _Bucket:
    """Rows of a class whose hashes share their first bits."""

    rows: int
    low: int
    """Smallest hash."""
    high: int
    """Largest hash."""


def _buckets(hashed: DataFrame, by: Sequence[str]) -> dict[Any, list[_Bucket]]:
    """For each value of the column `by`, or for None, the buckets of _HASH in order."""
    bucket = F.shiftright(F.col(_HASH), 64 - BUCKET_BITS)
    counted = hashed.groupBy(*[col(name) for name in by], bucket.alias("__bucket")).agg(
        F.count(F.lit(1)).alias("rows"), F.min(_HASH).alias("low"), F.max(_HASH).alias("high")
    )
    found: dict[Any, list[_Bucket]] = {}
    for row in sorted(counted.collect(), key=lambda row: row["low"]):
        found.setdefault(row[by[0]] if by else None, []).append(_Bucket(row["rows"], row["low"], row["high"]))
    return found


def _row_cuts(buckets: Sequence[_Bucket]) -> list[tuple[int, int]]:
    """(rows, hash): how many rows have at most that hash. Where a bucket has up to three rows, every cut there is."""
    cuts, before = [], 0
    for bucket in buckets:
        inside = {1: bucket.low, bucket.rows - 1: bucket.high - 1, bucket.rows: bucket.high}
        cuts += [(before + rows, last) for rows, last in sorted(inside.items()) if rows > 0]
        before += bucket.rows
    return cuts


def _entity_cuts(buckets: Sequence[_Bucket]) -> list[tuple[int, int]]:
    """(rows, hash) as above, only between buckets: an entity has many rows of one hash."""
    cuts, before = [], 0
    for bucket in buckets:
        before += bucket.rows
        cuts.append((before, bucket.high))
    return cuts


def _cut(cuts: Sequence[tuple[int, int]], fractions: Sequence[float]) -> tuple[int, int]:
    """Last hash of train and of validation: the cuts nearest to the wished rows that leave a row for every split."""
    if not cuts:
        return 0, 0
    train, validation, _ = _apportion(cuts[-1][0], fractions)
    # With one or two places to cut, there is nothing to leave.
    last = max(len(cuts) - 1, 1)
    first = _nearest(cuts, train, 0, max(last - 1, 1))
    second = _nearest(cuts, train + validation, min(first + 1, len(cuts) - 1), max(last, min(first + 2, len(cuts))))
    return cuts[first][1], cuts[second][1]


def _nearest(cuts: Sequence[tuple[int, int]], rows: int, start: int, stop: int) -> int:
    return min(range(start, stop), key=lambda i: abs(cuts[i][0] - rows))


def _apportion(rows: int, fractions: Sequence[float]) -> list[int]:
    """`rows` in whole numbers by largest remainder, the earlier first; at least one each where there are enough."""
    shares = [rows * fraction for fraction in fractions]
    # 0.6 · 5 is 3 and must not be 2.9999999999999996.
    parts = [int(share + 1e-9) for share in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: round(parts[i] - shares[i], 9))
    for i in by_remainder[: rows - sum(parts)]:
        parts[i] += 1
    while rows >= len(parts) and 0 in parts:
        parts[parts.index(max(parts))] -= 1
        parts[parts.index(0)] += 1
    return parts


def _side(last_train: int, last_validation: int) -> Column:
    return (
        F.when(F.col(_HASH) <= F.lit(last_train), "train")
        .when(F.col(_HASH) <= F.lit(last_validation), "validation")
        .otherwise("test")
    )


def _by_time(df: DataFrame, split: SplitConfig, timestamp: str, positive: Column) -> DataFrame:
    day = F.to_date(col(timestamp))
    spans = {name: split.days(name) for name in NAMES}
    side = F.coalesce(
        *[F.when(day.between(F.lit(first), F.lit(last)), F.lit(name)) for name, (first, last) in spans.items()]
    )
    if not split.known_entity:
        return df.withColumn(SPLIT, side)
    # The first day says it all: an entity stays known.
    learnt = F.lit(spans["test"][1]) - F.lit(split.delay_days + 1)
    known = (
        df.where(positive & day.between(F.lit(spans["train"][0]), learnt) & col(split.known_entity).isNotNull())
        .groupBy(col(split.known_entity).alias(_KNOWN_ENTITY))
        .agg(F.min(day).alias(_KNOWN_SINCE))
    )
    # An entity with a positive row is the exception, and these are two values of each: sending them to all tasks
    # spares a shuffle of the whole table.
    joined = df.join(F.broadcast(known), col(split.known_entity) == F.col(_KNOWN_ENTITY), "left")
    is_known = F.coalesce(F.date_add(F.col(_KNOWN_SINCE), split.delay_days + 1) <= day, F.lit(False))
    return joined.withColumn(SPLIT, F.when(~((side == "test") & is_known), side)).drop(_KNOWN_ENTITY, _KNOWN_SINCE)
