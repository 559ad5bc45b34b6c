"""The split comes first, by identity alone, and no label of the future slips in."""

import datetime as dt
import itertools
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.real_data import published

from raresmith.config import SplitConfig, load_config
from raresmith.spark.columns import CONTENT, LABEL, ROW_ID, SPLIT
from raresmith.spark.prepare.split import cut_points, with_split
from raresmith.tables.split_counts import is_far


def split(df: DataFrame, config: SplitConfig, random_state: int = 0) -> DataFrame:
    return with_split(df, config, timestamp="t", positive=F.col(LABEL) == 1, random_state=random_state).rows


def counts(df: DataFrame, *by: str) -> dict[Any, int]:
    return {tuple(row)[:-1]: row["count"] for row in df.groupBy(*by).count().collect()}


def rows(spark: SparkSession, majority: int, minority: int) -> DataFrame:
    label = (F.col("id") < minority).cast("int")
    return spark.range(majority + minority).select(F.col("id").alias(ROW_ID), label.alias(LABEL))


def test_each_class_is_cut_into_its_shares(spark: SparkSession) -> None:
    found = counts(split(rows(spark, 20_000, 20), SplitConfig()), LABEL, SPLIT)
    assert [found[(1, name)] for name in ("train", "validation", "test")] == [12, 4, 4]
    assert [found[(0, name)] for name in ("train", "validation", "test")] == [
        pytest.approx(share, abs=10) for share in (12_000, 4_000, 4_000)
    ]


def test_the_split_of_a_row_does_not_depend_on_order_or_partitions(spark: SparkSession) -> None:
    df = rows(spark, 500, 20)
    one = split(df.coalesce(1), SplitConfig()).exceptAll(split(df.repartition(7, F.rand(1)), SplitConfig()))
    assert one.count() == 0
    assert split(df, SplitConfig()).exceptAll(split(df, SplitConfig(), random_state=1)).count() > 0


@pytest.mark.parametrize("strategy", ["hash", "entity"])
def test_fixed_cuts_give_a_row_its_side_whatever_the_other_rows_are(
    spark: SparkSession, strategy: Literal["hash", "entity"]
) -> None:
    config = SplitConfig(strategy=strategy, entity="entity", fractions=(0.5, 0.2, 0.3))
    df = rows(spark, 20_000, 20).withColumn("entity", F.col(ROW_ID) % 10_000)
    whole, part = (
        with_split(some, config, timestamp="t", positive=F.col(LABEL) == 1, random_state=0, fixed=True).rows
        for some in (df, df.where(f"{LABEL} = 1 OR {ROW_ID} % 3 = 0"))
    )
    assert part.count() > 6000
    assert part.exceptAll(whole).count() == 0
    found = counts(whole, SPLIT)
    assert [found[(name,)] for name in ("train", "validation", "test")] == [
        pytest.approx(share, abs=400) for share in (10_010, 4_004, 6_006)
    ]


@pytest.mark.parametrize("random_state", [0, 1])
def test_small_classes_are_cut_to_the_row_and_are_in_every_part(spark: SparkSession, random_state: int) -> None:
    sizes = (3, 4, 18, 300)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    label = sum(((F.col("id") >= end).cast("int") for end in ends[:-1]), F.lit(0))
    df = spark.range(ends[-1]).select(F.col("id").alias(ROW_ID), label.alias(LABEL))
    found = counts(split(df, SplitConfig(), random_state), LABEL, SPLIT)
    for i, size in enumerate(sizes):
        parts = [found[(i, name)] for name in ("train", "validation", "test")]
        assert sum(parts) == size
        assert parts == [pytest.approx(max(share * size, 1), abs=0.8) for share in (0.6, 0.2, 0.2)]


def repeated(spark: SparkSession, different: int, times: str, minority: int) -> DataFrame:
    """So many different rows, each as often as `times` says of its number `c`; the first `minority` are of class 1."""
    rows = spark.range(different).selectExpr("id AS c", f"int(id < {minority}) AS {LABEL}")
    rows = rows.selectExpr(LABEL, f"c * 1000 AS {CONTENT}", f"explode(sequence(1, int({times}))) AS nth")
    return rows.selectExpr(LABEL, CONTENT, f"{CONTENT} + nth AS {ROW_ID}")


def test_rows_that_repeat_another_stay_with_it_and_the_shares_stay_right(spark: SparkSession) -> None:
    """Of 100 pairs 24 had one row in train and one in test."""
    done = split(repeated(spark, 100, "2", 20), SplitConfig())
    sides = done.groupBy(CONTENT).agg(F.countDistinct(SPLIT).alias("sides"), F.count("*").alias("rows"))
    assert {(row["sides"], row["rows"]) for row in sides.collect()} == {(1, 2)}
    found = counts(done, LABEL, SPLIT)
    assert [found[1, name] for name in ("train", "validation", "test")] == [24, 8, 8]
    assert [found[0, name] for name in ("train", "validation", "test")] == [96, 32, 32]


