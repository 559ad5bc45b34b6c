import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTENC
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

import raresmith
from raresmith.neighbors.distance import Distance, category_weight
from raresmith.neighbors.search import Candidates, nearest

KERNEL = ("kernel", "microkernel")


def numeric(n_features: int) -> NDArray[np.bool_]:
    return np.zeros(n_features, bool)


def by_hand(
    rows: NDArray[Any], k: int, is_categorical: NDArray[np.bool_], weight: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """All distances in full, ranked by (distance, index)."""
    rows = rows.astype(np.float64)
    squares = (rows[:, None, ~is_categorical] - rows[None, :, ~is_categorical]) ** 2
    distances = np.zeros((len(rows), len(rows)))
    for f in range(squares.shape[2]):  # in column order, as promised
        distances += squares[:, :, f]
    distances += weight * (rows[:, None, is_categorical] != rows[None, :, is_categorical]).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(distances, indices, axis=1)


def assert_as_by_hand(rows: NDArray[Any], k: int, is_categorical: NDArray[np.bool_], weight: float = 0.0) -> None:
    indices, distances = nearest(
        np.ascontiguousarray(rows.T), np.arange(len(rows)), k, Distance(is_categorical, weight)
    )
    expected_indices, expected_distances = by_hand(rows, k, is_categorical, weight)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(distances, expected_distances)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 5, 13])
def test_neighbors_are_those_of_scikit_learn(dtype: type[np.floating[Any]], n_features: int) -> None:
    rows = np.random.default_rng(0).standard_normal((2500, n_features)).astype(dtype)
    found, squared = nearest(np.ascontiguousarray(rows.T), np.arange(2500), 5, Distance(numeric(n_features)))
    brute = NearestNeighbors(n_neighbors=6, algorithm="kd_tree").fit(rows.astype(np.float64))
    distances, expected = brute.kneighbors(rows.astype(np.float64))
    np.testing.assert_array_equal(found, expected[:, 1:])
    np.testing.assert_allclose(np.sqrt(squared), distances[:, 1:], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equally_near_rows_come_in_order_of_index(data: st.DataObject) -> None:
    """Few distinct values make many ties and duplicates."""
    n_rows, n_features = data.draw(st.integers(2, 40)), data.draw(st.integers(1, 7))
    seed, k = data.draw(st.integers(0, 2**32)), data.draw(st.integers(1, n_rows - 1))
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, (n_rows, n_features)).astype(data.draw(st.sampled_from([np.float32, np.float64])))
    is_categorical = rng.random(n_features) < 0.5
    assert_as_by_hand(rows, k, is_categorical, data.draw(st.sampled_from([0.0, 0.25, 1.0, 3.0])))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), exponents=st.lists(st.integers(-30, 30), min_size=1, max_size=9))
def test_columns_of_any_scale_leave_the_order_exact(seed: int, exponents: list[int]) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((60, len(exponents))) * 10.0 ** np.array(exponents)
    rows[rng.integers(0, 60, 10)] = rows[rng.integers(0, 60, 10)]
    for dtype in (np.float32, np.float64):
        assert_as_by_hand(rows.astype(dtype), 5, numeric(len(exponents)))


def test_squares_beyond_32_bits_do_not_hide_a_neighbor() -> None:
    rows = np.array([[0.0], [3e38], [2.9e38], [1e-30], [1e20]], np.float32)
    assert_as_by_hand(rows, 4, numeric(1))


