"""Exact nearest neighbours among the rows of a table, by comparing all pairs in one pass and little memory.

Every pair is first judged by a quick sum in the data's own precision. Only pairs that it cannot rule out, its largest
possible rounding error included, get the distance that ranks them: squared differences summed in float64 in column
order. So the answer is the same for any slice of queries and for any processor, however that forms the quick sums.

Where columns go together, the quick sum is taken in fewer columns: the rows are turned so that the first few columns
hold most of their differences, and two rows are never farther apart in these than they are in all.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.neighbors.distance import Distance

_LOG = logging.getLogger(__name__)
_PACKED_ROWS = 2**13


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _kernel() -> Any:
    """The module that searches: compiled or, where Numba is not installed or does not run, by NumPy.

    Imported by the first search, since Numba takes a second that what only names oversamplers need not wait for.
    """
    try:
        return import_module("raresmith.neighbors.kernel")
    except (ImportError, OSError, RuntimeError) as error:
        _LOG.warning("Numba does not run here (%s); neighbours are searched by NumPy, which takes far longer", error)
        return import_module("raresmith.neighbors.numpy_kernel")


class Candidates:
    """Rows laid out for being searched; takes twice the memory of `columns` besides.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_rows), float32 or float64
        Values between -1e150 and 1e150, so that no distance is infinite.
    """

    def __init__(self, columns: NDArray[Any], distance: Distance) -> None:
        self._distance = distance
        columns = distance.placed(columns)
        is_categorical = np.zeros(len(columns), bool) if distance.places else distance.is_categorical
        self._order = np.concatenate([np.flatnonzero(~is_categorical), np.flatnonzero(is_categorical)])
        self._n_numeric = int(np.count_nonzero(~is_categorical))
        self._dtype = columns.dtype
        n_features, n_rows = columns.shape
        # Centred, so that few digits of the products cancel, and scaled by a power of two, so that none overflows.
        numeric = [columns[f].astype(np.float64) for f in self._order[: self._n_numeric]] if n_rows else []
        self._centers = np.array([(column.min() + column.max()) / 2 for column in numeric] or [0.0] * self._n_numeric)
        spread = max((column.max() - column.min() for column in numeric), default=0.0)
        self._scale = float(2.0 ** -np.ceil(np.log2(spread))) if spread > 0 else 1.0
        precision = np.finfo(self._dtype)
        # Relative to |x|² + |y|² + |x - y|²: a rounding of half eps for each of the columns' products and sums, some
        # for the centred and scaled copies, as much again for turning them in float64; numbers near zero are off by the
        # smallest normal number each.
        self._slack = 4 * (n_features + 16) * float(precision.eps)
        self._floor = 4 * n_features * float(precision.tiny)
        self._width = _kernel().tile_width(self._dtype.itemsize)
        rotation = distance.rotation
        self._n_directions = self._n_numeric if rotation is None else rotation.shape[1]
        self._tiles, squares = self._packed(columns, self._width, sign=-1)
        self._halves = (squares / 2).astype(self._dtype)
        self._halves[n_rows:] = np.inf
        self._rows = np.ascontiguousarray(columns[self._order].T)

    def __len__(self) -> int:
        return len(self._rows)

    def _packed(self, columns: NDArray[Any], width: int, sign: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Centred, scaled and turned columns of `width` rows after `width` rows, with zeros at the end.

        And the least squared norms that the rows as packed may have, rounding included.
        """
        n_rows = columns.shape[1]
        codes = self._order[self._n_numeric :]
        packed = np.zeros((-(-n_rows // width), self._n_directions + len(codes), width), self._dtype)
        squares = np.zeros(len(packed) * width)
        # A few tiles at a time, since centring and turning is done in float64.
        for first in range(0, len(packed), _PACKED_ROWS // width):
            rows = slice(first * width, min((first + _PACKED_ROWS // width) * width, n_rows))
            numeric = columns[self._order[: self._n_numeric], rows].astype(np.float64)
            numeric = sign * self._scale * (numeric - self._centers[:, None])
            whole = np.square(numeric).sum(axis=0)
            turned = numeric if self._distance.rotation is None else self._distance.rotation.T @ numeric
            turned = turned.astype(self._dtype)
            squares[rows] = np.square(turned.astype(np.float64)).sum(axis=0) - self._slack * whole
            n_tiles = -(-turned.shape[1] // width)
            values = np.zeros((packed.shape[1], n_tiles * width), self._dtype)
            values[: self._n_directions, : turned.shape[1]] = turned
            values[self._n_directions :, : turned.shape[1]] = columns[codes, rows]
            packed[first : first + n_tiles] = values.reshape(len(values), n_tiles, width).swapaxes(0, 1)
        return packed.ravel(), squares

    def nearest(
        self,
        columns: NDArray[Any],
        k: int,
        own: NDArray[np.int64] | None = None,
        within: NDArray[np.float64] | None = None,
        n_threads: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k nearest candidates of each row of `columns`, nearest first, equally near ones by index.

        Parameters
        ----------
        columns : ndarray of shape (n_features, n_queries)
        k
            At least 1. Where fewer candidates are found, the rest has index -1 and distance infinity.
        own : ndarray of shape (n_queries,)
            The candidate that is the row itself and not its neighbour, or -1.
        within : ndarray of shape (n_queries,)
            Squared distances beyond which no candidate is wanted.
        n_threads
            Threads that share the rows.

        Returns
        -------
        indices, squared distances : ndarrays of shape (n_queries, k)
        """
        n_queries = columns.shape[1]
        own = np.full(n_queries, -1) if own is None else np.ascontiguousarray(own, np.int64)
        within = np.full(n_queries, np.inf) if within is None else np.ascontiguousarray(within, np.float64)
        columns = self._distance.placed(columns).astype(self._dtype, copy=False)

        def search(first: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            part = columns[:, first:end]
            packed, squares = self._packed(part, _kernel().GROUP, sign=1)
            queries = np.ascontiguousarray(part[self._order].T)
            return _kernel().search(  # type: ignore[no-any-return]
                self._tiles, self._halves, self._rows, self._n_numeric, self._n_directions,
                float(self._distance.weight), self._scale**2, self._slack, self._floor, self._width, queries, packed,
                squares, own[first:end], within[first:end], k,
            )  # fmt: skip

        if n_threads == 1:
            return search(0, n_queries)
        bounds = np.linspace(0, n_queries, n_threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(n_threads) as pool:
            parts = list(pool.map(search, bounds[:-1], bounds[1:]))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def nearest(
    columns: NDArray[Any],
    queries: NDArray[np.int64],
    k: int,
    distance: Distance,
    n_threads: int = 1,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k nearest other rows of each queried row of a table, as by `Candidates`; k is from 1 to n_rows - 1.

    A row is not its own neighbour, but its duplicates are.
    """
    n_rows = columns.shape[1]
    if not 1 <= k < n_rows:
        raise ValueError(f"k must be from 1 to {n_rows - 1}, got {k}")
    return Candidates(columns, distance).nearest(columns[:, queries], k, queries, n_threads=n_threads)


class NearestSoFar:
    """The k nearest rows of each query among candidates that come in parts."""

    def __init__(self, n_queries: int, k: int, within: NDArray[np.float64] | None = None) -> None:
        """`within` as in `Candidates.nearest`."""
        self.row_ids = np.zeros((n_queries, k), np.int64)
        """Nearest first, equally near ones by id; anything where the distance is infinite."""
        self.distances = np.full((n_queries, k), np.inf)
        """Squared."""
        self._bound = np.full(n_queries, np.inf) if within is None else within.copy()

    def search(
        self,
        candidates: Candidates,
        row_ids: NDArray[np.int64],
        queries: NDArray[Any],
        own: NDArray[np.int64] | None = None,
        n_threads: int = 1,
        block: slice = slice(None),
    ) -> None:
        """Look among the candidates, which have these ids, ascending; `queries` and `own` are those of the `block`."""
        k = self.row_ids.shape[1]
        found, squared = candidates.nearest(queries, k, own, self._bound[block], n_threads)
        ids = np.c_[self.row_ids[block], row_ids[found]]
        distances = np.c_[self.distances[block], squared]
        kept = nearest_of(ids, distances, k)
        self.row_ids[block] = np.take_along_axis(ids, kept, axis=1)
        self.distances[block] = np.take_along_axis(distances, kept, axis=1)
        self._bound[block] = np.minimum(self._bound[block], self.distances[block, -1])


def nearest_of(indices: NDArray[np.int64], distances: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Places of the k nearest in each row of two arrays of shape (n_queries, at least k), equal ones by index."""
    return np.lexsort([indices, distances], axis=1)[:, :k]
