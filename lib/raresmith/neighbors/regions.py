"""Spatial cells of a table of several classes, each with enough rows of one class, and not too many of the others.

Centres are fitted on rows of all classes. Where too few rows of the class call a centre home, it joins the nearest one
that has them, and together they are one cell. Where that makes a cell too large, only some of the rows of other classes
are kept, chosen by the hash of their row_id; those around rows of the class come first.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.counter_rng import Stream, uniform
from raresmith.neighbors.cells import dealt, home
from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import Candidates, processors


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Which cell a row belongs to; a pure function of the row and of whether it is of the class."""

    centers: Candidates
    region: NDArray[np.int64]
    """Of each centre."""
    parts: NDArray[np.int64]
    """How many cells the rows of each region are dealt into by the hash of their row_id."""
    kept: NDArray[np.float64]
    """Share of the rows of other classes around each centre that are kept; those of the class all are."""
    random_state: int
    largest: int
    """Rows of the largest cell, about."""
    kept_of_others: float
    """Share of all rows of other classes that are kept, about."""

    def __len__(self) -> int:
        return int(self.parts.sum())

    def of(self, row_ids: NDArray[np.int64], columns: NDArray[Any], is_own: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The cell of each row, from 0 to len(self) - 1, or -1 where it is not kept."""
        center = home(self.centers, columns)
        cell = dealt(self.region[center], self.parts, row_ids, self.random_state)
        kept = is_own | (uniform(self.random_state, Stream.THIN, row_ids) < self.kept[center])
        return np.where(kept, cell, -1)


def fit_regions(
    centers: NDArray[Any],
    distance: Distance,
    own: NDArray[np.int64],
    others: NDArray[np.float64],
    fewest: int,
    cell_rows: int,
    random_state: int,
) -> Regions:
    """Cells of at most `cell_rows` rows of the class and, with the others that are kept, of twice as many rows.

    Parameters
    ----------
    centers : ndarray of shape (n_features, n_centers)
    own, others : ndarrays of shape (n_centers,)
        Rows of the class, and about how many of other classes, that are nearest to each centre.
    fewest
        Rows of the class that each cell has at least, or all there are. Parts of a heap of rows that no centre could
        part have some `cell_rows` / 2 of them, so that chance leaves them more than that.
    """
    region = _joined(centers, distance, own, fewest)
    n_own = np.bincount(region, weights=own)
    parts = np.maximum(1, -(-n_own // cell_rows)).astype(np.int64)
    room = 2 * cell_rows * parts - n_own
    kept = np.ones(len(own))
    # A far region without rows of the class says less of where the class ends.
    for tier in (own > 0, own == 0):
        there = np.bincount(region, weights=others * tier)
        share = np.minimum(1, room / np.maximum(there, 1))
        kept[tier] = share[region[tier]]
        room = room - there * share
    n_kept = np.bincount(region, weights=others * kept)
    return Regions(
        centers=Candidates(centers, distance),
        region=region,
        parts=parts,
        kept=kept,
        random_state=random_state,
        largest=round(float(((n_own + n_kept) / parts).max())),
        kept_of_others=float(n_kept.sum() / max(others.sum(), 1)),
    )


def _joined(centers: NDArray[Any], distance: Distance, own: NDArray[np.int64], fewest: int) -> NDArray[np.int64]:
    """The region of each centre, from 0 on, so that each has at least `fewest` rows of the class."""
    leaders = np.arange(len(own))
    while True:
        region = home(Candidates(centers[:, leaders], distance), centers, processors())
        # Of equal centres one leads, and no centre follows the others.
        leaders, region = leaders[np.unique(region)], np.unique(region, return_inverse=True)[1]
        counts = np.bincount(region, weights=own)
        light = np.flatnonzero(counts < fewest)
        if len(leaders) == 1 or not len(light):
            return region
        # The lightest half of the light ones at a time, since their rows fill up the others.
        light = light[np.argsort(counts[light], kind="stable")][: -(-len(light) // 2)]
        leaders = np.delete(leaders, light)
