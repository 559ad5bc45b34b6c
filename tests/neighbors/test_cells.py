from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.oversampling.plans import smote

from raresmith.errors import DataError
from raresmith.neighbors.cells import COPY_SECONDS, Fit, Members, choose_cells, parts_by_hash, sample_size, sampled
from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import nearest
from raresmith.oversampling.plan import ClassPlan, in_cells

N_ROWS = 12_000


def curved(n_rows: int, n_features: int = 8, seed: int = 0) -> NDArray[np.float32]:
    """Rows near a surface of three dimensions, denser in the middle."""
    rng = np.random.default_rng(seed)
    hidden, mix = rng.standard_normal((3, n_rows)), rng.standard_normal((n_features, 3))
    return (np.tanh(mix @ hidden / 2) + 0.05 * rng.standard_normal((n_features, n_rows))).astype(np.float32)


def numeric(columns: NDArray[Any]) -> NDArray[np.bool_]:
    return np.zeros(len(columns), bool)


def chosen(
    columns: NDArray[Any],
    row_ids: NDArray[np.int64],
    min_recall: float = 0.95,
    is_categorical: NDArray[np.bool_] | None = None,
    weight: float = 0.0,
    k: int = 5,
) -> Fit:
    is_categorical = numeric(columns) if is_categorical is None else is_categorical
    distance = Distance(is_categorical, weight)
    sample = sampled(row_ids, columns, k, distance, 3)
    return choose_cells(sample, len(row_ids), distance, min_recall, 3, "fraud", COPY_SECONDS)


def planned(
    columns: NDArray[Any], n_to_make: int = N_ROWS, k: int = 5, row_ids: NDArray[np.int64] | None = None
) -> ClassPlan:
    row_ids = np.arange(columns.shape[1]) * 5 if row_ids is None else row_ids
    return smote(row_ids, columns, numeric(columns), n_to_make, k, 3)


@pytest.fixture(scope="module")
def plan() -> ClassPlan:
    return planned(curved(N_ROWS))


def recall_of(plan: ClassPlan, exact: ClassPlan) -> float:
    bases = np.arange(len(plan.row_ids))
    found, true = plan.neighbors(bases), exact.neighbors(bases)
    return float((found[:, :, None] == true[:, None]).any(axis=1).mean())


@pytest.mark.parametrize("min_recall", [0.9, 0.98])
def test_cells_find_the_share_of_true_neighbors_that_is_told_and_asked_for(plan: ClassPlan, min_recall: float) -> None:
    parted, fit = in_cells(plan, "cells", min_recall)
    assert fit.recall >= min_recall
    assert fit.pairs < 0.6
    # 1,000 rows were asked, of 12,000.
    assert recall_of(parted, plan) == pytest.approx(fit.recall, abs=0.02)


def test_parts_by_hash_find_few_of_the_true_neighbors_and_say_so() -> None:
    plan = planned(curved(40_000, seed=1))
    parted, fit = in_cells(plan, "partition", 0.95)
    assert len(fit.cells) == 4
    assert fit.recall == pytest.approx(1 / 4, abs=0.05)
    assert recall_of(parted, plan) == pytest.approx(1 / 4, abs=0.02)


def test_the_neighbors_within_a_cell_are_the_nearest_of_its_candidates(plan: ClassPlan) -> None:
    parted, fit = in_cells(plan, "cells", 0.95)
    of_rows = fit.cells.of(plan.row_ids, plan.columns)
    for base in range(0, N_ROWS, 1013):
        rows = np.flatnonzero((of_rows == of_rows[base, 0]).any(axis=1))
        near, _ = nearest(plan.columns[:, rows], np.flatnonzero(rows == base), 5, plan.distance)
        np.testing.assert_array_equal(parted.neighbors(np.array([base]))[0], rows[near[0]])


def test_a_row_has_the_same_cells_whichever_rows_it_is_asked_with(plan: ClassPlan) -> None:
    _, fit = in_cells(plan, "cells", 0.95)
    whole = fit.cells.of(plan.row_ids, plan.columns)
    assert whole.shape == (N_ROWS, fit.cells.fan_out)
    assert (np.sort(whole, axis=1)[:, 1:] != np.sort(whole, axis=1)[:, :-1]).all()
    some = np.random.default_rng(0).permutation(N_ROWS)[:500]
    np.testing.assert_array_equal(fit.cells.of(plan.row_ids[some], plan.columns[:, some], n_threads=2), whole[some])


