"""What the forests are trained on."""

from collections import Counter

import pytest
from pyspark.ml.linalg import Vectors

from raresmith.spark.evaluate.strategies import repeated_rows, strategy_counts, strategy_rows


@pytest.fixture(scope="module")
def train(spark):
    rows = [(i, 1 if i < 7 else 2 if i < 10 else 0, Vectors.dense([float(i)])) for i in range(40)]
    return spark.createDataFrame(rows, ["row_id", "label", "x"])


COUNTS = {0: 30, 1: 7, 2: 3}


def test_rows_are_repeated_to_exactly_the_number_asked_for(spark, train):
    found = repeated_rows(train, COUNTS, {1: 17, 2: 2}, random_state=4)
    copies = Counter(row["row_id"] for row in found.collect())
    assert sorted(copies[i] for i in range(7)) == [2, 2, 2, 2, 3, 3, 3]
    assert sorted(copies[i] for i in range(7, 10)) == [0, 1, 1]
    assert sum(copies.values()) == 19


def test_which_rows_are_repeated_depends_on_the_seed_and_not_on_the_partitions(spark, train):
    def chosen(df, seed):
        return Counter(row["row_id"] for row in repeated_rows(df, COUNTS, {1: 3}, seed).collect())

    assert chosen(train.repartition(1), 0) == chosen(train.repartition(7), 0)
    assert len({tuple(sorted(chosen(train, seed))) for seed in range(6)}) > 1


def test_each_strategy_has_its_rows_and_weights(spark, train):
    made = {"synthetic": spark.createDataFrame([(100 + i, 1, Vectors.dense([0.0])) for i in range(5)], train.schema)}
    made_counts = {"synthetic": {1: 5}}

    def rows(strategy):
        found = strategy_rows(strategy, train, made, None, COUNTS, made_counts, random_state=0).collect()
        assert Counter(row["label"] for row in found) == strategy_counts(strategy, COUNTS, made_counts)
        return found

    assert {row["weight"] for row in rows("none")} == {1.0}
    assert sum(row["row_id"] >= 100 for row in rows("smote")) == 5
    assert len(rows("random")) == 45 and max(row["row_id"] for row in rows("random")) < 100
    weights = Counter()
    for row in rows("class_weight"):
        weights[row["label"]] += row["weight"]
    assert list(weights.values()) == pytest.approx([40 / 3] * 3, abs=1e-3)
