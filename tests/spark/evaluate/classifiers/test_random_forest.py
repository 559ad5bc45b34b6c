"""A forest that grows in one task: its tree is that of Spark MLlib, and it is what another seed of MLlib would be."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.spark.evaluate.encoders import categorical, encoder_of, numeric

from raresmith.evaluation.forest import Labelled
from raresmith.spark.evaluate.classifiers.base import FEATURES, WEIGHT
from raresmith.spark.evaluate.classifiers.random_forest import TASK_CELLS, RandomForest
from raresmith.spark.evaluate.train_rows import with_classes

ENCODER = encoder_of(numeric("a"), categorical("c", 30), numeric("b"), categorical("d", 2))
N = 4000


@pytest.fixture(scope="module")
def rows() -> dict[str, NDArray[Any]]:
    """Rare rows that follow two numbers and a column of many categories; the second half is scored."""
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(2, N)).round(2)
    c, d = generator.integers(0, 32, N), generator.integers(0, 4, N)
    chance = np.where((c % 5 == 0) & (a > 0.5) | (b > 2), 0.5, 0.01)
    weight = generator.integers(1, 9, N) / 4
    return {"a": a, "c": c, "b": b, "d": d, "label": generator.random(N) < chance, WEIGHT: weight}


@pytest.fixture(scope="module")
def table(spark: SparkSession, rows: dict[str, NDArray[Any]]) -> DataFrame:
    columns = [np.arange(N).tolist(), *(rows[name].tolist() for name in ("a", "c", "b", "d"))]
    columns += [rows["label"].astype(int).tolist(), rows[WEIGHT].tolist()]
    schema = f"row_id long, a float, c float, b float, d float, label int, {WEIGHT} double"
    return spark.createDataFrame(
        [(i, x, float(c), y, float(d), label, w) for i, x, c, y, d, label, w in zip(*columns, strict=True)], schema
    ).persist()


def of_mllib(
    table: DataFrame, forest: RandomForest, seed: int, *, tree: bool = False
) -> tuple[NDArray[np.float64], list[float]]:
    train, of = table.where(f"row_id < {N // 2}"), forest.parameters
    vectors = forest.vectors(train, ENCODER, 1, 0)
    learnt = vectors(train).coalesce(1).persist()
    if tree:
        kind = DecisionTreeClassifier(
            featuresCol=FEATURES, weightCol=WEIGHT, maxDepth=of.max_depth, maxBins=of.max_bins,
            minInstancesPerNode=of.min_instances_per_node,
        )  # fmt: skip
        model: Any = kind.fit(with_classes(learnt, ENCODER))
    else:
        model = forest.fit(learnt, ENCODER, seed)
    judged = model.transform(vectors(table.where(f"row_id >= {N // 2}"))).orderBy("row_id")
    score = vector_to_array(F.col("probability"))[1].alias("score")
    return judged.select(score).toArrow()["score"].to_numpy(), list(forest.importances(model, ENCODER).values())


def of_task(rows: dict[str, NDArray[Any]], forest: RandomForest, seed: int) -> tuple[NDArray[np.float64], list[float]]:
    few = forest.in_task(N, ENCODER, 1)
    assert few is not None
    x = np.column_stack([rows[name] for name in ("a", "c", "b", "d")]).astype(np.float32)
    half = N // 2
    train = Labelled(x[:half], rows["label"][:half].astype(np.int32), rows[WEIGHT][:half])
    found = few.model.judge(train, train, x[half:], 2, seed)
    return found.probabilities[:, 1], found.importances.tolist()


@pytest.mark.parametrize(
    "parameters",
    [
        RandomForest.Parameters(num_trees=1, max_depth=12),
        RandomForest.Parameters(num_trees=1, max_depth=30, max_bins=12),
        RandomForest.Parameters(num_trees=1, max_depth=20, min_instances_per_node=7),
    ],
    ids=lambda of: f"depth {of.max_depth}",
)
def test_a_tree_of_all_rows_is_that_of_mllib(
    table: DataFrame,
    rows: dict[str, NDArray[Any]],
    parameters: RandomForest.Parameters,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raresmith.evaluation.tree.poisson", lambda state, rate, counts: counts.fill(1))
    forest = RandomForest(parameters)
    (theirs, shares), (ours, our_shares) = of_mllib(table, forest, 0, tree=True), of_task(rows, forest, 0)
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert our_shares == pytest.approx(shares, abs=1e-9)
    assert len(np.unique(ours)) > 5


def test_a_forest_is_as_far_from_that_of_mllib_as_that_of_another_seed(
    table: DataFrame, rows: dict[str, NDArray[Any]]
) -> None:
    forest = RandomForest(RandomForest.Parameters(num_trees=60, max_depth=8))
    (first, shares), (second, _) = (of_mllib(table, forest, seed) for seed in (1, 2))
    ours, our_shares = of_task(rows, forest, 1)

    def apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean((a - b) ** 2)))

    between = apart(first, second)
    assert 0 < between < 0.05
    assert max(apart(ours, first), apart(ours, second)) < 1.15 * between
    assert our_shares == pytest.approx(shares, abs=0.05)


def test_what_does_not_fit_in_a_task_is_left_to_mllib() -> None:
    """And so is all that the configuration leaves to it."""
    rows = TASK_CELLS // len(ENCODER.features)
    assert RandomForest().in_task(rows, ENCODER, 1) is not None
    assert RandomForest().in_task(rows + 1, ENCODER, 1) is None
    assert RandomForest(RandomForest.Parameters(engine="mllib")).in_task(10, ENCODER, 1) is None
