"""What holds for every classifier that there is: it learns, and the same from the same rows however they lie."""

from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spark.evaluate.encoders import categorical, encoder_of, numeric

from raresmith.evaluation.counts import SCORE_STEPS
from raresmith.spark.evaluate.classifiers.base import WEIGHT, Classifier
from raresmith.spark.evaluate.classifiers.registry import CLASSIFIERS
from raresmith.spark.evaluate.train_rows import in_fixed_order

ENCODER = encoder_of(numeric("a"), categorical("c_1", 8), numeric("noise"))
SMALL: dict[str, dict[str, Any]] = {"random_forest": {"num_trees": 7, "max_depth": 4, "max_bins": 16}}
"""Parameters of those that take long with their defaults."""


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    """Rows whose class follows a number and a set of categories that has no order."""
    generator = np.random.default_rng(7)
    a, c = generator.normal(size=1500), generator.integers(0, 8, 1500)
    label = ((a > 0.8) & np.isin(c, [1, 4, 6])).astype(int)
    rows = [
        (int(i), int(label[i]), float(a[i]), float(c[i] + 2), float(generator.normal()), 1.0 + 3.0 * int(label[i]))
        for i in range(1500)
    ]
    return spark.createDataFrame(
        rows, f"row_id long, label int, a float, `c_1` float, noise float, {WEIGHT} double"
    ).persist()


def scores(name: str, table: DataFrame, partitions: int, seed: int = 3) -> tuple[dict[int, int], dict[str, float]]:
    """Each row's score, and the columns' shares, by a model of the rows in so many partitions."""
    kind = CLASSIFIERS[name]
    classifier, rows = kind(kind.Parameters(**SMALL.get(name, {}))), table.repartition(partitions)
    vectors = classifier.vectors(rows, ENCODER, 1, 0)(rows)
    model = classifier.fit(in_fixed_order(vectors, 1500).persist(), ENCODER, seed)
    found = classifier.score(vectors, model, {"score": 1, "of_others": 0}).collect()
    # One look at the model gives the scores of every class.
    assert all(abs(row["score"] + row["of_others"] - SCORE_STEPS) <= 1 for row in found)
    return {row["row_id"]: row["score"] for row in found}, dict(classifier.importances(model, ENCODER))


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_it_learns_and_does_not_depend_on_the_partitions(table: DataFrame, name: str) -> None:
    first, shares = scores(name, table, 1)
    assert scores(name, table, 3) == (first, shares)
    assert scores(name, table, 7) == (first, shares)
    label = {row["row_id"]: row["label"] for row in table.collect()}
    positive = [score for row_id, score in first.items() if label[row_id]]
    assert np.mean(positive) > 500_000 > 10 * np.mean([score for row_id, score in first.items() if not label[row_id]])
    if CLASSIFIERS[name].importances is not Classifier.importances:
        assert min(shares, key=shares.__getitem__) == "noise" and sum(shares.values()) == pytest.approx(1.0)


def test_another_seed_gives_another_forest(table: DataFrame) -> None:
    assert scores("random_forest", table, 2, seed=3) != scores("random_forest", table, 2, seed=4)
