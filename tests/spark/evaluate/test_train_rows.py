"""What classifiers are trained on, and in which order."""

from collections import Counter

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from sklearn.utils.class_weight import compute_class_weight

from raresmith.spark.evaluate.classifiers.base import FEATURES, WEIGHT
from raresmith.spark.evaluate.strategies import strategy_of
from raresmith.spark.evaluate.train_rows import TrainRows, balanced_weights, in_fixed_order, repeated_rows


@pytest.fixture(scope="module")
def train(spark: SparkSession) -> DataFrame:
    rows = [(i, 1 if i < 7 else 2 if i < 10 else 0, Vectors.dense([float(i)])) for i in range(40)]
    return spark.createDataFrame(rows, ["row_id", "label", FEATURES])


COUNTS = {0: 30, 1: 7, 2: 3}


def test_rows_are_repeated_to_exactly_the_number_asked_for(spark: SparkSession, train: DataFrame) -> None:
    found = repeated_rows(train, COUNTS, {1: 17, 2: 2}, random_state=4)
    copies = Counter(row["row_id"] for row in found.collect())
    assert sorted(copies[i] for i in range(7)) == [2, 2, 2, 2, 3, 3, 3]
    assert sorted(copies[i] for i in range(7, 10)) == [0, 1, 1]
    assert sum(copies.values()) == 19


def test_which_rows_are_repeated_depends_on_the_seed_and_not_on_the_partitions(
    spark: SparkSession, train: DataFrame
) -> None:
    def chosen(df: DataFrame, seed: int) -> Counter[int]:
        return Counter(row["row_id"] for row in repeated_rows(df, COUNTS, {1: 3}, seed).collect())

    assert chosen(train.repartition(1), 0) == chosen(train.repartition(7), 0)
    assert len({tuple(sorted(chosen(train, seed))) for seed in range(6)}) > 1


def test_each_strategy_has_its_rows_and_weights(spark: SparkSession, train: DataFrame) -> None:
    made = {"synthetic": spark.createDataFrame([(100 + i, 1, Vectors.dense([0.0])) for i in range(5)], train.schema)}
    rows_of = TrainRows(
        real=train, made=made, removed=train.where("row_id >= 36"), random_state=0,
        class_rows={"train": COUNTS, "synthetic": {1: 5}, "removed": {0: 4}},
    )  # fmt: skip

    def rows(name: str) -> list[Row]:
        found = rows_of.under(strategy_of(name)).collect()
        assert Counter(row["label"] for row in found) == rows_of.counts(strategy_of(name))
        return found

    assert {row[WEIGHT] for row in rows("none")} == {1.0} and len(rows("none")) == 40
    assert sum(row["row_id"] >= 100 for row in rows("smote")) == 5
    assert not {36, 37, 38, 39} & {row["row_id"] for name in ("smote", "reduced") for row in rows(name)}
    assert len(rows("reduced")) == 36
    assert len(rows("random")) == 45 and max(row["row_id"] for row in rows("random")) < 100
    weights: Counter[int] = Counter()
    for row in rows("class_weight"):
        weights[row["label"]] += row[WEIGHT]
    assert list(weights.values()) == pytest.approx([40 / 3] * 3, abs=1e-3)


def test_balanced_weights_are_scikit_learns() -> None:
    counts = {0: 9_871, 1: 133, 2: 1}
    labels = np.repeat(list(counts), list(counts.values()))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert list(balanced_weights(counts).values()) == pytest.approx(list(expected), abs=2**-16)


def test_a_class_without_rows_has_no_weight() -> None:
    assert balanced_weights({0: 5, 1: 5, 2: 0}) == {0: 1.0, 1: 1.0}


def test_a_fixed_order_survives_adaptive_execution(spark: SparkSession) -> None:
    table = spark.range(1500).withColumnRenamed("id", "row_id")
    ordered = in_fixed_order(table.repartition(5), 250_000)
    parts = ordered.select("row_id", F.spark_partition_id().alias("part")).collect()
    again = in_fixed_order(table.repartition(2), 250_000)
    assert parts == again.select("row_id", F.spark_partition_id().alias("part")).collect()
    assert len({row["part"] for row in parts}) == 3