@pytest.mark.parametrize(("different", "parts"), [(3, (1, 1, 1)), (60, (36, 12, 12))])
def test_different_rows_of_one_bucket_are_cut_however_often_each_repeats(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, different: int, parts: tuple[int, ...]
) -> None:
    if different == 3:  # two buckets for all
        monkeypatch.setattr("raresmith.spark.prepare.split.BUCKET_BITS", 1)
    for random_state in (0, 1, 2):
        done = split(repeated(spark, different, "1 + c % 3 * 20", 0), SplitConfig(), random_state)
        found = counts(done.select(CONTENT, SPLIT).distinct(), SPLIT)
        assert sum(found.values()) == different
        assert [found[(name,)] for name in ("train", "validation", "test")] == [pytest.approx(n, abs=9) for n in parts]
        shares = counts(done, SPLIT)
        if different > 3:
            total = sum(shares.values())
            assert shares[("train",)] == pytest.approx(0.6 * total, abs=21)
            assert shares[("test",)] == pytest.approx(0.2 * total, abs=42)


def test_rows_without_a_class_or_an_empty_table_get_no_split_or_none(spark: SparkSession) -> None:
    df = rows(spark, 20, 0).withColumn(LABEL, F.lit(None).cast("int"))
    assert counts(split(df, SplitConfig()), SPLIT)[("train",)] == 12
    assert split(df.limit(0), SplitConfig()).count() == 0
    entity = SplitConfig(strategy="entity", entity=ROW_ID)
    assert split(df.limit(0), entity).count() == 0


@given(
    bucket_rows=st.lists(st.integers(1, 5), min_size=3, max_size=60),
    train=st.floats(0.1, 0.8),
    rest=st.floats(0.2, 0.8),
)
def test_cut_points_leave_no_part_empty_and_are_near_the_shares(
    bucket_rows: list[int], train: float, rest: float
) -> None:
    fractions = (train, (1 - train) * rest, (1 - train) * (1 - rest))
    # The i-th bucket holds hashes i only.
    places = [(sum(bucket_rows[:i]), i - 1) for i in range(len(bucket_rows) + 1)]
    first, second = cut_points(places, fractions)
    parts = [sum(bucket_rows[: first + 1]), sum(bucket_rows[first + 1 : second + 1]), sum(bucket_rows[second + 1 :])]
    assert min(parts) > 0
    total = sum(bucket_rows)
    if all(share * total > 10 for share in fractions):
        assert parts == [pytest.approx(share * total, abs=5) for share in fractions]


@pytest.mark.parametrize(("entities", "parts"), [(3, (1, 1, 1)), (5, (3, 1, 1)), (10, (6, 2, 2))])
def test_few_entities_reach_every_split(spark: SparkSession, entities: int, parts: tuple[int, ...]) -> None:
    df = spark.range(entities * 10).selectExpr(
        f"id AS {ROW_ID}", f"concat('e', id % {entities}) AS card", f"0 AS {LABEL}"
    )
    done = split(df, SplitConfig(strategy="entity", entity="card"))
    found = {row[SPLIT]: row["n"] for row in done.groupBy(SPLIT).agg(F.countDistinct("card").alias("n")).collect()}
    assert tuple(found[name] for name in ("train", "validation", "test")) == parts


def test_rows_of_an_entity_stay_together_and_those_without_one_do_not(spark: SparkSession) -> None:
    entity = F.when(F.col(ROW_ID) % 3 > 0, F.col(ROW_ID) % 50)
    df = rows(spark, 3_000, 0).withColumn("card", entity)
    done = split(df, SplitConfig(strategy="entity", entity="card"))
    per_card = done.where("card IS NOT NULL").groupBy("card").agg(F.countDistinct(SPLIT).alias("n"))
    assert per_card.where("n > 1").count() == 0
    alone = counts(done.where("card IS NULL"), SPLIT)
    assert alone[("train",)] == pytest.approx(600, abs=60)


@pytest.mark.parametrize(
    ("strategy", "together"), [("hash", 0), ("repeated", 0), ("entity", 600)], ids=["hash", "repeated", "entity"]
)
def test_what_is_counted_to_cut_is_what_lies_on_each_side(spark: SparkSession, strategy: str, together: int) -> None:
    # Of 1000 rows 600 are of one card, or repeat each other, and class 2 is of two rows.
    df = spark.range(1000).selectExpr(
        f"id AS {ROW_ID}", f"CASE WHEN id < 2 THEN 2 ELSE int(id % 10 = 3) END AS {LABEL}", "greatest(id, 599) AS card"
    )
    if strategy == "repeated":
        df = df.withColumn(CONTENT, F.col("card"))
    config = SplitConfig(strategy="entity" if strategy == "entity" else "hash", entity="card")
    done = with_split(df, config, timestamp="t", positive=F.col(LABEL) == 1, random_state=3)
    assert done.counts is not None
    counted = {(name, label): n for name, found in done.counts.items() for label, n in found.items() if n}
    assert counted == counts(done.rows, SPLIT, LABEL)
    assert done.together == pytest.approx(together, abs=5)


