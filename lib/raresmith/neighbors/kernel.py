"""The search of `search.Candidates`, compiled: all pairs are judged by the micro-kernel, and few of them measured.

`numpy_kernel` finds the same, slowly, on machines where Numba does not run.
"""

import numpy as np

from raresmith.compiled import compiled
from raresmith.neighbors.microkernel import GROUP, judge, lowest_bit, take_least, tile_width

__all__ = ["GROUP", "search", "tile_width"]

_BLOCK_BYTES = 2**17
"""Tiles that all queries see before the next ones are loaded; they stay in a core's second cache."""
_FIRST_TILES = 16
"""Looked at once before the search, to know how far the nearest are at most."""


@compiled
def _distance(queries, q, rows, r, n_numeric, weight):  # type: ignore[no-untyped-def]
    """Squared distance of two rows, always summed in this order. Numba counts references to slices, at a price."""
    total = 0.0
    for f in range(n_numeric):
        difference = np.float64(queries[q, f]) - np.float64(rows[r, f])
        total += difference * difference
    mismatches = 0
    for f in range(n_numeric, rows.shape[1]):
        mismatches += queries[q, f] != rows[r, f]
    return total + weight * mismatches


@compiled
def _insert(distances, indices, q, distance, index):  # type: ignore[no-untyped-def]
    """Put the candidate into the sorted lists of q; it comes after equals, which have lower indices."""
    p = distances.shape[1] - 1
    while p > 0 and distances[q, p - 1] > distance:
        distances[q, p], indices[q, p] = distances[q, p - 1], indices[q, p - 1]
        p -= 1
    distances[q, p], indices[q, p] = distance, index


@compiled
def _limit(distance, square, slack, floor):  # type: ignore[no-untyped-def]
    """The largest quick sum of a candidate that may lie within the squared distance of a row with this square."""
    return (distance * (1 + slack) - square) / 2 + floor


@compiled
def _first_look(  # type: ignore[no-untyped-def]
    tiles, halves, width, n_numeric, n_categorical, half_weight, unit, slack, floor, packed, squares, k, furthest
):
    """Lower `furthest` to squared distances within which the k nearest candidates lie for sure.

    Of the first candidates the least sum in each place of a tile is kept. The k nearest are at most as far as those
    with the k + 1 least of these: one of them may be the row itself.
    """
    largest = 0.0
    for candidate in range(_FIRST_TILES * width):
        if halves[candidate] < np.inf:
            largest = max(largest, np.float64(halves[candidate]))
    n_features = n_numeric + n_categorical
    least = np.empty(GROUP * width).astype(tiles.dtype)
    nearest = np.empty(k + 1)
    for start in range(0, len(furthest), GROUP):
        least[:] = np.inf
        for tile in range(_FIRST_TILES):
            take_least(
                tiles, tile * n_features * width, halves, tile * width, packed, start * n_features, n_numeric,
                n_categorical, half_weight, least,
            )  # fmt: skip
        for q in range(start, min(start + GROUP, len(furthest))):
            nearest[:] = np.inf
            for place in range(width):
                total = np.float64(least[(q - start) * width + place])
                if total < nearest[k]:
                    p = k
                    while p > 0 and nearest[p - 1] > total:
                        nearest[p] = nearest[p - 1]
                        p -= 1
                    nearest[p] = total
            # What the sums were lowered by to be on the safe side, and may have lost by rounding.
            error = slack * (np.abs(squares[q]) + 2 * largest) + floor
            bound = (2 * nearest[k] + squares[q] + 4 * error) * (1 + 2 * slack)
            furthest[q] = min(furthest[q], bound / unit)


@compiled
def search(  # type: ignore[no-untyped-def]
    tiles, halves, rows, n_numeric, n_directions, weight, unit, slack, floor, width, queries, packed, squares, own,
    within, k
):  # fmt: skip
    n_rows = len(rows)
    n_categorical = rows.shape[1] - n_numeric
    n_features = n_directions + n_categorical
    n_queries = len(queries)
    n_tiles, n_groups = len(halves) // width, (n_queries + GROUP - 1) // GROUP
    block = max(1, _BLOCK_BYTES // (width * n_features * tiles.itemsize))
    distances = np.full((n_queries, k), np.inf)
    indices = np.full((n_queries, k), -1)
    furthest = within.copy()
    limits = np.full(n_groups * GROUP, -np.inf).astype(tiles.dtype)
    for q in range(n_queries):
        limits[q] = _limit(furthest[q] * unit, squares[q], slack, floor)
    half_weight = np.full(1, weight * unit / 2).astype(tiles.dtype)[0]
    masks = np.zeros(GROUP, np.int64)
    if n_directions == n_numeric and n_tiles >= 3 * _FIRST_TILES and k < width // 2:
        # Else most of the time would go to the first candidates, while little can be ruled out.
        _first_look(
            tiles, halves, width, n_numeric, n_categorical, half_weight, unit, slack, floor, packed, squares, k,
            furthest,
        )  # fmt: skip
        for q in range(n_queries):
            limits[q] = _limit(furthest[q] * unit, squares[q], slack, floor)
    for first in range(0, n_tiles, block):
        for group in range(n_groups):
            start = group * GROUP
            for tile in range(first, min(first + block, n_tiles)):
                hits = judge(
                    tiles, tile * n_features * width, halves, tile * width, packed, start * n_features,
                    n_directions, n_categorical, half_weight, limits, start, masks,
                )  # fmt: skip
                while hits != 0:
                    q = start + lowest_bit(hits)
                    hits &= hits - 1
                    mask = masks[q - start] if q < n_queries else 0
                    while mask != 0:
                        candidate = tile * width + lowest_bit(mask)
                        mask &= mask - 1
                        if candidate >= n_rows or candidate == own[q]:
                            continue
                        distance = _distance(queries, q, rows, candidate, n_numeric, weight)
                        # Candidates come in order, so an equal one has the higher index and loses.
                        if distance < distances[q, k - 1] and distance <= within[q]:
                            _insert(distances, indices, q, distance, candidate)
                            furthest[q] = min(furthest[q], distances[q, k - 1])
                            # Nothing is nearer than 0: later copies of a row need no look.
                            limits[q] = -np.inf
                            if distances[q, k - 1] > 0:
                                limits[q] = _limit(furthest[q] * unit, squares[q], slack, floor)
    return indices, distances
