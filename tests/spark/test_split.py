"""The split comes first, by identity alone, and no label of the future slips in."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import SplitConfig, load_config
from raresmith.spark.split import BUCKETS, cut_points, with_split
from raresmith.spark.working import LABEL, ROW_ID, SPLIT
from tests.real_data import published


def split(df: DataFrame, config: SplitConfig, random_state: int = 0) -> DataFrame:
    return with_split(df, config, timestamp="t", positive=F.col(LABEL) == 1, random_state=random_state)


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


@given(
    buckets=st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, 5), min_size=3, max_size=60),
    train=st.floats(0.1, 0.8),
    rest=st.floats(0.2, 0.8),
)
def test_cut_points_leave_no_part_empty_and_are_the_nearest(buckets: dict[int, int], train: float, rest: float) -> None:
    fractions = (train, (1 - train) * rest, (1 - train) * (1 - rest))
    first, second = cut_points(buckets, fractions)
    parts = [
        sum(count for bucket, count in buckets.items() if low <= bucket < high)
        for low, high in ((0, first), (first, second), (second, BUCKETS))
    ]
    assert sum(parts) == sum(buckets.values())
    assert min(parts) > 0


def test_rows_of_an_entity_stay_together_and_those_without_one_do_not(spark: SparkSession) -> None:
    entity = F.when(F.col(ROW_ID) % 3 > 0, F.col(ROW_ID) % 50)
    df = rows(spark, 3_000, 0).withColumn("card", entity)
    done = split(df, SplitConfig(strategy="entity", entity="card"))
    per_card = done.where("card IS NOT NULL").groupBy("card").agg(F.countDistinct(SPLIT).alias("n"))
    assert per_card.where("n > 1").count() == 0
    alone = counts(done.where("card IS NULL"), SPLIT)
    assert alone[("train",)] == pytest.approx(600, abs=60)


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


@pytest.mark.real_data
def test_the_handbook_weeks_have_the_published_counts(spark: SparkSession) -> None:
    config = load_config(Path(__file__).parent.parent.parent / "conf" / "handbook.toml")
    raw = spark.read.parquet(str(published("handbook")))
    df = raw.withColumn(ROW_ID, F.col("TRANSACTION_ID").cast("bigint")).withColumn(LABEL, F.col("TX_FRAUD").cast("int"))
    done = with_split(df, config.split, timestamp=config.source.timestamp, positive=F.col(LABEL) == 1, random_state=0)
    found = counts(done.where(F.col(SPLIT).isNotNull()), SPLIT, LABEL)
    assert found[("train", 0)] + found[("train", 1)] == 67_240
    assert found[("train", 1)] == 598
    assert found[("test", 0)] + found[("test", 1)] == 58_264
    assert found[("test", 1)] == 385