@given(one=st.integers(30, 300), before=st.integers(2, 60), after=st.integers(2, 60), train=st.sampled_from([0.5, 0.6]))
def test_where_one_step_has_many_rows_the_other_shares_bear_alike_what_it_takes(
    one: int, before: int, after: int, train: float
) -> None:
    """A card with 60 % of the rows left 0.3 % of them for validation."""
    fractions = (train, 0.2, 0.8 - train)
    ends = [*range(before + 1), *range(before + one, before + one + after + 1)]
    cuts = cut_points([(rows, i) for i, rows in enumerate(ends)], fractions)
    total, (first, second) = ends[-1], (ends[cut] for cut in cuts)

    def shares(first: int, second: int) -> list[float]:
        return [rows / total for rows in (first, second - first, total - second)]

    def lack(*cuts: int) -> float:
        return sum((share - of) ** 2 / of for share, of in zip(shares(*cuts), fractions, strict=True))

    best = min(lack(*pair) for pair in itertools.combinations(ends[1:-1], 2))
    assert lack(first, second) == pytest.approx(best) or not is_far(shares(first, second), fractions)


def day(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


TIME = SplitConfig(
    strategy="time",
    train=("2025-01-08", "2025-01-14"),
    validation=("2025-01-01", "2025-01-07"),
    test=("2025-01-22", "2025-01-28"),
    delay_days=7,
    known_entity="card",
)


def test_a_card_leaves_the_test_days_once_its_fraud_is_known(spark: SparkSession) -> None:
    table = [
        # card, moment, fraud, expected split
        ("old", "2025-01-07T12:00", 1, "validation"),  # before the first train day: of another time
        ("old", "2025-01-23T12:00", 0, "test"),
        ("trained", "2025-01-08T00:00", 1, "train"),
        ("trained", "2025-01-22T00:00", 0, None),
        ("gap", "2025-01-16T23:59", 1, None),  # in no split, and known from 2025-01-24 on
        ("gap", "2025-01-23T23:59", 0, "test"),
        ("gap", "2025-01-24T00:00", 0, None),
        ("late", "2025-01-22T10:00", 1, "test"),  # known only after the last test day
        ("late", "2025-01-28T10:00", 0, "test"),
        (None, "2025-01-09T10:00", 1, "train"),  # no card: nothing to know it by
        (None, "2025-01-25T10:00", 0, "test"),
        ("out", "2025-02-10T10:00", 0, None),
    ]
    df = spark.createDataFrame(
        [(i, card, day(moment), fraud) for i, (card, moment, fraud, _) in enumerate(table)],
        f"{ROW_ID} bigint, card string, t timestamp_ntz, {LABEL} int",
    )
    found = {row[ROW_ID]: row[SPLIT] for row in split(df, TIME).collect()}
    assert found == {i: expected for i, (*_, expected) in enumerate(table)}


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz", "date"])
def test_days_are_read_from_every_type_of_time(spark: SparkSession, kind: str) -> None:
    days = ["2025-01-07", "2025-01-08", "2025-01-14", "2025-01-15", "2025-01-22", "2025-01-28", "2025-01-29", None]
    df = spark.createDataFrame(list(enumerate(days)), f"{ROW_ID} bigint, t string").withColumns(
        {"t": F.col("t").cast(kind), "card": F.lit("a"), LABEL: F.lit(0)}
    )
    found = [row[SPLIT] for row in split(df, TIME).orderBy(ROW_ID).collect()]
    assert found == ["validation", "train", "train", None, "test", "test", None, None]


@pytest.mark.real_data
def test_the_handbook_weeks_have_the_published_counts(spark: SparkSession) -> None:
    config = load_config(Path(__file__).parent.parent.parent.parent / "conf" / "handbook.toml")
    raw = spark.read.parquet(str(published("handbook")))
    df = raw.withColumn(ROW_ID, F.col("TRANSACTION_ID").cast("bigint")).withColumn(LABEL, F.col("TX_FRAUD").cast("int"))
    positive, time = F.col(LABEL) == 1, config.source.timestamp
    done = with_split(df, config.split, timestamp=time, positive=positive, random_state=0).rows
    found = counts(done.where(F.col(SPLIT).isNotNull()), SPLIT, LABEL)
    assert found[("train", 0)] + found[("train", 1)] == 67_240
    assert found[("train", 1)] == 598
    assert found[("test", 0)] + found[("test", 1)] == 58_264
    assert found[("test", 1)] == 385
