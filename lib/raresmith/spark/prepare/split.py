"""Which rows train, choose and judge: decided before anything is learnt."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate, pairwise

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from raresmith.config import SplitConfig
from raresmith.spark.columns import CONTENT, LABEL, ROW_ID, SPLIT, col
from raresmith.tables.split_counts import SPLITS, is_far

BUCKET_BITS = 12
"""Hashes are counted in 4096 buckets: what comes to the driver does not grow with the table."""

Place = tuple[int, int]
"""Rows up to here, and the last hash among them."""

_START: Place = (0, -(2**63))
_HASH = "__split_hash"
_KNOWN_ENTITY, _KNOWN_SINCE = "__split_known_entity", "__split_known_since"


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows with their side, and what was counted to cut them."""

    rows: DataFrame
    counts: Mapping[str, Mapping[int, int]] | None = None
    """Rows by side and label; None where nothing was counted."""
    together: int = 0
    """The most rows that one value of the entity may have."""


def with_split(
    df: DataFrame, split: SplitConfig, *, timestamp: str, positive: Column, random_state: int, fixed: bool = False
) -> Split:
    """`df` with SPLIT: "train", "validation", "test", or null for a row that is in none.

    hash cuts each class at hashes of the row id, so that its shares are exact to the row in a class of up to about a
    thousand rows and to some 0.01 % in a larger one; every split gets a row of a class with at least three different
    ones. Rows that are equal in every column have one side. The cuts count the rows of each class, so another label of
    a test row moves them by a row at most.

    entity cuts at hashes of the entity, where the shares of rows come nearest; a row without an entity is one by
    itself. Where rows that stay together are so many that a share is far off, the other two bear it alike. time goes
    by the day of `timestamp` in the session's time zone, and leaves out test rows of entities known to be positive.
    hash and entity cost one aggregation of at most 4096 counts a class.

    Parameters
    ----------
    df : DataFrame with ROW_ID, LABEL, and CONTENT where rows repeat
    timestamp
        Column of type timestamp, timestamp_ntz or date; used by strategy "time" alone.
    positive
        Boolean condition of the class that makes an entity known; used with split.known_entity.
    random_state
        Seed of the hashes.
    fixed
        hash and entity cut at the same hashes whatever the rows and their labels: one that comes another day has the
        side that it would have had today, and the shares are those of `split.fractions` up to chance.
    """
    if split.strategy == "time":
        return Split(rows=_by_time(df, split, timestamp, positive))
    row_hash = F.xxhash64(F.lit(random_state), F.lit("row"), col(CONTENT if CONTENT in df.columns else ROW_ID))
    if split.strategy == "hash":
        hashed = df.withColumn(_HASH, row_hash)
    else:
        entity = col(split.entity)
        entity_hash = F.xxhash64(F.lit(random_state), F.lit("entity"), entity)
        hashed = df.withColumn(_HASH, F.when(entity.isNull(), row_hash).otherwise(entity_hash))
    if fixed:
        return Split(rows=_cut(hashed, _side(*fixed_cuts(split.fractions))))
    return _by_class(hashed, split.fractions) if split.strategy == "hash" else _by_entity(hashed, split.fractions)


def _by_class(hashed: DataFrame, fractions: Sequence[float]) -> Split:
    """The rows of each class cut by themselves."""
    buckets: dict[int, list[Row]] = {}
    for bucket in _buckets(hashed, within=True):
        buckets.setdefault(bucket["label"], []).append(bucket)
    counts: dict[str, dict[int, int]] = {name: {} for name in SPLITS}
    sides = []
    for label, of_label in buckets.items():
        places = _places_within(of_label)
        cuts = cut_points(places, fractions)
        rows_up_to = {last: rows for rows, last in places}
        ends = [0, *(rows_up_to[cut] for cut in cuts), places[-1][0]]
        for name, (before, after) in zip(SPLITS, pairwise(ends), strict=True):
            counts[name][label] = after - before
        sides.append(F.when(col(LABEL).eqNullSafe(F.lit(label)), _side(*cuts)))
    return Split(rows=_cut(hashed, F.coalesce(*sides, F.lit(None).cast("string"))), counts=counts)


def _by_entity(hashed: DataFrame, fractions: Sequence[float]) -> Split:
    """All rows cut at the same hashes, which are the ends of buckets."""
    buckets = _buckets(hashed, within=False)
    rows, last = Counter[int](), dict[int, int]()
    for bucket in buckets:
        number = bucket["bucket"]
        rows[number] += bucket["rows"]
        last[number] = max(bucket["high"], last.get(number, bucket["high"]))
    order = sorted(rows)
    up_to = accumulate(rows[number] for number in order)
    places = [_START, *zip(up_to, (last[number] for number in order), strict=True)]
    cuts = cut_points(places, fractions)
    counts = {name: Counter[int]() for name in SPLITS}
    for bucket in buckets:
        counts[SPLITS[bisect_left(cuts, bucket["high"])]][bucket["label"]] += bucket["rows"]
    return Split(rows=_cut(hashed, _side(*cuts)), counts=counts, together=max(rows.values(), default=0))


