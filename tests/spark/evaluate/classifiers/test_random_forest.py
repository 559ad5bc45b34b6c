"""The forest learns, and grows the same trees however the rows lie."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spark.evaluate.encoders import categorical, encoder_of, numeric

from raresmith.spark.evaluate.classifiers.random_forest import RandomForest
from raresmith.spark.evaluate.train_rows import in_fixed_order


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
        rows, "row_id long, label int, a float, `c_1` float, noise float, weight double"
    ).persist()


ENCODER = encoder_of(numeric("a"), categorical("c_1", 8), numeric("noise"))
FOREST = RandomForest(RandomForest.Parameters(num_trees=7, max_depth=4, max_bins=16))


def scores(table: DataFrame, partitions: int, seed: int = 3) -> tuple[list[tuple[int, int]], dict[str, float]]:
    rows = table.repartition(partitions)
    vectors = FOREST.vectors(rows, ENCODER, 1, 0)(rows)
    model = FOREST.fit(in_fixed_order(vectors, 1500).persist(), ENCODER, seed)
    found = FOREST.score(vectors, model, 1, "score").select("row_id", "score").orderBy("row_id").collect()
    return [tuple(row) for row in found], dict(FOREST.importances(model, ENCODER))


def test_the_forest_does_not_depend_on_the_partitions_and_learns(spark: SparkSession, table: DataFrame) -> None:
    first, shares = scores(table, 1)
    assert scores(table, 3) == (first, shares)
    assert scores(table, 7) == (first, shares)
    label = {row["row_id"]: row["label"] for row in table.collect()}
    positive = [score for row_id, score in first if label[row_id]]
    assert np.mean(positive) > 500_000 > 10 * np.mean([score for row_id, score in first if not label[row_id]])
    assert min(shares, key=shares.__getitem__) == "noise" and sum(shares.values()) == pytest.approx(1.0)


def test_another_seed_gives_another_forest(spark: SparkSession, table: DataFrame) -> None:
    assert scores(table, 2, seed=3) != scores(table, 2, seed=4)
