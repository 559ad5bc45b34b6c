"""Directions in which rows differ most, so that a search may rule most pairs out by a few numbers each.

The principal axes of the numeric columns (Pearson 1901, Philosophical Magazine 2:559-572), as many as make the search
of some sampled rows cheapest: with fewer a pair is compared faster, and more pairs are left to be measured in all
columns. Where columns have nothing to do with each other, no axes help, and there are none.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import Candidates

_LEAST_ROWS = 50_000
"""Fewer are searched as fast without: most of the time goes to the first rows, while little can be ruled out."""
_SAMPLE_ROWS = 2048
_SEARCHED_ROWS = 2**15
_QUERIES = 32
_DIRECTION_SECONDS = 1.4e-11
"""To compare two rows in one direction."""
_PAIR_SECONDS = 3e-8
"""To measure two rows in all columns, and one more _COLUMN_SECONDS for each."""
_COLUMN_SECONDS = 5e-10
_WORTH = 0.85
"""Share of the time below which turning rows pays."""


def rotated(distance: Distance, columns: NDArray[Any], k: int) -> Distance:
    """The distance with the directions that make it cheapest to find the k nearest of these rows, if any do.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_rows)
    """
    n_features, n_rows = columns.shape
    numeric = np.flatnonzero(~distance.is_categorical)
    if distance.places or n_rows < _LEAST_ROWS or len(numeric) < 2:
        return distance
    searched = columns[:, :: -(-n_rows // _SEARCHED_ROWS)]
    sample = np.linspace(0, searched.shape[1] - 1, _SAMPLE_ROWS).astype(int)
    queries = sample[:: _SAMPLE_ROWS // _QUERIES]
    _, squared = Candidates(searched, distance).nearest(searched[:, queries], k, queries)
    furthest = squared[:, -1]
    values = searched[np.ix_(numeric, sample)].astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    # No square overflows.
    unit = np.abs(values).max() or 1.0
    values, furthest = values / unit, furthest / unit / unit
    axes = np.linalg.eigh(values @ values.T)[1][:, ::-1]
    turned = axes.T @ values
    asked = turned[:, :: _SAMPLE_ROWS // _QUERIES]
    between = np.zeros((len(queries), _SAMPLE_ROWS))
    costs = np.empty(len(numeric))
    measured = _PAIR_SECONDS + n_features * _COLUMN_SECONDS
    for i in range(len(numeric)):
        between += (asked[i][:, None] - turned[i]) ** 2
        costs[i] = (i + 1) * _DIRECTION_SECONDS + np.mean(between < furthest[:, None]) * measured
    best = int(np.argmin(costs))
    if costs[best] > _WORTH * costs[-1]:
        return distance
    return replace(distance, rotation=np.ascontiguousarray(axes[:, : best + 1]))
