"""Which rows train, choose and judge: decided first, from identity, class or day alone."""

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.config import SplitConfig
from raresmith.spark.tables import col
from raresmith.spark.working import LABEL, ROW_ID, SPLIT

BUCKETS = 4096
_FIRST = "__first_known"
_KNOWN = "__known_entity"


def with_split(
    df: DataFrame, split: SplitConfig, *, timestamp: str, positive: Column, random_state: int
) -> DataFrame:
    """`df` with SPLIT: train, validation, test, or null for rows that belong to none.

    Parameters
    ----------
    df : DataFrame with ROW_ID and LABEL
    positive : Column of boolean
        Whether a row is of the class whose entities become known (split.known_entity).
    """
    if split.strategy == "time":
        return _by_time(df, split, timestamp, positive)
    if split.strategy == "entity":
        return _by_entity(df, split, random_state)
    return _by_hash(df, split, random_state)


def _by_entity(df: DataFrame, split: SplitConfig, random_state: int) -> DataFrame:
    # A row without an entity goes by itself.
    who = F.coalesce(F.xxhash64(F.lit("entity"), F.lit(random_state), col(split.entity)), F.lit(0))
    alone = F.xxhash64(F.lit("split"), F.lit(random_state), F.col(ROW_ID))
    share = F.pmod(F.when(col(split.entity).isNull(), alone).otherwise(who), F.lit(2**32)) / float(2**32)
    first, second = split.fractions[0], split.fractions[0] + split.fractions[1]
    return df.withColumn(SPLIT, _named(share, first, second))


def _by_hash(df: DataFrame, split: SplitConfig, random_state: int) -> DataFrame:
    """Each class is cut by hash into its shares: to a row where it is small, to 1/4096 where it is large."""
    bucket = F.pmod(F.xxhash64(F.lit("split"), F.lit(random_state), F.col(ROW_ID)), F.lit(BUCKETS))
    counted = df.groupBy(F.col(LABEL).alias("label"), bucket.alias("bucket")).count().collect()
    by_class: dict[int, dict[int, int]] = {}
    for row in counted:
        by_class.setdefault(row["label"], {})[row["bucket"]] = row["count"]
    assigned = F.lit(None).cast("string")
    for label, buckets in sorted(by_class.items()):
        first, second = cut_points(buckets, split.fractions)
        assigned = F.when(F.col(LABEL) == label, _named(bucket, first, second)).otherwise(assigned)
    return df.withColumn(SPLIT, assigned)


def _named(value: Column, first: float, second: float) -> Column:
    return F.when(value < first, "train").when(value < second, "validation").otherwise("test")


def cut_points(buckets: dict[int, int], fractions: Sequence[float]) -> tuple[int, int]:
    """The buckets at which validation and test begin, so that the shares come nearest to `fractions`.

    With three filled buckets or more each part gets at least one.
    """
    filled = sorted(buckets)
    total = sum(buckets.values())
    before = [0]
    for bucket in filled:
        before.append(before[-1] + buckets[bucket])

    def nearest(share: float, low: int, high: int) -> int:
        return min(range(low, high + 1), key=lambda i: (abs(before[i] - share * total), i))

    room = 1 if len(filled) >= 3 else 0
    first = nearest(fractions[0], room, len(filled) - 2 * room)
    second = nearest(fractions[0] + fractions[1], first + room, len(filled) - room)
    starts = [*filled, BUCKETS]
    return starts[first], starts[second]


def _by_time(df: DataFrame, split: SplitConfig, timestamp: str, positive: Column) -> DataFrame:
    day = F.to_date(col(timestamp))
    assigned = F.lit(None).cast("string")
    for name in ("train", "validation", "test"):
        first, last = split.days(name)
        assigned = F.when(day.between(F.lit(first), F.lit(last)), name).otherwise(assigned)
    rows = df.withColumn(SPLIT, assigned)
    if not split.known_entity:
        return rows
    # Published protocols do not ask for cards that are known as defrauded: they are blocked already. A fraud of day d
    # is known on day d + delay + 1; those before the first train day are of another time.
    first_train, _ = split.days("train")
    _, last_test = split.days("test")
    until = last_test - timedelta(days=split.delay_days + 1)
    known = (
        df.where(positive & day.between(F.lit(first_train), F.lit(until)) & col(split.known_entity).isNotNull())
        .groupBy(col(split.known_entity).alias(_KNOWN))
        .agg(F.min(day).alias(_FIRST))
    )
    is_known = (F.col(SPLIT) == "test") & (F.col(_FIRST) <= F.date_sub(day, split.delay_days + 1))
    joined = rows.join(known, col(split.known_entity) == F.col(_KNOWN), "left")
    return joined.withColumn(SPLIT, F.when(~F.coalesce(is_known, F.lit(False)), F.col(SPLIT))).drop(_KNOWN, _FIRST)