def test_any_slicing_of_rows_made_in_cells_gives_the_same_bits(plan: ClassPlan) -> None:
    parted, _ = in_cells(plan, "cells", 0.95)
    whole = parted.rows(np.arange(N_ROWS))
    assert len(set(whole.row_id)) == N_ROWS
    assert set(whole.row_id) == set(plan.rows(np.arange(N_ROWS)).row_id)
    for numbers in (np.arange(5), np.arange(6000, 7003), np.arange(N_ROWS - 1, N_ROWS)):
        part = parted.rows(numbers)
        np.testing.assert_array_equal(part.columns, whole.columns[:, numbers])
        np.testing.assert_array_equal(part.neighbor_row_id, whole.neighbor_row_id[numbers])


def test_no_cell_is_much_heavier_than_the_others_where_rows_bunch() -> None:
    rng = np.random.default_rng(4)
    bunched = np.where(rng.random(60_000) < 0.8, 1e-3, 10.0) * rng.standard_normal((4, 60_000))
    fit = chosen(bunched.astype(np.float32), np.arange(60_000))
    homes = np.bincount(fit.cells.of(np.arange(60_000), bunched.astype(np.float32))[:, 0], minlength=len(fit.cells))
    assert len(fit.cells) > 20
    assert homes.max() < 4 * homes.mean()


def test_a_heap_of_equal_rows_is_dealt_into_cells_without_loss() -> None:
    columns = np.ones((3, 30_000), np.float32)
    row_ids = np.arange(30_000) * 7 - 1000
    fit = chosen(columns, row_ids)
    homes = np.bincount(fit.cells.of(row_ids, columns)[:, 0])
    assert fit.recall == 1
    assert len(homes) > 5
    assert homes.max() < 2 * homes.mean()
    made = in_cells(planned(columns, 500, row_ids=row_ids), "cells", 0.95)[0].rows(np.arange(500))
    assert (made.columns == 1).all()
    assert (made.base_row_id != made.neighbor_row_id).all()


def test_categories_count_in_the_cells() -> None:
    rng = np.random.default_rng(5)
    columns = np.r_[rng.standard_normal((2, N_ROWS)), rng.integers(2, 9, (2, N_ROWS))].astype(np.float32)
    is_categorical = np.array([False, False, True, True])
    fit = chosen(columns, np.arange(N_ROWS), is_categorical=is_categorical, weight=4.0)
    assert fit.recall >= 0.95
    assert fit.pairs < 0.5
    with_codes = fit.cells.of(np.arange(N_ROWS), columns)[:, 0]
    columns[2:] = 2
    assert (fit.cells.of(np.arange(N_ROWS), columns)[:, 0] != with_codes).mean() > 0.5


def test_a_recall_that_no_cells_in_memory_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(6).standard_normal((30, 20_000)).astype(np.float32)
    monkeypatch.setattr("raresmith.neighbors.cells._CELL_BYTES", 2**19)
    with pytest.raises(
        DataError, match=r"at most 0\.\d+ of the true neighbours of class 'fraud', but .*min_recall is 0\.95"
    ):
        chosen(noise, np.arange(20_000))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), n_rows=st.integers(2, 300), k=st.integers(1, 5), distinct=st.integers(1, 50))
def test_small_and_lumpy_classes_get_all_their_neighbors(seed: int, n_rows: int, k: int, distinct: int) -> None:
    k = min(k, n_rows - 1)
    columns = np.random.default_rng(seed).integers(0, distinct, (2, n_rows)).astype(np.float32)
    plan = planned(columns, 2 * n_rows, k)
    for neighbors in ("cells", "partition"):
        parted, fit = in_cells(plan, neighbors, 0.95)
        assert fit.recall == 1
        np.testing.assert_array_equal(parted.neighbors(np.arange(n_rows)), plan.neighbors(np.arange(n_rows)))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_weights_between_columns_do_no_harm(scale: float) -> None:
    columns = curved(N_ROWS)
    columns[0] *= scale
    fit = chosen(columns, np.arange(N_ROWS))
    assert fit.recall >= 0.95


def test_members_are_the_candidates_of_each_cell_in_order() -> None:
    members = Members(np.array([[1, 0], [0, 1], [1, 2], [2, 1]]), 3)
    assert [members.candidates(cell).tolist() for cell in range(3)] == [[0, 1], [0, 1, 2, 3], [2, 3]]
    assert members.order.tolist() == [1, 0, 2, 3]


def test_the_sample_is_bounded_and_enough_for_its_cells() -> None:
    assert sample_size(500, 120) == 500
    assert sample_size(10**5, 120) == 10_000
    assert sample_size(10**8, 120) == 10**8 // 4096 * 16
    assert sample_size(10**8, 4000) == 2**27 // 4000


def test_parts_of_a_small_class_are_one() -> None:
    columns = curved(300)
    sample = sampled(np.arange(300), columns, 5, Distance(numeric(columns)), 0)
    assert parts_by_hash(sample, 300, Distance(numeric(columns)), 0).measures() == {
        "cells": 1, "fan_out": 1, "recall": 1.0, "pairs": 1.0, "heaviest_cell": 1.0,
    }  # fmt: skip