def _buckets(hashed: DataFrame, *, within: bool) -> list[Row]:
    """Of each bucket and label the rows and the ends of the hashes, in their order.

    Where it is cut `within` buckets, also the rows of the lowest hash and of the highest.
    """
    bucket = F.shiftright(F.col(_HASH), 64 - BUCKET_BITS).alias("bucket")
    rows = hashed.select(col(LABEL).alias("label"), bucket, _HASH, F.lit(1).alias("rows"))
    if within and CONTENT in hashed.columns:
        # Only where rows repeat, for it shuffles a line a row.
        rows = rows.groupBy("label", "bucket", _HASH).agg(F.count(F.lit(1)).alias("rows"))
    ends = [F.min_by("rows", _HASH).alias("lowest"), F.max_by("rows", _HASH).alias("highest")] if within else []
    counted = rows.groupBy("label", "bucket").agg(
        F.sum("rows").alias("rows"), F.min(_HASH).alias("low"), F.max(_HASH).alias("high"), *ends
    )
    return sorted(counted.collect(), key=lambda row: row["low"])


def _places_within(buckets: Iterable[Row]) -> list[Place]:
    """Where the rows of `buckets` may be cut, in order.

    These are the ends of the buckets, and inside one after the smallest and before the largest hash, which for up to
    three hashes is everywhere.
    """
    places = [_START]
    for row in buckets:
        before, rows, low, high = places[-1][0], row["rows"], row["low"], row["high"]
        inside = {row["lowest"]: low, rows - row["highest"]: high - 1} if low < high else {}
        places += [(before + n, last) for n, last in sorted({**inside, rows: high}.items())]
    return places


def cut_points(places: Sequence[Place], fractions: Sequence[float]) -> tuple[int, int]:
    """The last hash of train and the last of validation, so that the shares of rows come nearest to `fractions`.

    Where there are places enough no share is empty.
    """
    if len(places) < 2:
        return 0, 0
    rows, end = [place[0] for place in places], len(places) - 1
    total, least = rows[-1], 1 if end >= 3 else 0

    def nearest(share: float, first: int, last: int) -> int:
        return min(range(first, last + 1), key=lambda i: abs(rows[i] - share * total))

    train = nearest(fractions[0], least, end - 2 * least)
    validation = nearest(fractions[0] + fractions[1], train + least, end - least)
    if is_far([n / total for n in (rows[train], rows[validation] - rows[train], total - rows[validation])], fractions):
        train, validation = _far_cuts(rows, fractions, least, (train, validation))
    return places[train][1], places[validation][1]


def _far_cuts(rows: Sequence[int], fractions: Sequence[float], least: int, found: tuple[int, int]) -> tuple[int, int]:
    """The two of the places after so many `rows` that are best where many rows lie between two, else those `found`.

    Best by the squares of what each share lacks, over what was asked for: so the other shares bear it alike.
    """
    total, end = rows[-1], len(rows) - 1

    def lack(cuts: tuple[int, int]) -> float:
        parts = (rows[cuts[0]], rows[cuts[1]] - rows[cuts[0]], total - rows[cuts[1]])
        squares = ((part / total - share) ** 2 / share for part, share in zip(parts, fractions, strict=True))
        return round(sum(squares), 9)

    cuts = [found]
    for train in range(least, end - 2 * least + 1):
        wanted = rows[train] + (total - rows[train]) * fractions[1] / (fractions[1] + fractions[2])
        first = train + least
        after = bisect_left(rows, wanted, first, end - least)
        cuts += [(train, max(after - 1, first)), (train, after)]
    return min(cuts, key=lack)


def fixed_cuts(fractions: Sequence[float]) -> tuple[int, int]:
    """The last hash of train and the last of validation, by shares of all hashes."""
    train, validation = (round(2**64 * share) - 2**63 for share in (fractions[0], fractions[0] + fractions[1]))
    return train, validation


def _cut(hashed: DataFrame, side: Column) -> DataFrame:
    return hashed.withColumn(SPLIT, side).drop(_HASH)


def _side(last_train: int, last_validation: int) -> Column:
    return (
        F.when(F.col(_HASH) <= F.lit(last_train), "train")
        .when(F.col(_HASH) <= F.lit(last_validation), "validation")
        .otherwise("test")
    )


def side_by_day(split: SplitConfig, timestamp: str) -> Column:
    """The side of a row under strategy "time", whatever entity it is of; null on other days."""
    day, spans = F.to_date(col(timestamp)), {name: split.days(name) for name in SPLITS}
    return F.coalesce(
        *[F.when(day.between(F.lit(first), F.lit(last)), F.lit(name)) for name, (first, last) in spans.items()]
    )


def _by_time(df: DataFrame, split: SplitConfig, timestamp: str, positive: Column) -> DataFrame:
    side = side_by_day(split, timestamp)
    if not split.known_entity:
        return df.withColumn(SPLIT, side)
    day = F.to_date(col(timestamp))
    # The first day says it all: an entity stays known.
    learnt = split.days("test")[1] - timedelta(days=split.delay_days + 1)
    known = (
        df.where(
            positive & day.between(F.lit(split.days("train")[0]), F.lit(learnt)) & col(split.known_entity).isNotNull()
        )
        .groupBy(col(split.known_entity).alias(_KNOWN_ENTITY))
        .agg(F.min(day).alias(_KNOWN_SINCE))
    )
    # An entity with a positive row is the exception, and these are two values of each: sending them to all tasks
    # spares a shuffle of the whole table.
    joined = df.join(F.broadcast(known), col(split.known_entity) == F.col(_KNOWN_ENTITY), "left")
    is_known = F.coalesce(F.date_add(F.col(_KNOWN_SINCE), split.delay_days + 1) <= day, F.lit(False))
    return joined.withColumn(SPLIT, F.when(~((side == "test") & is_known), side)).drop(_KNOWN_ENTITY, _KNOWN_SINCE)
