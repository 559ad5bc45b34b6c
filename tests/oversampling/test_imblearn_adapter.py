"""One cell, given to a sampler of imbalanced-learn."""

import subprocess
import sys
from typing import Any

import imblearn.over_sampling
import numpy as np
import pytest
from imblearn.combine import SMOTETomek
from numpy.typing import NDArray
from tests.oversampling.plans import smote
from tests.test_hostile import CASES, many_categories, mixture
from threadpoolctl import threadpool_limits

from raresmith.errors import ConfigError, DataError
from raresmith.oversampling.base import CellRows, Features
from raresmith.oversampling.imblearn_adapter import ImblearnSampler, _appended, sampler_state

SAMPLERS = sorted(imblearn.over_sampling.__all__)
PARAMS = {"KMeansSMOTE": {"cluster_balance_threshold": 0.01}}


def cell_of(rows: NDArray[Any], y: NDArray[Any], dtype: type[np.floating[Any]] = np.float64) -> CellRows:
    return CellRows(row_ids=np.arange(len(y)) * 3 - 50, labels=y, columns=np.ascontiguousarray(rows.T.astype(dtype)))


def configured(sampler: str, **settings: Any) -> ImblearnSampler:
    parameters = {"sampler": sampler, "sampler_params": PARAMS.get(sampler, {}), **settings}
    return ImblearnSampler(ImblearnSampler.Parameters(**parameters))


NUMBERS = Features(np.zeros(5, bool))


def made_of(
    cell: CellRows, n_to_make: int, sampler: ImblearnSampler, is_categorical: NDArray[np.bool_] | None = None
) -> tuple[NDArray[Any], dict[str, NDArray[Any]], dict[str, int]]:
    """Values (n_made, n_features), the other fields joined, and the rows of each maker."""
    is_categorical = np.zeros(len(cell.columns), bool) if is_categorical is None else is_categorical
    parts = list(sampler.made_in_cell(cell, 1, n_to_make, Features(is_categorical), 7))
    joined = {
        name: np.concatenate([getattr(made, name) for made, _ in parts])
        for name in ("row_id", "base_row_id", "neighbor_row_id", "gap")
    }
    values = np.concatenate([made.columns for made, _ in parts], axis=1).T
    return values, joined, {by: sum(len(made.gap) for made, who in parts if who == by) for _, by in parts}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["ADASYN", "BorderlineSMOTE", "KMeansSMOTE", "RandomOverSampler", "SMOTE", "SVMSMOTE"])
def test_a_cell_gets_the_rows_that_imbalanced_learn_makes_of_it(name: str, dtype: type[np.floating[Any]]) -> None:
    rows, y = mixture(n_rare=60, n_other=300, seed=3)
    cell, sampler = cell_of(rows, y, dtype), configured(name)
    values, made, by = made_of(cell, 200, sampler)
    kind = getattr(imblearn.over_sampling, name)
    neighbors = {} if name in ("ADASYN", "RandomOverSampler") else {"k_neighbors": 5}
    peer = kind(sampling_strategy={1: 260}, random_state=sampler_state(7, -50), **neighbors, **PARAMS.get(name, {}))
    with threadpool_limits(1):
        expected = peer.fit_resample(cell.columns.T, y)[0][360:]
    shared = min(len(expected), 200)
    assert shared > 180 or name == "SVMSMOTE"
    assert by["imblearn"] >= min(shared, 180)
    np.testing.assert_array_equal(values[:shared], expected[:shared])
    assert len(values) == len(set(made["row_id"])) == 200


