"""SMOTE (Chawla et al. 2002, JAIR 16:321-357).

Tables with categorical columns as SMOTE-NC does: a differing category counts as the median deviation of the numeric
columns, and a made row takes the category that most of its base's neighbours have.

There is no way from a number to none: where base and neighbour differ in whether a number counts, the number is that of
one of them.
"""

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from raresmith.counter_rng import Stream
from raresmith.oversampling.base import ClassSample, Features, NeighborOversampler, Parents


class SMOTE(NeighborOversampler):
    """Rows on the way from a row of the class to one of its nearest.

    References
    ----------
    Chawla et al. 2002, JAIR 16:321-357; with categorical columns as SMOTE-NC does.
    """

    name = "smote"
    title = "SMOTE"
    explained = "with the SMOTE rows"

    _states: dict[int, int]
    """By number that has one the column of its state, which tells whether the number counts."""

    def fit(self, rows: ClassSample) -> Self:
        """Note which numbers have a state."""
        fitted = copy.copy(self)
        fitted._states = _states(rows.features)
        return fitted

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Numbers at the gap between base and neighbour, and the most frequent category of all neighbours.

        States are whole from the neighbour, with a chance of the gap, or from the base, and so are numbers whose states
        differ. Towards a row of another class it is less than half the way, as in Borderline-SMOTE2.
        """
        gap = parents.uniform(Stream.GAP)
        other = parents.is_other
        gap[other] *= parents.uniform(Stream.HALF, where=other) / 2
        made = np.empty((len(parents.columns), len(gap)), parents.columns.dtype)
        states = {*self._states.values()}
        for f, column in enumerate(parents.columns):
            if f in states:
                continue
            if parents.is_categorical[f]:
                made[f] = vote(column[parents.near], parents.at, parents.uniform(Stream.VOTE, f))
            else:
                made[f] = interpolate(column[parents.base], column[parents.neighbor], gap)
        if self._states:
            # One parent for all of a row, so that what is missing or zero together stays so.
            parent = np.where(parents.uniform(Stream.STATE) < gap, parents.neighbor, parents.base)
            for number, state in self._states.items():
                column = parents.columns[state]
                made[state] = column[parent]
                differ = column[parents.base] != column[parents.neighbor]
                made[number, differ] = parents.columns[number, parent[differ]]
        return made, gap


def _states(features: Features) -> dict[int, int]:
    """A number and a category of one group are a number and its state."""
    if features.groups is None:
        return {}
    is_category = features.is_categorical
    category = {int(features.groups[f]): int(f) for f in np.flatnonzero(is_category)}
    groups = {int(f): int(features.groups[f]) for f in np.flatnonzero(~is_category)}
    return {f: category[group] for f, group in groups.items() if group in category}


def interpolate(base: NDArray[Any], neighbor: NDArray[Any], gap: NDArray[np.float64]) -> NDArray[Any]:
    """Values at the share `gap` of the way from base to neighbor, never outside, in base's type."""
    low, high = np.minimum(base, neighbor), np.maximum(base, neighbor)
    start = base.astype(np.float64)
    # In float64 the sum may round to just beyond an end; the cast back keeps the order.
    return np.asarray(np.clip(start + gap * (neighbor.astype(np.float64) - start), low, high)).astype(base.dtype)


def vote(codes: NDArray[Any], at: NDArray[np.intp], draw: NDArray[np.float64]) -> NDArray[Any]:
    """The most frequent code of each made row's neighbours; among equally frequent ones that which `draw` falls on.

    Parameters
    ----------
    codes : ndarray of shape (n_bases, k)
        Codes of each base's neighbours.
    at : ndarray of shape (n_made,)
        The base of each made row, as an index into `codes`.
    draw : ndarray of shape (n_made,)
        Uniform in [0, 1).
    """
    votes = np.stack([(codes == codes[:, [i]]).sum(axis=1) for i in range(codes.shape[1])], axis=1)
    # Codes with equally many votes hold equally many places, so a drawn place is a fair draw among them.
    leading = np.cumsum(votes == votes.max(axis=1, keepdims=True), axis=1)
    place = np.floor(draw * leading[at, -1]).astype(np.int64) + 1
    return np.asarray(codes[at, np.argmax(leading[at] == place[:, None], axis=1)])
