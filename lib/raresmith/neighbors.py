"""Exact nearest neighbours of a few rows among all rows of a class, in one pass and little memory.

Every pair is first judged by a quick sum of squares in the data's own precision. Only pairs that it cannot rule out,
its largest possible rounding error included, get the distance that ranks them: squared differences summed in float64
in column order. So the answer is the same for any slice of queries, and the quick sum may be reordered by the
compiler as it likes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TILE = 1024
"""Candidates judged at once: 100,000 × 30 rows took 17 s with 128, 11.3 s with 512, 10.3 s with 1024 and 2048."""
_CHUNK = 5
"""Columns summed in registers before a store; from 8 on LLVM leaves the loop rolled, and it takes six times as long."""
_GROUP = 4
"""Queries that share a load of a candidate, unrolled by hand below; one at a time took 13 s."""


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return njit(nogil=True, error_model="numpy", cache=True, **options)(function)
        except (RuntimeError, ValueError):
            # Numba keeps machine code beside the source or in the home folder; in an executor that reads the package
            # from an archive there may be neither, and each Python worker compiles for itself.
            return njit(nogil=True, error_model="numpy", **options)(function)

    return compiled


@_compiled(fastmath={"contract"})
def _add_squares(tile, rows, first, sums):  # type: ignore[no-untyped-def]
    """Add the squared differences of _GROUP rows and _TILE candidates in the columns first … first + _CHUNK - 1."""
    for j in range(_TILE):
        s0, s1, s2, s3 = sums[0, j], sums[1, j], sums[2, j], sums[3, j]
        for i in range(_CHUNK):
            candidate = tile[first + i, j]
            difference = rows[0, first + i] - candidate
            s0 += difference * difference
            difference = rows[1, first + i] - candidate
            s1 += difference * difference
            difference = rows[2, first + i] - candidate
            s2 += difference * difference
            difference = rows[3, first + i] - candidate
            s3 += difference * difference
        sums[0, j], sums[1, j], sums[2, j], sums[3, j] = s0, s1, s2, s3


@_compiled()
def _add_mismatches(codes, code, weight, sums):  # type: ignore[no-untyped-def]
    for j in range(_TILE):
        sums[j] += weight if codes[j] != code else weight - weight


@_compiled()
def _count_within(sums, bound):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for j in range(_TILE):
        count += np.int32(sums[j] <= bound)
    return count


@_compiled()
def _distance(columns, numeric, categorical, weight, a, b):  # type: ignore[no-untyped-def]
    """Squared distance of the rows a and b, always summed in this order."""
    total = 0.0
    for f in numeric:
        difference = np.float64(columns[f, a]) - np.float64(columns[f, b])
        total += difference * difference
    mismatches = 0
    for f in categorical:
        mismatches += columns[f, a] != columns[f, b]
    return total + weight * mismatches


@_compiled()
def _insert(distances, indices, distance, index):  # type: ignore[no-untyped-def]
    """Put the candidate into the sorted lists; it comes after equals, which have lower indices."""
    p = len(distances) - 1
    while p > 0 and distances[p - 1] > distance:
        distances[p], indices[p] = distances[p - 1], indices[p - 1]
        p -= 1
    distances[p], indices[p] = distance, index


@_compiled()
def _search(columns, numeric, categorical, weight, queries, k, relative, absolute):  # type: ignore[no-untyped-def]
    n_candidates, n_numeric, n_categorical = columns.shape[1], len(numeric), len(categorical)
    n_padded = (n_numeric + _CHUNK - 1) // _CHUNK * _CHUNK
    n_rows = (len(queries) + _GROUP - 1) // _GROUP * _GROUP
    rows = np.zeros((n_rows, n_padded), columns.dtype)
    for q in range(len(queries)):
        for f in range(n_numeric):
            rows[q, f] = columns[numeric[f], queries[q]]
    distances = np.full((len(queries), k), np.inf)
    indices = np.full((len(queries), k), -1)
    # A quick sum above the bound cannot be one of the k smallest distances.
    bounds = np.full(len(queries), np.inf).astype(columns.dtype)
    quick_weight = np.full(1, weight).astype(columns.dtype)[0]
    tile = np.zeros((n_padded, _TILE), columns.dtype)
    codes = np.zeros((n_categorical, _TILE), columns.dtype)
    sums = np.zeros((_GROUP, _TILE), columns.dtype)
    for start in range(0, n_candidates, _TILE):
        width = min(_TILE, n_candidates - start)
        for f in range(n_numeric):
            tile[f, :width] = columns[numeric[f], start : start + width]
        for f in range(n_categorical):
            codes[f, :width] = columns[categorical[f], start : start + width]
        for group in range(0, len(queries), _GROUP):
            sums[:] = 0
            for first in range(0, n_padded, _CHUNK):
                _add_squares(tile, rows[group : group + _GROUP], first, sums)
            for q in range(group, min(group + _GROUP, len(queries))):
                query, near = queries[q], sums[q - group]
                for f in range(n_categorical):
                    _add_mismatches(codes[f], columns[categorical[f], query], quick_weight, near)
                if _count_within(near, bounds[q]) == 0:
                    continue
                for j in range(width):
                    candidate = start + j
                    if near[j] <= bounds[q] and candidate != query:
                        distance = _distance(columns, numeric, categorical, weight, query, candidate)
                        # Candidates come in order, so an equal one has the higher index and loses.
                        if distance < distances[q, k - 1]:
                            _insert(distances[q], indices[q], distance, candidate)
                            furthest = distances[q, k - 1]
                            # Nothing is nearer than 0: later copies of a row need no look.
                            bounds[q] = furthest * relative + absolute if furthest > 0 else -1.0
    return indices, distances


def nearest(
    columns: NDArray[Any], queries: NDArray[np.int64], k: int, is_categorical: NDArray[np.bool_], weight: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k nearest other rows of each queried row, nearest first, equally near ones by index.

    The squared distance is the sum of squared differences of the numeric columns plus `weight` for each categorical
    column whose codes differ. A row is not its own neighbour, but its duplicates are.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_rows), float32 or float64, C-contiguous
        Values between -1e150 and 1e150, so that no distance is infinite.
    queries : ndarray of shape (n_queries,)
        Indices of rows.
    k
        From 1 to n_rows - 1.
    is_categorical : ndarray of shape (n_features,)
        Columns that hold codes.
    weight
        Squared distance of two categories.

    Returns
    -------
    indices, squared distances : ndarrays of shape (n_queries, k)
    """
    n_features, n_rows = columns.shape
    if not 1 <= k < n_rows:
        raise ValueError(f"k must be from 1 to {n_rows - 1}, got {k}")
    precision = np.finfo(columns.dtype)
    # A sum of n squares of rounded differences is off by at most (n + 2) half units in the last place, and numbers
    # near zero by the smallest normal number each; twice that is allowed.
    relative, absolute = 1.0 + (n_features + 8) * float(precision.eps), n_features * float(precision.tiny)
    indices, distances = _search(
        np.ascontiguousarray(columns),
        np.flatnonzero(~is_categorical),
        np.flatnonzero(is_categorical),
        float(weight),
        np.ascontiguousarray(queries, dtype=np.int64),
        k,
        relative,
        absolute,
    )
    return indices, distances
