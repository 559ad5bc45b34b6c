"""Crossed rows hold whole values of two parents, are copies of neither, and keep together what goes together."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.stats.contingency import association, crosstab
from tests.oversampling.plans import smote

from raresmith.oversampling.crossover import Linkage, cramers_v, cross, fit_linkage, spanning_tree
from raresmith.oversampling.plan import ClassPlan


def planned(
    rows: NDArray[Any], n_to_make: int, is_categorical: ArrayLike, groups: NDArray[np.intp] | None = None, seed: int = 0
) -> ClassPlan:
    columns = np.ascontiguousarray(rows.T.astype(np.float32))
    return smote(np.arange(len(rows)), columns, np.asarray(is_categorical), n_to_make, 5, seed, "crossover", groups)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_crossed_values_come_whole_and_by_group_from_either_parent_and_make_no_copy(data: st.DataObject) -> None:
    n_made, seed = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 2**32))
    groups = np.array(data.draw(st.sampled_from([[0], [0, 1], [0, 0], [0, 1, 0, 2], [0, 1, 1, 2, 3]])))
    rng = np.random.default_rng(seed)
    base, neighbor = rng.integers(0, 3, (2, len(groups), n_made)).astype(np.float32)
    order, n_groups = rng.permutation(groups.max() + 1), groups.max() + 1
    strength = np.full(n_groups, data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    strength[order[0]] = 0
    linkage = Linkage(groups=groups, order=order, parent=np.full(n_groups, order[0]), strength=strength)
    values, share = cross(base, neighbor, linkage, seed, np.arange(n_made), np.zeros(n_made, np.int64))
    assert ((values == base) | (values == neighbor)).all()
    for j in range(n_made):
        differing = {g for f, g in enumerate(groups) if base[f, j] != neighbor[f, j]}
        crossed = {g for f, g in enumerate(groups) if values[f, j] != base[f, j]}
        kept = {g for f, g in enumerate(groups) if values[f, j] != neighbor[f, j]}
        assert not crossed & kept
        assert share[j] == (len(crossed) / len(differing) if differing else 0)
        assert (0 < share[j] < 1) == (len(differing) > 1)


def from_neighbor(plan: ClassPlan, n_made: int) -> NDArray[np.bool_]:
    made = plan.rows(np.arange(n_made))
    taken: NDArray[np.bool_] = made.columns == plan.columns[:, np.searchsorted(plan.row_ids, made.neighbor_row_id)]
    return taken


def test_unlinked_columns_come_from_the_neighbor_half_the_time_each_by_itself() -> None:
    found = from_neighbor(planned(np.random.default_rng(6).standard_normal((4000, 4)), 8000, [False] * 4), 8000)
    np.testing.assert_allclose(found.mean(axis=1), 0.5, atol=0.03)
    # Of the 16 outcomes the two that would be copies are not there, which ties the columns by -1/7.
    np.testing.assert_allclose(np.atleast_2d(np.corrcoef(found))[~np.eye(4, dtype=bool)], -1 / 7, atol=0.06)


def test_columns_that_say_the_same_come_from_the_same_parent() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 400))
    rows = np.c_[x, y, np.exp(x), rng.standard_normal(400), y > 0]
    found = from_neighbor(planned(rows, 4000, [False] * 4 + [True]), 4000)
    assert (found[0] == found[2]).mean() > 0.97
    assert (found[0] == found[1]).mean() < 0.5


def test_columns_of_a_group_are_never_parted() -> None:
    rows = np.random.default_rng(8).standard_normal((60, 4))
    found = from_neighbor(planned(rows, 3000, [False] * 4, groups=np.array([0, 1, 0, 2])), 3000)
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()


@pytest.mark.parametrize("n_rows", [30, 2000])
def test_the_association_of_categories_is_cramers_v(n_rows: int) -> None:
    rng = np.random.default_rng(9)
    a = rng.integers(0, 4, n_rows)
    b = np.where(rng.random(n_rows) < 0.6, a % 3, rng.integers(0, 3, n_rows))
    found = cramers_v(np.stack([a, b]).astype(np.float32), np.array([True, True]))[0, 1]
    plain = association(crosstab(a, b).count, method="cramer")
    phi = plain**2 * 2
    rows, columns = 4 - 9 / (n_rows - 1), 3 - 4 / (n_rows - 1)
    expected = np.sqrt(max(0, phi - 6 / (n_rows - 1)) / (min(rows, columns) - 1))
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_tree_has_the_greatest_weight() -> None:
    weights = np.random.default_rng(10).random((12, 12))
    weights = np.maximum(weights, weights.T)
    order, parent = spanning_tree(weights)
    assert sorted(order) == list(range(12))
    assert all(list(order).index(parent[node]) < list(order).index(node) for node in order[1:])
    expected = -minimum_spanning_tree(-np.triu(weights, 1)).sum()
    assert sum(weights[node, parent[node]] for node in order[1:]) == pytest.approx(expected)


@pytest.mark.parametrize("n_rows", [2, 3, 50])
def test_constant_columns_and_few_rows_are_linked_to_nothing(n_rows: int) -> None:
    columns = np.stack([np.ones(n_rows), np.arange(n_rows), np.full(n_rows, 7.0)]).astype(np.float32)
    linkage = fit_linkage(np.arange(n_rows), columns, np.array([False, False, True]), np.arange(3), 0)
    assert linkage.strength.tolist() == [0, 0, 0]


def test_many_columns_of_many_categories_take_seconds_and_little_memory() -> None:
    columns = np.random.default_rng(11).integers(0, 100_000, (500, 3000)).astype(np.float32)
    linkage = fit_linkage(np.arange(3000), columns, np.ones(500, bool), np.arange(500), 0)
    assert linkage.strength.max() < 0.2
