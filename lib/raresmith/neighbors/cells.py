"""Spatial cells: a row looks for its neighbours among the rows of one cell, not of the whole class.

Cells are those of k-means centres, fitted on a sample. A row's home is the cell of its nearest centre; as a candidate
it is also sent to the cells of its next nearest centres, `fan_out` in all, since a row near a border has neighbours
beyond it. How many of the true neighbours are found is known before any row is sent: neighbour v of the row q is found
exactly if q's home is among the cells that v is sent to. So the true neighbours of some sampled rows decide on the
number of cells and the fan-out.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.counter_rng import Stream, hash64
from raresmith.errors import DataError, Key
from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import Candidates, NearestSoFar, processors

PART_ROWS = 10_000
"""Rows of a part where the class is parted without regard to space."""
N_QUERIES = 1000
"""Rows whose true neighbours are looked for: the recall is known to within some 0.01."""

_MAX_FAN_OUT = 16
_SMALLEST_CELL = 1024
SAMPLE_PER_CELL = 16
"""Sampled rows around each centre that is fitted on them, on average."""
_ROUNDS = 4
_CHUNK_ROWS = 2**16
_CELL_BYTES = 2**28
"""Most candidates of a cell; searching lays them out twice more."""
_PAIR_SECONDS = 1.4e-11
"""To compare two rows in one column."""
COPY_SECONDS = 1.2e-8
"""To lay out one number in one more cell of a class in memory."""
SEND_SECONDS = 1e-7
"""To send one number to one more cell through Spark."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Which cells a row belongs to; a pure function of the row."""

    centers: Candidates
    fan_out: int
    """Cells that a row is a candidate in; at most the number of centres."""
    parts: NDArray[np.int64]
    """How many cells each centre's rows are dealt into by the hash of their row_id."""
    random_state: int

    def __len__(self) -> int:
        return int(self.parts.sum())

    def of(self, row_ids: NDArray[np.int64], columns: NDArray[Any], n_threads: int = 1) -> NDArray[np.int64]:
        """The cells of each row, home first, of shape (n_rows, fan_out), from 0 to len(self) - 1."""
        center, _ = self.centers.nearest(columns, self.fan_out, n_threads=n_threads)
        return dealt(center, self.parts, row_ids[:, None], self.random_state)


def home(centers: Candidates, columns: NDArray[Any], n_threads: int = 1) -> NDArray[np.int64]:
    """The nearest centre of each row."""
    return centers.nearest(columns, 1, n_threads=n_threads)[0][:, 0]


def dealt(
    group: NDArray[np.int64], parts: NDArray[np.int64], row_ids: NDArray[np.int64], random_state: int
) -> NDArray[np.int64]:
    """The cell of rows of these groups, where those of group g are dealt into `parts[g]` cells by their row_id."""
    hashes = hash64(random_state, Stream.PART, row_ids).view(np.uint64)
    part = (hashes % parts[group].astype(np.uint64)).astype(np.int64)
    return (np.cumsum(parts) - parts)[group] + part


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Rows of a class, chosen by the hash of their row_id, and the true neighbours of some of them."""

    row_ids: NDArray[np.int64]
    columns: NDArray[Any]
    """Of shape (n_features, n_rows)."""
    queries: NDArray[np.int64]
    """Positions of the rows whose neighbours in the whole class are known."""
    near_row_ids: NDArray[np.int64]
    """Of shape (n_queries, k): neighbours in the class, and where other classes matter in the whole table as well."""
    near_columns: NDArray[Any]
    """Of shape (n_features, n_queries, k)."""
    near_distances: NDArray[np.float64]
    """Squared, of shape (n_queries, k)."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Cells, and what the sample tells of them."""

    cells: Cells
    recall: float
    """Share of the true neighbours that are found."""
    pairs: float
    """Share of all pairs of rows that are compared."""
    heaviest: float
    """Pairs of the heaviest cell ÷ mean."""
    largest: float
    """Share of the class's rows that are candidates in the largest cell."""

    def measures(self) -> dict[str, float]:
        """For the note of the run."""
        return {
            "cells": len(self.cells),
            "fan_out": self.cells.fan_out,
            "recall": round(self.recall, 4),
            "pairs": round(self.pairs, 4),
            "heaviest_cell": round(self.heaviest, 2),
        }


