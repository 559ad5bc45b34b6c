"""Which rows train, choose and judge: decided before anything is learnt."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.config import SplitConfig
from raresmith.spark.columns import CONTENT, LABEL, ROW_ID, SPLIT, col

NAMES = ("train", "validation", "test")
BUCKET_BITS = 12
"""Hashes are counted in 4096 buckets: what comes to the driver does not grow with the table."""

Place = tuple[int, int]
"""Rows up to here, and the last hash among them."""

_HASH = "__split_hash"
_KNOWN_ENTITY, _KNOWN_SINCE = "__split_known_entity", "__split_known_since"


def with_split(
    df: DataFrame, split: SplitConfig, *, timestamp: str, positive: Column, random_state: int, fixed: bool = False
) -> DataFrame:
    """`df` with SPLIT: "train", "validation", "test", or null for a row that is in none.

    hash cuts each class at hashes of the row id, so that its shares are exact to the row in a class of up to about a
    thousand rows and to some 0.01 % in a larger one; every split gets a row of a class with at least three different
    ones. Rows that are equal in every column have one side. The cuts count the rows of each class, so another label of
    a test row moves them by a row at most.

    entity cuts at hashes of the entity, where the shares of rows come nearest; a row without an entity is one by
    itself. time goes by the day of `timestamp` in the session's time zone, and leaves out test rows of entities known
    to be positive. hash and entity cost one aggregation of at most 4096 counts a class.

    Parameters
    ----------
    df : DataFrame with ROW_ID, CONTENT where rows repeat, and LABEL for strategy "hash"
    timestamp
        Column of type timestamp, timestamp_ntz or date; used by strategy "time" alone.
    positive
        Boolean condition of the class that makes an entity known; used with split.known_entity.
    random_state
        Seed of the hashes.
    fixed
        hash and entity cut at the same hashes whatever the rows: one that comes another day has the side that it would
        have had today, and the shares are those of `split.fractions` up to chance.
    """
    if split.strategy == "time":
        return _by_time(df, split, timestamp, positive)
    row_hash = F.xxhash64(F.lit(random_state), F.lit("row"), col(CONTENT if CONTENT in df.columns else ROW_ID))
    if split.strategy == "hash":
        hashed = df.withColumn(_HASH, row_hash)
    else:
        entity = col(split.entity)
        entity_hash = F.xxhash64(F.lit(random_state), F.lit("entity"), entity)
        hashed = df.withColumn(_HASH, F.when(entity.isNull(), row_hash).otherwise(entity_hash))
    if fixed:
        side = _side(*fixed_cuts(split.fractions))
    elif split.strategy == "hash":
        places = _places(hashed, col(LABEL), within_buckets=True)
        cuts = {label: cut_points(found, split.fractions) for label, found in places.items()}
        sides = [F.when(col(LABEL).eqNullSafe(F.lit(label)), _side(*cut)) for label, cut in cuts.items()]
        side = F.coalesce(*sides, F.lit(None).cast("string"))
    else:
        places = _places(hashed, F.lit(0), within_buckets=False)
        side = _side(*cut_points(places.get(0, []), split.fractions))
    return hashed.withColumn(SPLIT, side).drop(_HASH)


def _places(hashed: DataFrame, group: Column, *, within_buckets: bool) -> dict[Any, list[Place]]:
    """For each value of `group` the places where _HASH may be cut, in order.

    These are the ends of the buckets, and also those `within_buckets`: after the smallest and before the largest hash
    of one, which for up to three hashes is everywhere.
    """
    bucket = F.shiftright(F.col(_HASH), 64 - BUCKET_BITS).alias("bucket")
    rows = hashed.select(group.alias("group"), bucket, _HASH, F.lit(1).alias("rows"))
    if within_buckets and CONTENT in hashed.columns:
        # Only where rows repeat, for it shuffles a line a row.
        rows = rows.groupBy("group", "bucket", _HASH).agg(F.count(F.lit(1)).alias("rows"))
    counted = rows.groupBy("group", "bucket").agg(
        F.sum("rows").alias("rows"),
        F.min(_HASH).alias("low"),
        F.max(_HASH).alias("high"),
        F.min_by("rows", _HASH).alias("lowest"),
        F.max_by("rows", _HASH).alias("highest"),
    )
    places: dict[Any, list[Place]] = {}
    for row in sorted(counted.collect(), key=lambda row: row["low"]):
        found = places.setdefault(row["group"], [(0, -(2**63))])
        before, rows, low, high = found[-1][0], row["rows"], row["low"], row["high"]
        inside = {row["lowest"]: low, rows - row["highest"]: high - 1} if within_buckets and low < high else {}
        found += [(before + n, last) for n, last in sorted({**inside, rows: high}.items())]
    return places


def cut_points(places: Sequence[Place], fractions: Sequence[float]) -> tuple[int, int]:
    """The last hash of train and the last of validation, so that the shares of rows come nearest to `fractions`.

    Where there are places enough no share is empty.
    """
    if len(places) < 2:
        return 0, 0
    total = places[-1][0]

    def nearest(share: float, first: int, last: int) -> int:
        return min(range(first, last + 1), key=lambda i: abs(places[i][0] - share * total))

    end = len(places) - 1
    least = 1 if end >= 3 else 0
    train = nearest(fractions[0], least, end - 2 * least)
    validation = nearest(fractions[0] + fractions[1], train + least, end - least)
    return places[train][1], places[validation][1]


def fixed_cuts(fractions: Sequence[float]) -> tuple[int, int]:
    """The last hash of train and the last of validation, by shares of all hashes."""
    train, validation = (round(2**64 * share) - 2**63 for share in (fractions[0], fractions[0] + fractions[1]))
    return train, validation


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
    learnt = spans["test"][1] - timedelta(days=split.delay_days + 1)
    known = (
        df.where(positive & day.between(F.lit(spans["train"][0]), F.lit(learnt)) & col(split.known_entity).isNotNull())
        .groupBy(col(split.known_entity).alias(_KNOWN_ENTITY))
        .agg(F.min(day).alias(_KNOWN_SINCE))
    )
    # An entity with a positive row is the exception, and these are two values of each: sending them to all tasks
    # spares a shuffle of the whole table.
    joined = df.join(F.broadcast(known), col(split.known_entity) == F.col(_KNOWN_ENTITY), "left")
    is_known = F.coalesce(F.date_add(F.col(_KNOWN_SINCE), split.delay_days + 1) <= day, F.lit(False))
    return joined.withColumn(SPLIT, F.when(~((side == "test") & is_known), side)).drop(_KNOWN_ENTITY, _KNOWN_SINCE)