def test_the_parents_are_the_two_nearest_rows_of_the_class_and_the_gap_tells_how_near() -> None:
    rows, y = mixture(n_rare=60, n_other=300, seed=3)
    cell = cell_of(rows, y)
    values, made, _ = made_of(cell, 100, configured("SMOTE"))
    own = cell.row_ids[y == 1]
    lengths = np.sqrt(((values[:, None] - rows[y == 1]) ** 2).sum(axis=2))
    order = np.argsort(lengths, axis=1)[:, :2]
    np.testing.assert_array_equal(made["base_row_id"], own[order[:, 0]])
    np.testing.assert_array_equal(made["neighbor_row_id"], own[order[:, 1]])
    near = np.take_along_axis(lengths, order, axis=1)
    np.testing.assert_allclose(made["gap"], near[:, 0] / near.sum(axis=1))


def test_a_refused_cell_is_made_by_smote_and_says_so() -> None:
    rows, y = mixture(n_rare=40, n_other=2000)
    cell = cell_of(rows, y)
    # "No clusters found with sufficient samples of class 1": no part of the table is half rare.
    values, made, by = made_of(cell, 500, configured("KMeansSMOTE", sampler_params={}))
    assert by == {"smote": 500}
    own = y == 1
    plan = smote(cell.row_ids[own], cell.columns[:, own], np.zeros(5, bool), 500, 5, 7)
    np.testing.assert_array_equal(values, plan.rows(np.arange(500)).columns.T)
    np.testing.assert_array_equal(made["row_id"], plan.rows(np.arange(500)).row_id)


def test_a_sampler_that_makes_only_a_part_is_asked_again() -> None:
    # All bases are in danger, so SVM-SMOTE leaves out those that it would make of safe ones.
    rows, y = mixture(n_rare=60, n_other=300, seed=3)
    cell, sampler = cell_of(rows, y), configured("SVMSMOTE")
    values, _, by = made_of(cell, 200, sampler)
    first = next(sampler.made_in_cell(cell, 1, 200, NUMBERS, 7))[0]
    assert 0 < len(first.gap) < 150
    assert by == {"imblearn": 200}
    assert len(np.unique(values, axis=0)) == 200


def test_rows_that_the_sampler_made_too_few_are_made_by_smote() -> None:
    rows, y = mixture(n_rare=60, n_other=300, seed=3)
    # ADASYN rounds each base's share: 187 come, and of 13 more every share rounds to 0.
    values, made, by = made_of(cell_of(rows, y), 200, configured("ADASYN"))
    assert by == {"imblearn": 187, "smote": 13}
    assert len(values) == len(set(made["row_id"])) == 200


def test_many_times_as_many_rows_as_a_cell_holds_are_made_in_turns() -> None:
    rows, y = mixture(n_rare=60, n_other=300)
    sampler = configured("SMOTE", cell_rows=1000)
    values, made, by = made_of(cell_of(rows, y), 5001, sampler)
    assert by == {"imblearn": 5001}
    assert len(set(made["row_id"])) == 5001
    assert len(np.unique(values, axis=0)) == 5001
    assert max(len(part.gap) for part, _ in sampler.made_in_cell(cell_of(rows, y), 1, 5001, NUMBERS, 7)) == 2000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"SMOTEN", "SMOTENC"}))
def test_every_sampler_gives_as_many_rows_as_asked_of_hostile_ones(
    name: str, case: str, dtype: type[np.floating[Any]]
) -> None:
    rows, y = CASES[case]()
    is_categorical = np.zeros(rows.shape[1], bool)
    is_categorical[-1] = case == "many_categories"
    cell = cell_of(rows, y, dtype)
    values, made, by = made_of(cell, 500, configured(name), is_categorical)
    assert values.dtype == dtype
    assert len(values) == len(set(made["row_id"])) == 500
    assert np.isfinite(values).all()
    assert set(made["base_row_id"]) | set(made["neighbor_row_id"]) <= set(cell.row_ids[y == 1])
    assert (made["base_row_id"] != made["neighbor_row_id"]).all()
    assert ((made["gap"] >= 0) & (made["gap"] <= (0.5 if set(by) == {"imblearn"} else 1))).all()
    assert set(values[:, is_categorical].ravel()) <= set(cell.columns[is_categorical][:, y == 1].ravel())


