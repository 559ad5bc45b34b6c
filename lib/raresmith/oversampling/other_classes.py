"""Where a class lies among other classes, and so where its rows are wanted most.

Borderline-SMOTE (Han et al. 2005, ICIC, LNCS 3644:878-887) starts from the rows in danger, which have at least half
of their nearest rows in other classes, but not all. ADASYN (He et al. 2008, IJCNN:1322-1328) makes the more rows of a
base the more of its nearest rows are of other classes.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raresmith.config import Method
from raresmith.errors import NothingToMake
from raresmith.neighbors.search import Candidates, nearest_of
from raresmith.oversampling.smote import Smote, copies_per_base


class OtherClasses(Protocol):
    """The rows of the table that are not of the class, wherever they lie."""

    def nearest(
        self, plan: Smote, bases: NDArray[np.int64], n: int, within: NDArray[np.float64]
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
        self, plan: Smote, bases: NDArray[np.int64], n: int, within: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """As `OtherClasses` says."""
        candidates = Candidates(self._columns, plan.distance)
        found, distances = candidates.nearest(plan.columns[:, bases], n, within=within, n_threads=self._n_threads)
        return self._row_ids[found], distances

    def rows(self, row_ids: NDArray[np.int64]) -> NDArray[Any]:
        """As `OtherClasses` says."""
        return self._columns[:, np.searchsorted(self._row_ids, row_ids)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """The nearest rows of some rows of a class, in it and in the whole table; arrays of shape (n_bases, n)."""

    near: NDArray[np.int64]
    """Positions of those of the class, nearest first; -1 where there are fewer."""
    nearest: NDArray[np.int64]
    """Those of the table, nearest first: positions of those of the class, ids of the others."""
    is_other: NDArray[np.bool_]
    """Which of `nearest` are of other classes."""

    def n_others(self, m: int) -> NDArray[np.int64]:
        """How many of the m nearest are of other classes."""
        return np.asarray(np.count_nonzero(self.is_other[:, :m], axis=1))


def seen_by(method: Method, k_neighbors: int, m_neighbors: int) -> int:
    """Nearest rows of the table by which a method judges a row."""
    return k_neighbors if method == "adasyn" else m_neighbors


def look_around(
    plan: Smote, bases: NDArray[np.int64], n: int, others: OtherClasses, n_threads: int = 1
) -> Surroundings:
    """The n nearest rows of these rows of the class."""
    near, distances = plan.candidates.nearest(plan.columns[:, bases], n, bases, n_threads=n_threads)
    other_ids, other_distances = others.nearest(plan, bases, n, distances[:, -1])
    both = np.c_[distances, other_distances]
    order = nearest_of(np.c_[plan.row_ids[near], other_ids], both, n)
    return Surroundings(
        near=near,
        nearest=np.take_along_axis(np.c_[near, other_ids], order, axis=1),
        is_other=(order >= n) & np.isfinite(np.take_along_axis(both, order, axis=1)),
    )


def surrounded(
    plan: Smote,
    method: Method,
    n_to_make: int,
    m_neighbors: int,
    others: OtherClasses,
    name: str,
    n_threads: int = 1,
    is_base: NDArray[np.bool_] | None = None,
) -> Smote:
    """The plan with its bases, and for borderline-2 its neighbours, chosen by the class's surroundings.

    Bases are chosen among the rows marked in `is_base`, or without it among all.

    Raises
    ------
    NothingToMake
        If there is no base to choose.
    """
    m, k = seen_by(method, plan.k_neighbors, m_neighbors), plan.k_neighbors
    n_rows = len(plan.row_ids)
    around = look_around(plan, np.arange(n_rows), max(m, k), others, n_threads)
    n_others = around.n_others(m)
    if is_base is not None:
        n_others[~is_base] = 0  # neither ADASYN nor Borderline starts from a row among its own
    if method == "adasyn":
        check_adasyn(int(n_others.sum()), int(n_others.max()), int(np.count_nonzero(n_others)), n_to_make, name)
        return replace(plan, copies=adasyn_copies(n_others, n_to_make, int(n_others.sum())))
    danger = in_danger(n_others, m)
    check_danger(int(np.count_nonzero(danger)), m, name)
    copies = np.zeros(n_rows, np.int64)
    copies[danger] = copies_per_base(plan.row_ids[danger], n_to_make, plan.random_state)
    plan = replace(plan, copies=copies)
    if method == "borderline-1":
        return plan
    # Of positions in this class and ids in others, the ids become positions after this class.
    neighbors = around.nearest[:, :k].copy()
    foreign = around.is_other[:, :k] & danger[:, None]
    row_ids, place = np.unique(neighbors[foreign], return_inverse=True)
    neighbors[foreign] = n_rows + place
    columns = np.c_[plan.columns, others.rows(row_ids)] if len(row_ids) else plan.columns
    return replace(plan, row_ids=np.r_[plan.row_ids, row_ids], columns=columns, near=neighbors)


def in_danger(n_others: NDArray[Any], m: int) -> NDArray[np.bool_]:
    """Rows with at least half, but not all, of their m nearest rows in other classes."""
    return np.asarray((2 * n_others >= m) & (n_others < m))


def check_danger(n_in_danger: int, m: int, name: str) -> None:
    """Raise NothingToMake if no row of the class called `name` is in danger."""
    if n_in_danger == 0:
        raise NothingToMake(
            f"no row of class {name!r} has at least half, but not all, of its {m} nearest rows in other classes, so "
            'borderline has none to start from; set oversample.method = "smote" or another oversample.m_neighbors'
        )


def adasyn_copies(n_others: NDArray[Any], n_to_make: int, total: int) -> NDArray[np.int64]:
    """Rows to make of each base, in proportion to its nearest rows of other classes, of which there are `total`.

    Each number is rounded, so that their sum may differ from `n_to_make`, as in imbalanced-learn.
    """
    whole, rest = np.divmod(n_others.astype(np.int64) * n_to_make, total)
    # Half to even, as NumPy rounds.
    return np.asarray(whole + ((2 * rest > total) | ((2 * rest == total) & (whole % 2 == 1))))


def check_adasyn(total: int, most: int, n_bases: int, n_to_make: int, name: str) -> None:
    """Raise NothingToMake if ADASYN makes no row of the class called `name`.

    Its rows have `total` rows of other classes among their nearest, one of them `most`, and `n_bases` at least one.
    """
    if total == 0:
        raise NothingToMake(
            f"no row of class {name!r} has a row of another class among its nearest, so ADASYN has nowhere to make "
            'rows; set oversample.method = "smote" or a larger oversample.k_neighbors'
        )
    if adasyn_copies(np.array([most]), n_to_make, total)[0] == 0:
        raise NothingToMake(
            f"ADASYN shares {n_to_make} rows of class {name!r} out among {n_bases} bases, and all shares round to 0; "
            'ask for more rows, or set oversample.method = "smote"'
        )
