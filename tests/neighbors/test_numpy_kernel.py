"""Where Numba does not run, NumPy finds the same to the last bit."""

import pickle
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raresmith.neighbors import kernel, numpy_kernel, search
from raresmith.neighbors.distance import Distance


def nearest_by(
    module: ModuleType,
    columns: NDArray[Any],
    queries: NDArray[Any],
    k: int,
    distance: Distance,
    own: NDArray[np.int64],
    within: NDArray[np.float64] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_kernel", lambda: module)
        return search.Candidates(columns, distance).nearest(queries, k, own, within)


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_numpy_finds_what_the_compiled_search_finds(data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_rows, n_queries = data.draw(st.integers(0, 300)), data.draw(st.integers(1, 30))
    n_numeric, n_codes = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 2))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    scale = 10.0 ** rng.integers(-5, 6, (n_numeric + n_codes, 1))
    if data.draw(st.booleans()):
        rows = rng.integers(0, 3, (n_numeric + n_codes, n_rows + n_queries)) * 1.0  # ties
    else:
        rows = rng.standard_normal((n_numeric + n_codes, n_rows + n_queries)) * scale
    rows[n_numeric:] = rng.integers(2, 5, (n_codes, n_rows + n_queries))
    rows = rows.astype(dtype)
    distance = Distance(np.arange(len(rows)) >= n_numeric, 0.7)
    columns, queries = rows[:, :n_rows], rows[:, rng.integers(0, n_rows + n_queries, n_queries)]
    own = rng.integers(-1, n_rows, n_queries) if n_rows else np.full(n_queries, -1)
    within = data.draw(st.sampled_from([None, rng.exponential(2.0, n_queries)]))
    asked = columns, queries, data.draw(st.integers(1, 8)), distance, own, within
    for ours, theirs in zip(nearest_by(numpy_kernel, *asked), nearest_by(kernel, *asked), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_more_queries_than_are_measured_at_once_are_all_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
    asked = columns, columns, 4, Distance(np.zeros(3, bool)), np.arange(500), None
    expected = nearest_by(kernel, *asked)
    monkeypatch.setattr(numpy_kernel, "_VALUES", 7 * 500)
    for ours, theirs in zip(nearest_by(numpy_kernel, *asked), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rows_laid_out_on_a_machine_with_other_vectors_are_laid_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a driver has wider vectors than the executors that it sends the centres of cells to."""
    rng = np.random.default_rng(1)
    columns = np.concatenate([rng.standard_normal((3, 700)), rng.integers(2, 5, (1, 700))]).astype(np.float32)
    distance = Distance(np.array([False, False, False, True]), 0.5)
    expected = search.Candidates(columns, distance).nearest(columns, 4)
    other = SimpleNamespace(tile_width=lambda itemsize: kernel.tile_width(itemsize) * 2, GROUP=kernel.GROUP)
    with monkeypatch.context() as patch:
        patch.setattr(search, "_kernel", lambda: other)
        sent = pickle.dumps(search.Candidates(columns, distance))
    for ours, theirs in zip(pickle.loads(sent).nearest(columns, 4), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_it_is_taken_and_told_where_numba_cannot_be_imported() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from raresmith.neighbors.search import Distance, nearest\n"
        "print(nearest(np.array([[0, 1, 3]], 'f4'), np.arange(3), 1, Distance(np.array([False])))[0].ravel())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1 0 1]"
    assert "neighbours are searched by NumPy" in done.stderr
