"""Where a class lies among other classes, for oversamplers that choose their bases by it."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raresmith.neighbors.search import Candidates, nearest_of
from raresmith.oversampling.base import FoundBases, copies_per_base
from raresmith.oversampling.plan import ClassPlan


class OtherClasses(Protocol):
    """The rows of the table that are not of the class, wherever they lie."""

    def nearest(
        self, plan: ClassPlan, bases: NDArray[np.int64], n: int, within: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ids and squared distances of the n nearest of these rows of the class, nearest first, equal ones by id.

        Both of shape (n_bases, n); the distance is infinite where fewer lie within the squared distance `within`.
        """

    def rows(self, row_ids: NDArray[np.int64]) -> NDArray[Any]:
        """Features of rows, of shape (n_features, n_rows)."""


class InMemory:
    """Rows of other classes that lie in memory; ids ascending, features of shape (n_features, n_rows)."""

    def __init__(self, row_ids: NDArray[np.int64], columns: NDArray[Any], n_threads: int = 1) -> None:
        self._row_ids, self._columns, self._n_threads = row_ids, columns, n_threads

    def nearest(
        self, plan: ClassPlan, bases: NDArray[np.int64], n: int, within: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """As `OtherClasses` says."""
        candidates = Candidates(self._columns, plan.distance)
        found, distances = candidates.nearest(plan.columns[:, bases], n, within=within, n_threads=self._n_threads)
        return self._row_ids[found], distances

    def rows(self, row_ids: NDArray[np.int64]) -> NDArray[Any]:
        """As `OtherClasses` says."""
        return self._columns[:, np.searchsorted(self._row_ids, row_ids)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighborhood:
    """The nearest rows of some rows of a class, in it and in the whole table; arrays of shape (n_bases, n)."""

    near: NDArray[np.int64]
    """Positions of those of the class, nearest first; -1 where there are fewer."""
    nearest: NDArray[np.int64]
    """Those of the table, nearest first: positions of those of the class, ids of the others."""
    is_other: NDArray[np.bool_]
    """Which of `nearest` are of other classes."""


def look_around(
    plan: ClassPlan, bases: NDArray[np.int64], others: OtherClasses, n_threads: int = 1
) -> tuple[Neighborhood, NDArray[np.int64]]:
    """The nearest rows of these rows of the class, as many as it takes, and how many judge against the row."""
    m = plan.oversampler.m_nearest(plan.k_neighbors)
    n = max(m, plan.k_neighbors)
    near, distances = plan.candidates.nearest(plan.columns[:, bases], n, bases, n_threads=n_threads)
    other_ids, other_distances = others.nearest(plan, bases, n, distances[:, -1])
    both = np.c_[distances, other_distances]
    order = nearest_of(np.c_[plan.row_ids[near], other_ids], both, n)
    is_other = (order >= n) & np.isfinite(np.take_along_axis(both, order, axis=1))
    around = Neighborhood(
        near=near, nearest=np.take_along_axis(np.c_[near, other_ids], order, axis=1), is_other=is_other
    )
    return around, np.asarray(np.count_nonzero(is_other[:, :m], axis=1))


def among_other_classes(
    plan: ClassPlan,
    n_to_make: int,
    others: OtherClasses,
    n_threads: int = 1,
    is_base: NDArray[np.bool_] | None = None,
) -> ClassPlan:
    """The plan with its bases, and if the oversampler says so its neighbours, chosen among the rows of all classes.

    Bases are chosen among the rows marked in `is_base`, or without it among all.

    Raises
    ------
    NothingToMake
        If there is no base to choose.
    """
    n_rows = len(plan.row_ids)
    around, n_others = look_around(plan, np.arange(n_rows), others, n_threads)
    chosen = plan.oversampler.may_be_base(n_others)
    if is_base is not None:
        chosen &= is_base
    found = n_others[chosen]
    copies_of = plan.oversampler.choose_bases(
        FoundBases(
            class_name=plan.class_name,
            n_to_make=n_to_make,
            n_bases=len(found),
            n_others=int(found.sum()),
            most_others=int(found.max(initial=0)),
        )
    )
    copies = np.zeros(n_rows, np.int64)
    row_ids = plan.row_ids[chosen]
    copies[chosen] = copies_of(found) if copies_of else copies_per_base(row_ids, n_to_make, plan.random_state)
    plan = replace(plan, copies=copies)
    if not plan.oversampler.towards_other_classes:
        return plan
    # Of positions in this class and ids in others, the ids become positions after this class.
    neighbors = around.nearest[:, : plan.k_neighbors].copy()
    foreign = around.is_other[:, : plan.k_neighbors] & chosen[:, None]
    row_ids, place = np.unique(neighbors[foreign], return_inverse=True)
    neighbors[foreign] = n_rows + place
    columns = np.c_[plan.columns, others.rows(row_ids)] if len(row_ids) else plan.columns
    return replace(plan, row_ids=np.r_[plan.row_ids, row_ids], columns=columns, near=neighbors)
