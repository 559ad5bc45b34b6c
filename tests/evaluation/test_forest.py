"""The forest that grows in one process; tests/spark/evaluate/classifiers holds it against Spark MLlib's."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from raresmith.evaluation.forest import Forest, Labelled, columns_of_a_split

TREE = Forest(
    num_trees=1, max_depth=8, max_bins=64, min_instances_per_node=1, subsampling_rate=1.0, columns_of_a_split=2,
    arities=(0, 0), positive=1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def every_row_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees that draw no rows, but where a test is of a forest."""
    if "forest" not in request.node.name:
        monkeypatch.setattr("raresmith.evaluation.tree.poisson", lambda state, rate, counts: counts.fill(1))


def labelled(x: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64] | None = None) -> Labelled:
    weights = np.ones(len(x)) if weights is None else weights
    return Labelled(x.astype(np.float32), labels.astype(np.int32), weights)


def drawn(n: int, seed: int = 0) -> Labelled:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2))
    return labelled(x, x[:, 0] + x[:, 1] * generator.normal(size=n) > 1)


def test_a_row_that_weighs_three_is_three_rows() -> None:
    rows = drawn(300)
    weights = np.random.default_rng(1).integers(1, 4, 300)
    often = Labelled(
        np.repeat(rows.x, weights, axis=0), np.repeat(rows.labels, weights), np.repeat(rows.weights, weights)
    )
    x = drawn(500, 9).x
    heavy = TREE.judge(rows, rows._replace(weights=weights.astype(float)), x, 2, 0)
    many = TREE.judge(rows, often, x, 2, 0)
    assert np.array_equal(heavy.probabilities, many.probabilities)
    assert not np.array_equal(many.probabilities, TREE.judge(rows, rows, x, 2, 0).probabilities)


def test_a_number_below_all_that_are_known_falls_to_the_left() -> None:
    """And one above to the right, at every depth."""
    x = np.stack([np.arange(64.0), np.zeros(64)], axis=1)
    rows = labelled(x, np.isin(np.arange(64) // 8, (0, 3, 7)))
    beyond = np.array([[-9, 0], [0, 0], [63, 0], [99, 0]], np.float32)
    # The bins lie between all of them, so that of the numbers only their bins can tell.
    real = labelled(np.concatenate([x, beyond]), np.zeros(68, bool))
    forest = dataclasses.replace(TREE, max_bins=128)
    assert forest.judge(real, rows, beyond, 2, 0).probabilities[:, 1].tolist() == [1, 1, 1, 1]
    inner = labelled(x[8:56], np.isin(np.arange(8, 56) // 8, (3,)))
    assert forest.judge(real, inner, beyond, 2, 0).probabilities[:, 1].tolist() == [0, 0, 0, 0]


def test_leaves_hold_as_many_rows_as_asked_for_and_depth_has_an_end() -> None:
    rows = drawn(400)
    for tree in (dataclasses.replace(TREE, min_instances_per_node=150), dataclasses.replace(TREE, max_depth=1)):
        shares, sizes = np.unique(tree.judge(rows, rows, rows.x, 2, 0).probabilities[:, 1], return_counts=True)
        assert len(shares) == 2 and sizes.min() >= tree.min_instances_per_node
    deep = TREE.judge(rows, rows, rows.x, 2, 0).probabilities[:, 1]
    assert len(np.unique(deep)) > 4


def test_a_forest_is_the_same_twice_and_another_for_another_seed() -> None:
    rows, forest = drawn(300), dataclasses.replace(TREE, num_trees=5, columns_of_a_split=1)
    first, again, other = (forest.judge(rows, rows, rows.x, 2, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.probabilities, again.probabilities)
    assert np.array_equal(first.importances, again.importances)
    assert not np.array_equal(first.probabilities, other.probabilities)
    assert first.probabilities.sum(axis=1) == pytest.approx(1)
    assert first.importances.sum() == pytest.approx(1)


def test_one_class_alone_is_one_leaf() -> None:
    rows = labelled(np.random.default_rng(0).normal(size=(20, 2)), np.zeros(20, bool))
    found = dataclasses.replace(TREE, num_trees=3).judge(rows, rows, rows.x, 3, 0)
    assert found.probabilities.tolist() == [[1, 0, 0]] * 20
    assert found.importances.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("strategy", "trees", "columns"),
    [
        ("auto", 100, 5), ("auto", 1, 23), ("all", 100, 23), ("sqrt", 1, 5), ("log2", 1, 5), ("onethird", 1, 8),
        ("7", 1, 7), ("99", 1, 23), ("0.1", 1, 3), ("1.0", 1, 23),
    ],
)  # fmt: skip
def test_the_columns_of_a_split_are_those_of_mllib(strategy: str, trees: int, columns: int) -> None:
    assert columns_of_a_split(strategy, 23, trees) == columns