def test_rows_beyond_one_tile_are_ranked_with_the_rest() -> None:
    rng = np.random.default_rng(1)
    rows = np.round(rng.standard_normal((2600, 3)), 1).astype(np.float32)
    assert_as_by_hand(rows, 7, np.array([False, True, False]), 0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_slicing_of_the_queries_gives_the_same_bits(dtype: type[np.floating[Any]]) -> None:
    rng = np.random.default_rng(2)
    columns = rng.standard_normal((11, 3000)).astype(dtype)
    is_categorical = np.arange(11) > 7
    columns[is_categorical] = rng.integers(2, 5, (3, 3000))
    whole = nearest(columns, np.arange(3000), 5, Distance(is_categorical, 0.7))
    for size in (1, 7, 1000):
        for start in (0, 1499, 2999):
            part = nearest(columns, np.arange(start, min(start + size, 3000)), 5, Distance(is_categorical, 0.7))
            for whole_array, part_array in zip(whole, part, strict=True):
                np.testing.assert_array_equal(part_array, whole_array[start : start + size])


def test_any_number_of_threads_gives_the_same_bits() -> None:
    columns = np.random.default_rng(3).standard_normal((6, 1000)).astype(np.float32)
    for one, three in zip(
        *(nearest(columns, np.arange(1000), 4, Distance(numeric(6)), n_threads=n) for n in (1, 3)), strict=True
    ):
        np.testing.assert_array_equal(one, three)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_rows_of_another_table_find_their_nearest_candidates_within_their_limits(data: st.DataObject) -> None:
    seed, k = data.draw(st.integers(0, 2**32)), data.draw(st.integers(1, 9))
    rng = np.random.default_rng(seed)
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    columns = (rng.integers(0, 4, (3, data.draw(st.integers(1, 70)))) / 3).astype(dtype)
    queries = (rng.integers(0, 4, (3, data.draw(st.integers(0, 30)))) / 3).astype(dtype)
    within = rng.choice([0.0, 0.5, 2.0, np.inf], queries.shape[1])
    found, squared = Candidates(columns, Distance(np.array([False, False, True]), 0.5)).nearest(
        queries, k, within=within
    )
    for q, query in enumerate(queries.T):
        distances = ((query[:2].astype(float) - columns[:2].T.astype(float)) ** 2).sum(axis=1)
        distances += 0.5 * (query[2] != columns[2])
        order = [i for i in np.argsort(distances, kind="stable") if distances[i] <= within[q]][:k]
        assert found[q].tolist() == [*order, *[-1] * (k - len(order))]
        np.testing.assert_allclose(squared[q], [*distances[order], *[np.inf] * (k - len(order))], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_quick_sums_hide_nothing_where_distances_are_tiny_beside_the_values(
    dtype: type[np.floating[Any]], offset: float
) -> None:
    """Two tight bunches far apart, and a weight far above or below the numbers."""
    rng = np.random.default_rng(4)
    bunch = rng.integers(0, 2, 80) * 1000 + offset
    rows = np.c_[bunch, bunch, rng.integers(0, 3, 80)] + np.c_[rng.standard_normal((80, 2)) * 1e-4, np.zeros(80)]
    for weight in (1e-12, 1.0, 1e12):
        assert_as_by_hand(rows.astype(dtype), 6, np.array([False, False, True]), weight)


def test_a_row_is_not_its_own_neighbor_but_its_duplicate_is() -> None:
    columns = np.array([[1, 1, 1, 5]], np.float32)
    indices, squared = nearest(columns, np.array([0, 1, 2, 3]), 2, Distance(numeric(1)))
    assert indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    assert squared.tolist() == [[0, 0], [0, 0], [0, 0], [16, 16]]


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbors_than_there_are_rows_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match="k must be from 1 to 3"):
        nearest(np.zeros((1, 4), np.float32), np.array([0]), k, Distance(numeric(1)))


class Recording(NearestNeighbors):  # type: ignore[misc]
    """What imbalanced-learn asked and was told."""

    answers: list[Any] = []  # noqa: RUF012

    def kneighbors(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().kneighbors(*args, **kwargs)
        self.answers.append(answer)
        return answer


def test_mixed_neighbors_are_those_of_smotenc() -> None:
    rng = np.random.default_rng(3)
    rows = np.c_[rng.standard_normal((400, 4)) * [1, 3, 0.1, 10], rng.integers(2, 6, (400, 3))]
    is_categorical = np.array([False] * 4 + [True] * 3)
    both, y = np.r_[rows, np.zeros((500, 7))], np.r_[np.ones(400), np.zeros(500)]
    Recording.answers.clear()
    SMOTENC([4, 5, 6], k_neighbors=Recording(n_neighbors=6, algorithm="brute")).fit_resample(both, y)
    columns = np.ascontiguousarray(rows.T)
    found, _ = nearest(columns, np.arange(400), 5, Distance(is_categorical, category_weight(columns, is_categorical)))
    np.testing.assert_array_equal(found, Recording.answers[0][:, 1:])


@pytest.mark.parametrize("name", ["raresmith.zip", "raresmith.egg"])
def test_the_kernel_runs_from_an_archive(tmp_path: Path, name: str) -> None:
    """As in an executor of spark-submit --py-files; beside an egg Numba finds no place to keep machine code."""
    archive = tmp_path / name
    root = Path(raresmith.__file__).parent
    with zipfile.ZipFile(archive, "w") as file:
        for module in (
            "__init__.py",
            "compiled.py",
            "errors.py",
            *(f"neighbors/{n}.py" for n in ("__init__", *KERNEL, "distance", "search")),
        ):
            file.write(root / module, f"raresmith/{module}")
    script = (
        f"import numpy as np, raresmith.neighbors.search as n; assert {name!r} in n.__file__; "
        "print(n.nearest(np.array([[0, 1, 3]], 'f4'), np.arange(3), 1, n.Distance(np.array([False])))[0].ravel())"
    )
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(archive), *filter(None, sys.path)]),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "[1 0 1]", done.stderr


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_directions_to_compare_rows_in_first_change_nothing(data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_numeric, n_codes, n_rows = (
        data.draw(st.integers(2, 12)),
        data.draw(st.integers(0, 2)),
        data.draw(st.integers(1, 150)),
    )
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    rows = (
        rng.integers(0, 4, (n_numeric + n_codes, n_rows))
        if data.draw(st.booleans())
        else (
            rng.standard_normal((n_numeric + n_codes, n_rows)) * 10.0 ** rng.integers(-3, 4, (n_numeric + n_codes, 1))
            + data.draw(st.sampled_from([0, 1e5]))
        )
    )
    rows = rows.astype(dtype)
    rows[n_numeric:] = rng.integers(0, 3, (n_codes, n_rows))
    axes = np.linalg.qr(rng.standard_normal((n_numeric, n_numeric)))[0][:, : data.draw(st.integers(1, n_numeric))]
    distance = Distance(np.arange(len(rows)) >= n_numeric, 0.5)
    own = np.arange(n_rows)
    plain, turned = (
        Candidates(rows, one).nearest(rows, 4, own) for one in (distance, replace(distance, rotation=axes))
    )
    np.testing.assert_array_equal(turned[0], plain[0])
    np.testing.assert_array_equal(turned[1], plain[1])


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
@settings(max_examples=25, deadline=None)
def test_what_the_first_candidates_tell_loses_no_neighbor(seed: int, data: st.DataObject) -> None:
    """Enough rows for a first look, among them heaps of equal rows, far bunches, and numbers far from zero."""
    rng = np.random.default_rng(seed)
    n_rows, n_features = data.draw(st.integers(1600, 2400)), data.draw(st.integers(1, 6))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    kind = data.draw(st.sampled_from(["grid", "bunches", "offset", "few differ"]))
    rows = {
        "grid": rng.integers(0, 6, (n_rows, n_features)),
        "bunches": rng.standard_normal((n_rows, n_features)) * 1e-3 + rng.integers(0, 3, (n_rows, 1)) * 1e4,
        "offset": rng.standard_normal((n_rows, n_features)) + 1e6,
        "few differ": np.where(rng.random((n_rows, n_features)) < 0.001, rng.standard_normal((n_rows, n_features)), 0),
    }[kind].astype(dtype)
    is_categorical = rng.random(n_features) < 0.3
    rows[:, is_categorical] = rng.integers(2, 5, (n_rows, is_categorical.sum()))
    k = data.draw(st.integers(1, 7))
    found, squared = nearest(np.ascontiguousarray(rows.T), np.arange(n_rows), k, Distance(is_categorical, 0.5))
    expected, expected_squared = by_hand(rows, k, is_categorical, 0.5)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(squared, expected_squared)
