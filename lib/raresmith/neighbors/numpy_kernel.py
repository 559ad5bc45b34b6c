"""The search of `kernel` in NumPy alone: slower by far, and the same to the last bit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP = 12
_VALUES = 2**20
"""Distances that are measured at once."""


def tile_width(itemsize: int) -> int:
    """Candidates in a tile, for numbers of this many bytes."""
    return 128 // itemsize


def search(
    tiles: NDArray[Any],
    halves: NDArray[Any],
    rows: NDArray[Any],
    n_numeric: int,
    n_directions: int,
    weight: float,
    unit: float,
    slack: float,
    floor: float,
    width: int,
    queries: NDArray[Any],
    packed: NDArray[Any],
    squares: NDArray[np.float64],
    own: NDArray[np.int64],
    within: NDArray[np.float64],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and squared distances of the k nearest rows of each query, as `kernel.search` gives them.

    Every pair is measured, so nothing that rules pairs out is looked at.
    """
    n_queries, n_rows = len(queries), len(rows)
    indices, distances = np.full((n_queries, k), -1), np.full((n_queries, k), np.inf)
    size = max(1, _VALUES // max(n_rows, 1))
    for start in range(0, n_queries, size):
        part = slice(start, min(start + size, n_queries))
        squared = _distances(queries[part], rows, n_numeric, weight)
        asking = np.flatnonzero((own[part] >= 0) & (own[part] < n_rows))
        squared[asking, own[part][asking]] = np.inf
        squared[squared > within[part][:, None]] = np.inf
        # Stable, so that of equal ones the lower index comes first.
        nearest = np.argsort(squared, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(squared, nearest, axis=1)
        indices[part, : nearest.shape[1]] = np.where(np.isfinite(found), nearest, -1)
        distances[part, : nearest.shape[1]] = found
    return indices, distances


def _distances(queries: NDArray[Any], rows: NDArray[Any], n_numeric: int, weight: float) -> NDArray[np.float64]:
    """Squared distances of all pairs, summed in column order."""
    total = np.zeros((len(queries), len(rows)))
    for f in range(n_numeric):
        difference = queries[:, f, None].astype(np.float64) - rows[:, f].astype(np.float64)
        total += difference * difference
    mismatches = np.zeros(total.shape, np.int64)
    for f in range(n_numeric, rows.shape[1]):
        mismatches += queries[:, f, None] != rows[:, f]
    return np.asarray(total + weight * mismatches)