class Members:
    """The rows of a class in memory, cell by cell."""

    def __init__(self, cells: NDArray[np.int64], n_cells: int) -> None:
        """`cells` as `Cells.of` gives them for all rows."""
        n_rows, fan_out = cells.shape
        smallest = np.min_scalar_type(n_rows)
        self.home = cells[:, 0].astype(np.min_scalar_type(n_cells))
        self.order = np.argsort(self.home, kind="stable").astype(smallest)
        """The rows, one home after the other."""
        # Stable, and rows come in order, so the candidates of a cell do.
        self._candidates = (np.argsort(cells.ravel(), kind="stable") // fan_out).astype(smallest)
        self._ends = np.cumsum(np.bincount(cells.ravel(), minlength=n_cells))

    def candidates(self, cell: int) -> NDArray[np.int64]:
        """The rows that are candidates in a cell, ascending."""
        start = self._ends[cell - 1] if cell else 0
        return np.asarray(self._candidates[start : self._ends[cell]], np.int64)


def sample_size(n_rows: int, row_bytes: int) -> int:
    """Rows to sample of a class of `n_rows`: enough for cells of 4,096 rows, within 128 MiB."""
    return min(n_rows, max(10_000, n_rows // 4096 * SAMPLE_PER_CELL), max(N_QUERIES, 2**27 // row_bytes))


def sampled(
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    k: int,
    distance: Distance,
    random_state: int,
) -> Sample:
    """A sample of a class that lies in memory."""
    order = np.argsort(hash64(random_state, Stream.SAMPLE, row_ids), kind="stable")
    chosen = order[: sample_size(len(row_ids), len(columns) * columns.itemsize)]
    queries = chosen[:N_QUERIES]
    asked = columns[:, queries]
    nearest = NearestSoFar(len(queries), k)
    for start in range(0, len(row_ids), _CHUNK_ROWS):
        end = min(start + _CHUNK_ROWS, len(row_ids))
        # A row of another chunk is no candidate of this one.
        own = np.where((queries >= start) & (queries < end), queries - start, -1)
        chunk = Candidates(columns[:, start:end], distance)
        nearest.search(chunk, np.arange(start, end), asked, own, processors())
    near = nearest.row_ids
    return Sample(
        row_ids=row_ids[chosen],
        columns=columns[:, chosen],
        queries=np.arange(len(queries)),
        near_row_ids=row_ids[near],
        near_columns=columns[:, near],
        near_distances=nearest.distances,
    )


def n_parts(n_rows: int) -> int:
    """Parts that a class is dealt into without regard to space."""
    return max(1, round(n_rows / PART_ROWS))


def parts_by_hash(sample: Sample, n_rows: int, distance: Distance, random_state: int) -> Fit:
    """Parts of about PART_ROWS rows without regard to space, and how few neighbours are found in them."""
    cells = Cells(
        centers=Candidates(sample.columns[:, :1], distance),
        fan_out=1,
        parts=np.array([n_parts(n_rows)]),
        random_state=random_state,
    )
    (fit,) = _fits(cells, sample)
    return fit


def choose_cells(
    sample: Sample,
    n_rows: int,
    distance: Distance,
    min_recall: float,
    random_state: int,
    class_name: str,
    copy_seconds: float,
) -> Fit:
    """The cells that cost least among those in which a share `min_recall` of the true neighbours is found.

    Raises
    ------
    DataError
        If no cells that fit in a task's memory find as many.
    """
    n_features, n_sampled = sample.columns.shape
    best, least, highest = None, np.inf, 0.0
    # From the smallest cells on, until larger ones cost more.
    n_centers = max(1, min(n_rows // _SMALLEST_CELL, n_sampled // SAMPLE_PER_CELL))
    while n_centers >= 1:
        k = sample.near_row_ids.shape[1]
        # So many sampled rows are rows of the class, so every home has the neighbours that it needs.
        columns, sizes = fit_centers(sample.row_ids, sample.columns, distance, n_centers, k + 1, random_state)
        centers = Candidates(columns, distance)
        # Several where no centre could part a heap of equal rows.
        parts = np.maximum(1, np.round(sizes * n_centers / (2 * n_sampled))).astype(np.int64)
        cells = Cells(centers=centers, fan_out=min(len(centers), _MAX_FAN_OUT), parts=parts, random_state=random_state)
        before = least
        for fit in _fits(cells, sample):
            if fit.largest * n_rows * n_features * sample.columns.itemsize > _CELL_BYTES:
                continue
            highest = max(highest, fit.recall)
            pairs = n_rows * (fit.pairs * n_rows + len(centers))
            cost = n_features * (pairs * _PAIR_SECONDS + n_rows * fit.cells.fan_out * copy_seconds)
            if fit.recall >= min_recall and cost < least:
                best, least = fit, cost
        if best is not None and least == before:
            break
        n_centers //= 2
    if best is None:
        raise DataError(
            "cells that fit in a task's memory find at most {highest:.3f} of the true neighbours of class "
            "{class_name!r}, but {key} is {min_recall}; lower it, or use fewer features",
            highest=highest,
            class_name=class_name,
            key=Key("oversample.min_recall"),
            min_recall=min_recall,
        )
    return best


def fit_centers(
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    distance: Distance,
    n_centers: int,
    fewest: int,
    random_state: int,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """About `n_centers` centres, of shape (n_features, n_centers), and how many of the rows are nearest to each.

    By some rounds of Lloyd's k-means that part heavy cells and give up light ones: every centre has at least `fewest`
    rows and a quarter of the mean.
    """
    order = np.argsort(hash64(random_state, Stream.CENTER, row_ids), kind="stable")
    mean = len(order) / n_centers
    least = min(max(fewest, mean / 4), len(order))
    centers = columns[:, np.sort(order[:n_centers])]
    for _ in range(_ROUNDS):
        # Numbered again, without the cells that no row calls home.
        at_home = np.unique(home(Candidates(centers, distance), columns, processors()), return_inverse=True)[1]
        heavy = np.bincount(at_home) > 1.5 * mean
        first = order[np.unique(at_home[order], return_index=True)[1]]
        centers = np.concatenate([_means(columns, at_home, distance.is_categorical), columns[:, first[heavy]]], axis=1)
    while True:
        at_home = home(Candidates(centers, distance), columns, processors())
        counts = np.bincount(at_home, minlength=centers.shape[1])
        if counts.min() >= least:
            return centers, counts
        # The lightest half of the light ones at a time, since their rows fill up the others.
        light = np.flatnonzero(counts < least)
        light = light[np.argsort(counts[light], kind="stable")][: -(-len(light) // 2)]
        centers = np.delete(centers, light, axis=1)


def _means(columns: NDArray[Any], home: NDArray[np.int64], is_categorical: NDArray[np.bool_]) -> NDArray[Any]:
    """Mean, or most frequent code, of each cell's rows in each column."""
    counts = np.bincount(home)
    means = np.empty((len(columns), len(counts)), columns.dtype)
    for f, column in enumerate(columns):
        if is_categorical[f]:
            pairs, votes = np.unique(np.stack([home, column.astype(np.float64)]), axis=1, return_counts=True)
            leading = np.lexsort([pairs[1], -votes, pairs[0]])
            means[f] = pairs[1][leading][np.unique(pairs[0][leading], return_index=True)[1]]
        else:
            # bincount adds in the order of the rows.
            means[f] = np.bincount(home, weights=column.astype(np.float64)) / counts
    return means


def _fits(cells: Cells, sample: Sample) -> list[Fit]:
    """What the sample tells of the cells, for each fan-out from 1 to that of `cells`."""
    k = sample.near_row_ids.shape[1]
    of_rows = cells.of(sample.row_ids, sample.columns, processors())
    homes = of_rows[:, 0]
    near = sample.near_columns.reshape(len(sample.columns), -1)
    of_near = cells.of(sample.near_row_ids.ravel(), near)
    # A row at no distance is as good as the one that has its place in the order of row_id.
    center = np.repeat(np.arange(len(cells.parts)), cells.parts)
    asked = np.repeat(homes[sample.queries], k)[:, None]
    equal = (sample.near_distances.ravel() == 0)[:, None] & (center[of_near] == center[asked])
    found = np.maximum.accumulate((of_near == asked) | equal, axis=1).mean(axis=0)
    at_home = np.bincount(homes, minlength=len(cells)) / len(homes)
    fits = []
    candidates = np.zeros(len(cells))
    for fan_out in range(1, cells.fan_out + 1):
        candidates += np.bincount(of_rows[:, fan_out - 1], minlength=len(cells)) / len(homes)
        work = at_home * candidates
        fits.append(
            Fit(
                cells=replace(cells, fan_out=fan_out),
                recall=float(found[fan_out - 1]),
                pairs=float(work.sum()),
                heaviest=float(work.max() / work.mean()),
                largest=float(candidates.max()),
            )
        )
    return fits
