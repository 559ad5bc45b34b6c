from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import ADASYN, BorderlineSMOTE
from numpy.typing import NDArray
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from tests.oversampling.plans import oversampler, surrounded

from raresmith.errors import DataError
from raresmith.oversampling.adasyn import adasyn_copies
from raresmith.oversampling.base import MadeRows
from raresmith.oversampling.plan import ClassPlan


def two_classes(
    n_rare: int = 150, n_other: int = 500, n_features: int = 4, seed: int = 0
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Overlapping classes; rows of shape (n_rows, n_features), rare ones first."""
    rng = np.random.default_rng(seed)
    rare = rng.standard_normal((n_rare, n_features)) + 0.8
    return np.r_[rare, rng.standard_normal((n_other, n_features))], np.r_[np.ones(n_rare), np.zeros(n_other)].astype(
        int
    )


def planned(
    rows: NDArray[Any],
    y: NDArray[np.int64],
    n_to_make: int,
    method: str,
    k: int = 5,
    m: int = 10,
    seed: int = 0,
    asked: int | None = None,
) -> ClassPlan:
    """The plan with k neighbours, of as many as were `asked` for."""
    row_ids, columns = np.arange(len(rows)), np.ascontiguousarray(rows.T)
    numbers = np.zeros(len(columns), bool)
    return surrounded(row_ids, columns, y == 1, numbers, n_to_make, k, seed, method, m, n_threads=2, asked=asked)


def all_rows(plan: ClassPlan) -> MadeRows:
    return plan.rows(np.arange(plan.n_to_make))


def nearest_rows(rows: NDArray[Any], n: int) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = NearestNeighbors(n_neighbors=n + 1).fit(rows).kneighbors(rows)[1]
    return nearest[:, 1:]


@pytest.mark.parametrize("m", [3, 10])
def test_the_rows_in_danger_are_those_of_imbalanced_learn(m: int) -> None:
    rows, y = two_classes()
    theirs = BorderlineSMOTE(m_neighbors=m)
    theirs.fit_resample(rows, y)
    plan = planned(rows, y, 3000, "borderline-1", m=m)
    assert np.flatnonzero(plan.copies).tolist() == theirs.in_danger_indices[1].tolist()
    assert plan.n_to_make == 3000
    assert np.ptp(plan.copies[plan.copies > 0]) <= 1


@pytest.mark.parametrize("k", [3, 5, 8])
def test_adasyn_makes_as_many_rows_of_each_base_as_imbalanced_learn(k: int) -> None:
    rows, y = two_classes()
    theirs = ADASYN(n_neighbors=k, random_state=0)
    made = theirs.fit_resample(rows, y)[0][len(rows) :]
    ratio = (y[nearest_rows(rows, k)[:150]] != 1).sum(axis=1) / k
    plan = planned(rows, y, 350, "adasyn", k=k)
    assert plan.n_to_make == len(made)
    np.testing.assert_array_equal(plan.copies, np.rint(ratio / ratio.sum() * 350))


def test_a_class_with_few_rows_is_judged_by_as_many_of_the_table_as_each_has_in_the_class() -> None:
    rows, y = two_classes(n_rare=4, n_other=30)
    plan = planned(rows, y, 100, "adasyn", k=3, asked=5)
    n_others = (y[nearest_rows(rows, 3)[:4]] == 0).sum(axis=1)
    np.testing.assert_array_equal(plan.copies, adasyn_copies(n_others, 100, n_others.sum()))
    assert (y[nearest_rows(rows, 5)[:4]] == 0).sum(axis=1).tolist() != (5 * n_others / 3).tolist()


def test_adasyn_rounds_half_to_even() -> None:
    assert adasyn_copies(np.array([1, 3, 5, 7]), 8, 16).tolist() == [0, 2, 2, 4]
    assert adasyn_copies(np.array([2, 0, 1]), 2**40, 3).sum() == 2**40


def test_borderline_2_goes_towards_any_class_but_less_than_half_the_way_to_another() -> None:
    rows, y = two_classes()
    plan = planned(rows, y, 20_000, "borderline-2")
    made = all_rows(plan)
    near = nearest_rows(rows, 5)
    drawn = near[made.base_row_id] == made.neighbor_row_id[:, None]
    assert drawn.any(axis=1).all()
    assert stats.chisquare(np.bincount(drawn.argmax(axis=1), minlength=5)).pvalue > 0.01
    foreign = y[made.neighbor_row_id] == 0
    assert 0.3 < foreign.mean() < 0.9
    assert made.gap[foreign].max() < 0.5
    # u · v / 2 of two uniform numbers, as imbalanced-learn draws it.
    u, v = np.random.default_rng(0).random((2, 20_000))
    assert stats.ks_2samp(made.gap[foreign], u * v / 2).pvalue > 0.01
    assert stats.kstest(made.gap[~foreign], "uniform").pvalue > 0.01
    base = rows[made.base_row_id]
    expected = base + made.gap[:, None] * (rows[made.neighbor_row_id] - base)
    np.testing.assert_allclose(made.columns.T, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("method", "theirs"),
    [
        ("borderline-1", lambda seed: BorderlineSMOTE(kind="borderline-1", random_state=seed)),
        ("borderline-2", lambda seed: BorderlineSMOTE(kind="borderline-2", random_state=seed)),
        ("adasyn", lambda seed: ADASYN(random_state=seed)),
    ],
)
def test_made_rows_are_distributed_as_those_of_imbalanced_learn(method: str, theirs: Callable[..., Any]) -> None:
    rows, y = two_classes(seed=1)
    ours = np.concatenate([all_rows(planned(rows, y, 350, method, seed=seed)).columns.T for seed in range(40)])
    other = np.concatenate([theirs(seed).fit_resample(rows, y)[0][len(rows) :] for seed in range(40)])
    assert len(ours) == len(other)
    for direction in [*np.eye(4), *np.random.default_rng(2).standard_normal((4, 4))]:
        assert stats.ks_2samp(ours @ direction, other @ direction).pvalue > 0.01


@pytest.mark.parametrize("method", ["borderline-1", "borderline-2", "adasyn"])
def test_any_slicing_makes_the_same_rows_bit_for_bit(method: str) -> None:
    rows, y = two_classes()
    plan = planned(rows.astype(np.float32), y, 1000, method)
    whole = all_rows(plan)
    for start in range(0, plan.n_to_make, 333):
        part = plan.rows(np.arange(start, min(start + 333, plan.n_to_make)))
        np.testing.assert_array_equal(part.columns, whole.columns[:, start : start + 333])
        np.testing.assert_array_equal(part.row_id, whole.row_id[start : start + 333])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), m=st.integers(1, 12), n_rare=st.integers(2, 30), n_other=st.integers(1, 30))
def test_ties_and_few_rows_are_decided_by_distance_and_row_id(seed: int, m: int, n_rare: int, n_other: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, (n_rare + n_other, 2)).astype(float)
    y = np.zeros(len(rows), int)
    y[rng.permutation(len(rows))[:n_rare]] = 1
    squared = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    n_others = (y[np.argsort(squared, axis=1, kind="stable")[:, : min(m, len(rows) - 1)]] == 0).sum(axis=1)[y == 1]
    danger = oversampler("borderline-1", m_neighbors=m).may_be_base(n_others)
    try:
        plan = planned(rows, y, 1000, "borderline-1", k=1, m=m)
    except DataError:
        assert not danger.any()
    else:
        np.testing.assert_array_equal(plan.copies > 0, danger)


@pytest.mark.parametrize("method", ["borderline-1", "borderline-2"])
def test_a_class_without_a_row_in_danger_is_refused(method: str) -> None:
    rows, y = two_classes()
    rows[y == 1] += 100
    with pytest.raises(DataError, match=r"no row of class 'fraud' .* 10 nearest rows in other classes.*m_neighbors"):
        planned(rows, y, 100, method)


def test_adasyn_is_refused_where_imbalanced_learn_refuses_it() -> None:
    rows, y = two_classes()
    rows[y == 1] += 100
    with pytest.raises(RuntimeError):
        ADASYN().fit_resample(rows, y)
    with pytest.raises(DataError, match="no row of class 'fraud' has a row of another class among its nearest"):
        planned(rows, y, 100, "adasyn")
    rows, y = two_classes()
    with pytest.raises(ValueError, match="No samples will be generated"):
        ADASYN(sampling_strategy={1: 151}).fit_resample(rows, y)
    with pytest.raises(
        DataError, match=r"shares 1 rows of class 'fraud' out among .* bases, and all shares round to 0"
    ):
        planned(rows, y, 1, "adasyn")