@pytest.mark.parametrize("name", ["SMOTENC", "SMOTEN", "SVMSMOTE"])
def test_made_categories_are_those_of_rows_of_the_class(name: str) -> None:
    rows, y = many_categories()
    rows[:, 3:] = np.random.default_rng(2).integers(2, 6, (len(rows), 2))
    is_categorical = np.array([name == "SMOTEN"] * 3 + [True, True])
    values, _, by = made_of(cell_of(rows, y, np.float32), 300, configured(name), is_categorical)
    assert by == {"imblearn": 300}
    for f in np.flatnonzero(is_categorical):
        assert set(values[:, f]) <= set(rows[y == 1][:, f].astype(np.float32))


def test_one_row_of_the_class_is_its_own_neighbor() -> None:
    rows, y = mixture(n_rare=1, n_other=60)
    _, made, by = made_of(cell_of(rows, y), 9, configured("RandomOverSampler"))
    assert by == {"imblearn": 9}
    np.testing.assert_array_equal(made["base_row_id"], made["neighbor_row_id"])
    assert (made["gap"] == 0).all()


def test_a_sampler_that_moves_rows_is_refused() -> None:
    rows, y = mixture()
    cell = cell_of(rows, y)
    with pytest.raises(DataError, match="SMOTETomek moves, drops or relabels rows, but raresmith takes only"):
        _appended(SMOTETomek(random_state=0), cell, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "SVMSMOT"}, r"oversample.sampler must be one of \['ADASYN', .*'SVMSMOTE'\] .*got 'SVMSMOT'"),
        (
            {"sampler": "SMOTE", "sampler_params": {"kind": "x"}},
            r"names \['kind'\], but SMOTE takes \['k_neighbors'\]; name",
        ),
        ({"sampler": "BorderlineSMOTE", "sampler_params": {"kind": "x"}}, r"do not fit: The 'kind' parameter of Bord"),
        ({"sampler": "SVMSMOTE", "sampler_params": {"out_step": 2}}, r"'out_step' parameter of SVMSMOTE must be"),
    ],
)
def test_what_the_sampler_does_not_take_is_refused_before_it_runs(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ImblearnSampler(ImblearnSampler.Parameters(**settings)).check()


@pytest.mark.parametrize(
    ("name", "is_categorical", "message"),
    [
        ("SMOTENC", [False, False], 'all features are numbers; set oversample.sampler = "SMOTE"'),
        ("SMOTENC", [True, True], 'all features are categories; set oversample.sampler = "SMOTEN"'),
        ("SMOTEN", [True, False], "SMOTEN takes categories only"),
    ],
)
def test_columns_that_the_sampler_does_not_take_are_refused(
    name: str, is_categorical: list[bool], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        configured(name).check(Features(np.array(is_categorical)))


def test_without_imbalanced_learn_one_sentence_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['imblearn'] = None\n"
        "from raresmith.oversampling.imblearn_adapter import ImblearnSampler\n"
        "ImblearnSampler(ImblearnSampler.Parameters(sampler='SVMSMOTE')).check()\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "imbalanced-learn is not installed; install raresmith[imblearn]" in answer.stderr.splitlines()[-1]


def test_the_modules_of_the_package_do_not_import_scikit_learn() -> None:
    code = (
        "import sys, raresmith.oversampling.imblearn_adapter, raresmith.neighbors.regions; print(sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in loaded for name in ("sklearn", "imblearn", "pyspark", "torch"))


def test_cells_have_the_rows_of_the_class_that_the_sampler_asks_for() -> None:
    assert configured("SMOTE").fewest_rows == 16
    assert configured("SMOTE", k_neighbors=40).fewest_rows == 41
    assert configured("ADASYN", sampler_params={"n_neighbors": 30}).fewest_rows == 31
