"""What every registered oversampler keeps to; one brought by an entry point is checked as well."""

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.oversampling.plans import counts_of, oversampler, smote, surrounded
from tests.test_hostile import CASES, mixture

from raresmith.config.notes import notes
from raresmith.errors import NothingToMake
from raresmith.oversampling.base import CellOversampler, CellRows, Features, FoundBases, copies_per_base
from raresmith.oversampling.plan import ClassPlan, in_cells, plan_copies
from raresmith.oversampling.registry import OVERSAMPLERS

RARE = 40
N_TO_MAKE = 300
SETTINGS = {"sampler": "SVMSMOTE"}
"""What has no default."""


LONELY = [name for name in OVERSAMPLERS if oversampler(name, **SETTINGS).usable_neighbors(RARE, "fraud") == 0]
"""Those that look for no neighbours."""
BY_ITSELF = [
    name
    for name, kind in OVERSAMPLERS.items()
    if not (kind.needs_other_classes or name in LONELY or issubclass(kind, CellOversampler))
]
"""Those that look for neighbours in the class alone; of the others see tests/spark/oversample/test_common.py."""
NUMBERS = [name for name, kind in OVERSAMPLERS.items() if not kind.needs_category_counts]


@pytest.fixture(params=list(OVERSAMPLERS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def codes(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Categories in place of numbers, as many as there are different values, up to nine."""
    return np.stack([2 + np.unique(column, return_inverse=True)[1] % 9 for column in rows.T], axis=1)


def rows_for(
    method: str, rows: NDArray[Any], is_categorical: NDArray[np.bool_] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The rows as the method takes them, and which columns are categories."""
    if OVERSAMPLERS[method].needs_category_counts:
        return codes(rows).astype(rows.dtype), np.ones(rows.shape[1], bool)
    return rows, np.zeros(rows.shape[1], bool) if is_categorical is None else is_categorical


def ids_of(rows: NDArray[Any]) -> NDArray[np.int64]:
    return np.arange(len(rows)) * 3 - 50


def planned(
    method: str,
    rows: NDArray[Any],
    y: NDArray[np.int64],
    is_categorical: NDArray[np.bool_],
    n_to_make: int = N_TO_MAKE,
    seed: int = 1,
    **parameters: Any,
) -> ClassPlan:
    """The plan of the class 1 among rows of shape (n_rows, n_features), for all that have one."""
    columns, rare, ids = np.ascontiguousarray(rows.T), y == 1, ids_of(rows)
    kind = oversampler(method, **parameters)
    k = kind.usable_neighbors(int(rare.sum()), "fraud")
    if kind.copies_rows:
        plan = plan_copies(kind, Features(is_categorical), seed)
        copies = copies_per_base(ids[rare], n_to_make, seed)
        return dataclasses.replace(plan, row_ids=ids[rare], columns=columns[:, rare], copies=copies)
    if kind.needs_other_classes:
        return surrounded(ids, columns, rare, is_categorical, n_to_make, k, seed, method)
    counts = counts_of(columns.astype(np.int64), rare) if kind.needs_category_counts else None
    return smote(ids[rare], columns[:, rare], is_categorical, n_to_make, k, seed, method, counts=counts)


def made(
    method: str,
    rows: NDArray[Any],
    y: NDArray[np.int64],
    is_categorical: NDArray[np.bool_],
    n_to_make: int = N_TO_MAKE,
    seed: int = 1,
) -> dict[str, NDArray[Any]]:
    """Fields of the made rows by name, in order of their ids."""
    kind = oversampler(method, **SETTINGS)
    if isinstance(kind, CellOversampler):
        cell = CellRows(row_ids=ids_of(rows), labels=y.astype(np.int32), columns=np.ascontiguousarray(rows.T))
        kind.usable_neighbors(int((y == 1).sum()), "fraud")
        parts = [part for part, _ in kind.made_in_cell(cell, 1, n_to_make, Features(is_categorical), seed)]
    else:
        plan = planned(method, rows, y, is_categorical, n_to_make, seed)
        parts = [plan.rows(np.arange(plan.n_to_make))]
    fields = [field.name for field in dataclasses.fields(parts[0])]
    found = {name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in fields}
    order = np.argsort(found["row_id"])
    return {name: values[..., order] for name, values in found.items()}


def assert_same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> None:
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def assert_valid(
    found: dict[str, NDArray[Any]], method: str, rows: NDArray[Any], y: NDArray[np.int64], n_to_make: int
) -> None:
    """As many rows as asked, each with its own id, finite, and of parents that are there."""
    n_made = len(found["row_id"])
    kind = OVERSAMPLERS[method]
    found_bases = FoundBases(class_name="fraud", n_to_make=n_to_make, n_bases=1, n_others=1, most_others=1)
    rounds = kind.needs_other_classes and oversampler(method, **SETTINGS).choose_bases(found_bases) is not None
    assert abs(n_made - n_to_make) <= (y == 1).sum() / 2 * rounds
    assert len(set(found["row_id"])) == n_made
    assert found["columns"].shape == (rows.shape[1], n_made)
    assert found["columns"].dtype == rows.dtype
    assert np.isfinite(found["columns"]).all()
    assert ((found["gap"] >= 0) & (found["gap"] < 1)).all()
    ids = ids_of(rows)
    assert np.isin(found["base_row_id"], ids[y == 1]).all()
    assert np.isin(found["neighbor_row_id"], ids if kind.towards_other_classes else ids[y == 1]).all()


def test_it_says_what_it_is(method: str) -> None:
    kind = OVERSAMPLERS[method]
    assert kind.name == method
    assert kind.title
    assert kind.explained
    assert kind.__doc__
    assert vars(kind.Parameters)["__dataclass_params__"].frozen
    assert all(field.kw_only for field in dataclasses.fields(kind.Parameters))
    assert notes(kind.Parameters).keys() == {field.name for field in dataclasses.fields(kind.Parameters)}


@pytest.mark.parametrize("n_to_make", [1, 39, 40, 41, 1000])
def test_exactly_as_many_rows_as_asked_or_each_share_rounded(method: str, n_to_make: int) -> None:
    rows, y = mixture(n_rare=RARE)
    rows, is_categorical = rows_for(method, rows)
    try:
        found = made(method, rows, y, is_categorical, n_to_make)
    except NothingToMake as error:
        assert "all shares round to 0" in str(error)
        assert n_to_make < RARE
    else:
        assert_valid(found, method, rows, y, n_to_make)


def test_the_same_rows_again_and_others_by_another_seed(method: str) -> None:
    rows, y = mixture(n_rare=RARE)
    rows, is_categorical = rows_for(method, rows)
    one = made(method, rows, y, is_categorical)
    assert_same(made(method, rows.copy(), y, is_categorical), one)
    assert not set(made(method, rows, y, is_categorical, seed=2)["row_id"]) & set(one["row_id"])


def test_any_slice_by_itself_is_the_same_and_so_is_what_is_sent_to_a_task(method: str) -> None:
    if issubclass(OVERSAMPLERS[method], CellOversampler):
        kind = oversampler(method, **SETTINGS)
        assert pickle.loads(pickle.dumps(kind)).parameters == kind.parameters
        return
    rows, y = mixture(n_rare=RARE)
    rows, is_categorical = rows_for(method, rows)
    plan = planned(method, rows, y, is_categorical)
    whole, sent = plan.rows(np.arange(plan.n_to_make)), pickle.loads(pickle.dumps(plan))
    for start in range(0, plan.n_to_make, 37):
        part = sent.rows(np.arange(start, min(start + 37, plan.n_to_make)))
        for field in dataclasses.fields(part):
            expected = getattr(whole, field.name)[..., start : start + 37]
            np.testing.assert_array_equal(getattr(part, field.name), expected)


@pytest.mark.parametrize("method", NUMBERS)  # the most frequent categories of neighbours may be those of a row
def test_no_made_row_equals_a_train_row_unless_that_is_what_it_does(method: str) -> None:
    rows, y = mixture(n_rare=RARE)
    kind = OVERSAMPLERS[method]
    found = made(method, rows, y, np.zeros(5, bool))
    equal = (found["columns"].T[:, None] == rows[None]).all(axis=2).any(axis=1)
    assert equal.all() if kind.copies_rows else not equal.any()


@pytest.mark.parametrize("n_rows", [1, 2, 5, 6])
def test_few_rows_are_enough_or_told(method: str, n_rows: int) -> None:
    rows, y = mixture(n_rare=n_rows, n_other=30)
    rows, is_categorical = rows_for(method, rows)
    if n_rows == 1 and method not in LONELY:
        with pytest.raises(NothingToMake, match="class 'fraud' has 1 train row"):
            made(method, rows, y, is_categorical)
    else:
        assert_valid(made(method, rows, y, is_categorical), method, rows, y, N_TO_MAKE)


def huge() -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, y = mixture()
    return rows * 1e140, y


@pytest.mark.parametrize("case", [*CASES, "huge"])
def test_hostile_rows_give_valid_ones(method: str, case: str) -> None:
    rows, y = {**CASES, "huge": huge}[case]()
    is_categorical = np.zeros(rows.shape[1], bool)
    is_categorical[-1] = case == "many_categories"
    rows, is_categorical = rows_for(method, rows, is_categorical)
    found = made(method, rows, y, is_categorical)
    assert_valid(found, method, rows, y, N_TO_MAKE)
    for f in np.flatnonzero(is_categorical):
        assert set(found["columns"][f]) <= set(rows[:, f])


@pytest.mark.parametrize("method", BY_ITSELF)
def test_rows_of_one_cell_are_those_of_the_whole_class(method: str) -> None:
    rows, y = mixture(n_rare=RARE)
    rows, is_categorical = rows_for(method, rows)
    plan = planned(method, rows, y, is_categorical)
    parted, fit = in_cells(plan, "cells", 0.95)
    assert len(fit.cells) == 1
    whole, of_cell = (one.rows(np.arange(N_TO_MAKE)) for one in (plan, parted))
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(of_cell, field.name), getattr(whole, field.name))


def test_naming_them_takes_neither_what_only_a_driver_has_nor_what_takes_long() -> None:
    code = (
        "import sys\nfrom raresmith.oversampling.registry import OVERSAMPLERS\nassert len(OVERSAMPLERS) >= 8\n"
        "print([m for m in ('pydantic', 'pyspark', 'torch', 'numba', 'sklearn', 'imblearn', 'raresmith.config') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
