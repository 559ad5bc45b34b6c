"""Where Numba does not run, NumPy finds the same to the last bit."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raresmith.neighbors import kernel, numpy_kernel, search
from raresmith.neighbors.distance import Distance


def nearest_by(module, columns, queries, k, distance, own, within):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_kernel", lambda: module)
        return search.Candidates(columns, distance).nearest(queries, k, own, within)


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_numpy_finds_what_the_compiled_search_finds(data, seed):
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


def test_more_queries_than_are_measured_at_once_are_all_answered(monkeypatch):
    columns = np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
    asked = columns, columns, 4, Distance(np.zeros(3, bool)), np.arange(500), None
    expected = nearest_by(kernel, *asked)
    monkeypatch.setattr(numpy_kernel, "_VALUES", 7 * 500)
    for ours, theirs in zip(nearest_by(numpy_kernel, *asked), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_it_is_taken_and_told_where_numba_cannot_be_imported():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from raresmith.neighbors.search import Distance, nearest\n"
        "print(nearest(np.array([[0, 1, 3]], 'f4'), np.arange(3), 1, Distance(np.array([False])))[0].ravel())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1 0 1]"
    assert "neighbours are searched by NumPy" in done.stderr
