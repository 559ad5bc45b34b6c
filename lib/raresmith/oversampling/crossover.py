"""Crossover: each column of a made row whole from its base or from a neighbour, linked columns mostly from the same.

Which parent a column comes from is handed along a tree of the columns: with a chance of Cramér's V between the two a
column follows the one above it, else it is tossed anew. The tree is the maximum spanning tree of V over the class's
rows, as Chow and Liu (1968, IEEE Trans. Inf. Theory 14:462-467) take that of mutual information.
"""

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from raresmith.counter_rng import Stream, hash64, uniform
from raresmith.oversampling.base import ClassSample, NeighborOversampler, Parents

SAMPLE_ROWS = 20_000
"""Most rows that the association of two columns is taken from."""
BINS = 5
"""Numbers are cut at quantiles into as many bins."""
CATEGORIES = 10
"""The most frequent categories; the others, and those too rare to meet another once by chance, are counted as one."""
ATTEMPTS = 16
"""Tosses of a row before the last resort against a copy."""


class Crossover(NeighborOversampler):
    """Each column whole from a row or from its neighbour, so that every value is a real one (docs/methods.md)."""

    name = "crossover"
    title = "crossover"
    explained = "with rows crossed from a row and its neighbour"
    _linkage: "Linkage"

    def fit(self, rows: ClassSample) -> Self:
        """Learn which columns go together."""
        features = rows.features
        groups = np.arange(len(rows.columns)) if features.groups is None else features.groups
        fitted = copy.copy(self)
        fitted._linkage = fit_linkage(rows.row_ids, rows.columns, features.is_categorical, groups, rows.random_state)
        return fitted

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Values of both parents; the gap is the share of the differing groups that are the neighbour's."""
        base, neighbor = parents.columns[:, parents.base], parents.columns[:, parents.neighbor]
        return cross(base, neighbor, self._linkage, parents.random_state, parents.row_id, parents.copy)


