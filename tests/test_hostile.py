"""Every method on rows that are small, flat, wide or out of proportion."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.oversampling.plans import counts_of, oversampler, smote, surrounded

from raresmith.oversampling.base import CellOversampler
from raresmith.oversampling.plan import ClassPlan, in_cells
from raresmith.oversampling.registry import OVERSAMPLERS

METHODS = [
    name
    for name, kind in OVERSAMPLERS.items()
    if not (kind.copies_rows or kind.needs_category_counts or issubclass(kind, CellOversampler))
]
"""Those that take numbers and make new rows of them; of whole cells see test_imblearn_adapter."""


def mixture(
    n_rare: int = 40, n_other: int = 200, n_features: int = 5, seed: int = 0
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Two classes in the same place, so that rare rows are in danger; rows of shape (n_rows, n_features)."""
    rows = np.random.default_rng(seed).standard_normal((n_rare + n_other, n_features))
    return rows, np.repeat([1, 0], [n_rare, n_other])


def few() -> tuple[NDArray[Any], NDArray[np.int64]]:
    return mixture(n_rare=3, n_other=60)


def equal() -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, y = mixture()
    # Every rare row and some of the other class; equal ones are ordered by row_id, so the classes alternate.
    rows[y == 1] = 0.0
    rows[40:80] = 0.0
    order = np.r_[np.arange(80).reshape(2, 40).T.ravel(), 80 : len(rows)]
    return rows[order], y[order]


def constant() -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, y = mixture()
    rows[:, 1:] = [7.0, -1e9, 0.0, 1e-9]
    return rows, y


def wide() -> tuple[NDArray[Any], NDArray[np.int64]]:
    return mixture(n_features=500)


def scales() -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, y = mixture()
    rows *= 10.0 ** np.array([-9, -4, 0, 4, 9])
    return rows, y


def many_categories() -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, y = mixture()
    rows[:, 4] = np.random.default_rng(1).permutation(100_000)[: len(rows)] + 2
    return rows, y


CASES = {case.__name__: case for case in (few, equal, constant, wide, scales, many_categories)}


def planned(
    rows: NDArray[Any], y: NDArray[np.int64], method: str, is_categorical: NDArray[np.bool_], n_to_make: int = 500
) -> ClassPlan:
    columns, rare = np.ascontiguousarray(rows.T), y == 1
    row_ids = np.arange(len(rows)) * 3 - 50
    k = oversampler(method).usable_neighbors(int(rare.sum()), "fraud")
    if OVERSAMPLERS[method].needs_other_classes:
        return surrounded(row_ids, columns, rare, is_categorical, n_to_make, k, 1, method)
    return smote(row_ids[rare], columns[:, rare], is_categorical, n_to_make, k, 1, method)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_valid_rows_of_hostile_ones(method: str, case: str, dtype: type[np.floating[Any]]) -> None:
    rows, y = CASES[case]()
    rows = rows.astype(dtype)
    is_categorical = np.zeros(rows.shape[1], bool)
    is_categorical[-1] = case == "many_categories"
    plan = planned(rows, y, method, is_categorical)
    made = plan.rows(np.arange(plan.n_to_make))
    # ADASYN rounds each base's number.
    assert plan.n_to_make == pytest.approx(500, abs=0 if method != "adasyn" else 20)
    assert len(set(made.row_id)) == plan.n_to_make
    assert (made.base_row_id != made.neighbor_row_id).all()
    assert set(made.base_row_id) <= set(np.flatnonzero(y == 1) * 3 - 50)
    at = {row_id: i for i, row_id in enumerate(np.arange(len(rows)) * 3 - 50)}
    base, neighbor = (rows[[at[i] for i in ids]] for ids in (made.base_row_id, made.neighbor_row_id))
    numeric = ~is_categorical
    values = made.columns.T
    assert (values[:, numeric] >= np.minimum(base, neighbor)[:, numeric]).all()
    assert (values[:, numeric] <= np.maximum(base, neighbor)[:, numeric]).all()
    assert set(values[:, is_categorical].ravel()) <= set(rows[:, is_categorical].ravel())
    # No copy of a parent, unless the parents coincide or the row is drawn to an end by rounding.
    if case in ("few", "wide"):
        assert (values != base).any(axis=1).all()
        assert (values != neighbor).any(axis=1).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", [name for name in METHODS if not OVERSAMPLERS[name].needs_other_classes])
def test_cells_hold_enough_neighbors_of_hostile_rows(method: str, case: str) -> None:
    rows, y = CASES[case]()
    plan = planned(rows.astype(np.float32), y, method, np.zeros(rows.shape[1], bool))
    parted, fit = in_cells(plan, "cells", 0.95)
    assert fit.recall >= 0.95
    assert parted.rows(np.arange(500)).columns.shape == (rows.shape[1], 500)


def codes_of(case: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Codes of shape (n_rows, n_features) and classes."""
    rng = np.random.default_rng(2)
    sizes = {"few": 4, "equal": 1, "constant": 1, "wide": 3, "many_categories": 100_000}
    shape = {"few": (60, 4), "wide": (200, 500)}.get(case, (200, 4))
    codes = rng.integers(2, 2 + sizes[case], shape)
    if case == "constant":
        codes[:, 0] = rng.integers(2, 9, len(codes))
    return codes, np.arange(len(codes)) < (3 if case == "few" else 40)


@pytest.mark.parametrize("case", ["few", "equal", "constant", "wide", "many_categories"])
def test_smoten_makes_valid_rows_of_hostile_ones(case: str) -> None:
    codes, rare = codes_of(case)
    columns = np.ascontiguousarray(codes[rare].T.astype(np.float32))
    k = oversampler("smoten").usable_neighbors(int(rare.sum()), "fraud")
    everywhere = np.full(len(columns), True)
    plan = smote(np.flatnonzero(rare), columns, everywhere, 500, k, 1, "smoten", counts=counts_of(codes.T, rare))
    for parted in (plan, in_cells(plan, "cells", 0.95)[0]):
        made = parted.rows(np.arange(500))
        assert len(set(made.row_id)) == 500
        assert (made.base_row_id != made.neighbor_row_id).all()
        assert all(set(values) <= set(column) for values, column in zip(made.columns, columns, strict=True))