@dataclass(frozen=True, kw_only=True, eq=False)
class Linkage:
    """Which columns go together, and how closely."""

    groups: NDArray[np.intp]
    """The group of each column, from 0 to n_groups - 1; columns of one group are never parted."""
    order: NDArray[np.intp]
    """All groups, each after its parent."""
    parent: NDArray[np.intp]
    """The group that each group follows; the first in order has none and follows with chance 0."""
    strength: NDArray[np.float64]
    """The chance that a group follows its parent, in [0, 1]."""

    def tosses(
        self, random_state: int, base_row_id: NDArray[np.int64], copy: NDArray[np.int64], attempt: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """For each group and made row whether it comes from the neighbour, and its toss; (n_groups, n_made)."""
        slots = range(attempt * len(self.order), (attempt + 1) * len(self.order))
        tosses = np.stack([uniform(random_state, Stream.CROSS, base_row_id, copy, slot) for slot in slots])
        taken = tosses < 0.5
        for g in self.order[1:]:
            follows = uniform(random_state, Stream.FOLLOW, base_row_id, copy, slots[g]) < self.strength[g]
            taken[g] = np.where(follows, taken[self.parent[g]], taken[g])
        return taken, tosses


def fit_linkage(
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    is_categorical: NDArray[np.bool_],
    groups: NDArray[np.intp],
    random_state: int,
) -> Linkage:
    """The linkage of one class's columns, from at most SAMPLE_ROWS of its rows, those with the least hash.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_rows)
    groups : ndarray of shape (n_features,)
        As in `Linkage`; the first column of a group stands for it.
    """
    chosen = np.argsort(hash64(random_state, Stream.SAMPLE, row_ids), kind="stable")[:SAMPLE_ROWS]
    leaders = np.unique(groups, return_index=True)[1]
    association = cramers_v(columns[leaders][:, chosen], is_categorical[leaders])
    order, parent = spanning_tree(association)
    strength = association[np.arange(len(leaders)), parent]
    strength[order[0]] = 0
    return Linkage(groups=groups, order=order, parent=parent, strength=strength)


def cramers_v(columns: NDArray[Any], is_categorical: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cramér's V of each two columns, bias-corrected (Bergsma 2013, J. Korean Stat. Soc. 42:323-328), in [0, 1].

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_rows)

    Returns
    -------
    ndarray of shape (n_features, n_features), rounded to six digits, 1 on the diagonal
    """
    n_rows = columns.shape[1]
    binned = [_bins(column, category) for column, category in zip(columns, is_categorical, strict=True)]
    sizes = np.array([bins.max() + 1 for bins in binned])
    starts = np.cumsum(sizes) - sizes
    indicators = np.zeros((n_rows, sizes.sum()), np.float32)
    for bins, start in zip(binned, starts, strict=True):
        indicators[np.arange(n_rows), start + bins] = 1
    # Counts below 2^24 are exact in 32 bits, in whatever order they are added.
    together = (indicators.T @ indicators).astype(np.float64)
    alone = np.diag(together)
    expected = np.outer(alone, alone) / n_rows
    excess = (together - expected) ** 2 / expected
    phi = np.add.reduceat(np.add.reduceat(excess, starts, axis=0), starts, axis=1) / n_rows
    freedom = np.outer(sizes - 1, sizes - 1) / max(n_rows - 1, 1)
    corrected = sizes - (sizes - 1) ** 2 / max(n_rows - 1, 1)
    most = np.maximum(np.minimum.outer(corrected, corrected) - 1, np.finfo(np.float64).tiny)
    association = np.sqrt(np.clip((phi - freedom) / most, 0, 1))
    np.fill_diagonal(association, 1)
    return np.asarray(np.round(association, 6))


def _bins(column: NDArray[Any], is_categorical: bool) -> NDArray[np.intp]:
    """The column as numbers of bins from 0 on, every one of which occurs."""
    values, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
    if is_categorical:
        frequent = np.argsort(-counts, kind="stable")[:CATEGORIES]
        frequent = frequent[counts[frequent] ** 2 >= len(column)]
        codes = np.where(np.isin(codes, frequent), codes, len(values))
    elif len(values) > BINS:
        cuts = np.quantile(column, np.arange(1, BINS) / BINS)
        codes = np.searchsorted(np.unique(cuts), column, side="right")
    return np.asarray(np.unique(codes, return_inverse=True)[1])


def spanning_tree(weights: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The maximum spanning tree from node 0 (Prim): the nodes, each after its parent, and the parent of each.

    Of equal weights that of the lower node is taken; node 0 is its own parent.
    """
    n = len(weights)
    order, parent = np.zeros(n, np.intp), np.zeros(n, np.intp)
    best, reached = weights[0].copy(), np.zeros(n, bool)
    reached[0] = True
    for i in range(1, n):
        node = int(np.argmax(np.where(reached, -1.0, best)))
        order[i], reached[node] = node, True
        nearer = ~reached & (weights[node] > best)
        best[nearer], parent[nearer] = weights[node][nearer], node
    return order, parent


def cross(
    base: NDArray[Any],
    neighbor: NDArray[Any],
    linkage: Linkage,
    random_state: int,
    base_row_id: NDArray[np.int64],
    copy: NDArray[np.int64],
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Each value whole from `base` or `neighbor`, and none of the rows a copy of either.

    A row that comes out as a copy is tossed again. Parents that differ in one group or none leave nothing to cross:
    the row is the base's.

    Parameters
    ----------
    base, neighbor : ndarrays of shape (n_features, n_made)
    base_row_id, copy : ndarrays of shape (n_made,)

    Returns
    -------
    values, share of the differing groups that are the neighbour's : shapes (n_features, n_made) and (n_made,)
    """
    differs = np.zeros((len(linkage.order), base.shape[1]), bool)
    for f, group in enumerate(linkage.groups):
        differs[group] |= base[f] != neighbor[f]
    differing = differs.sum(axis=0)
    taken = np.zeros_like(differs)
    pending = np.flatnonzero(differing > 1)
    for attempt in range(ATTEMPTS):
        if not pending.size:
            break
        drawn, tosses = linkage.tosses(random_state, base_row_id[pending], copy[pending], attempt)
        drawn &= differs[:, pending]
        if attempt == ATTEMPTS - 1:  # columns so closely linked that they never part: one of them must
            tosses[~differs[:, pending]] = 1.0
            drawn = np.arange(len(drawn))[:, None] == tosses.argmin(axis=0)
        crossed = drawn.any(axis=0) & (drawn.sum(axis=0) < differing[pending])
        taken[:, pending[crossed]] = drawn[:, crossed]
        pending = pending[~crossed]
    return np.where(taken[linkage.groups], neighbor, base), taken.sum(axis=0) / np.maximum(differing, 1)
