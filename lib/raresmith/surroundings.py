"""Where a class lies among other classes, and so where its rows are wanted most.

Borderline-SMOTE (Han et al. 2005, ICIC, LNCS 3644:878-887) starts from the rows in danger, which have at least half
of their nearest rows in other classes, but not all. ADASYN (He et al. 2008, IJCNN:1322-1328) makes the more rows of a
base the more of its nearest rows are of other classes.
"""

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raresmith.config import Method
from raresmith.errors import NothingToMake
from raresmith.neighbors import Candidates, nearest_of
from raresmith.smote import Smote, copies_per_base


class OtherClasses(Protocol):
    """The rows of the table that are not of the class, wherever they lie."""

    def nearest(
        self, plan: Smote, n: int, within: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ids and squared distances of the n nearest of each row of the class, nearest first, equal ones by id.

        Both of shape (n_rows, n); the distance is infinite where fewer lie within the squared distance `within`.
        """

    def rows(self, row_ids: NDArray[np.int64]) -> NDArray[Any]:
        """Features of rows, of shape (n_features, n_rows)."""


class InMemory:
    """Rows of other classes that lie in memory; ids ascending, features of shape (n_features, n_rows)."""

    def __init__(self, row_ids: NDArray[np.int64], columns: NDArray[Any], n_threads: int = 1) -> None:
        self._row_ids, self._columns, self._n_threads = row_ids, columns, n_threads

    def nearest(
        self, plan: Smote, n: int, within: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """As `OtherClasses` says."""
        candidates = Candidates(self._columns, plan.is_categorical, plan.category_weight)
        found, distances = candidates.nearest(plan.columns, n, within=within, n_threads=self._n_threads)
        return self._row_ids[found], distances

    def rows(self, row_ids: NDArray[np.int64]) -> NDArray[Any]:
        """As `OtherClasses` says."""
        return self._columns[:, np.searchsorted(self._row_ids, row_ids)]


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
    m = plan.k_neighbors if method == "adasyn" else m_neighbors
    n = max(m, plan.k_neighbors)
    n_rows = len(plan.row_ids)
    near, distances = plan.candidates.nearest(plan.columns, n, np.arange(n_rows), n_threads=n_threads)
    other_ids, other_distances = others.nearest(plan, n, distances[:, -1])
    both = np.c_[distances, other_distances]
    nearest = nearest_of(np.c_[plan.row_ids[near], other_ids], both, n)
    is_other = (nearest >= n) & np.isfinite(np.take_along_axis(both, nearest, axis=1))
    n_others = np.count_nonzero(is_other[:, :m], axis=1)
    if is_base is not None:
        n_others[~is_base] = 0  # neither ADASYN nor Borderline starts from a row among its own
    if method == "adasyn":
        return replace(plan, copies=adasyn_copies(n_others, n_to_make, name))
    plan = replace(plan, copies=borderline_copies(plan.row_ids, n_others, m, n_to_make, plan.random_state, name))
    if method == "borderline-1":
        return plan
    # Of positions in this class and ids in others, the ids become positions after this class.
    neighbors = np.take_along_axis(np.c_[near, other_ids], nearest[:, : plan.k_neighbors], axis=1)
    foreign = is_other[:, : plan.k_neighbors] & (plan.copies > 0)[:, None]
    row_ids, place = np.unique(neighbors[foreign], return_inverse=True)
    neighbors[foreign] = n_rows + place
    columns = np.c_[plan.columns, others.rows(row_ids)] if len(row_ids) else plan.columns
    return replace(plan, row_ids=np.r_[plan.row_ids, row_ids], columns=columns, near=neighbors)


def in_danger(n_others: NDArray[Any], m: int) -> NDArray[np.bool_]:
    """Rows with at least half, but not all, of their m nearest rows in other classes."""
    return np.asarray((2 * n_others >= m) & (n_others < m))


def borderline_copies(
    row_ids: NDArray[np.int64], n_others: NDArray[Any], m: int, n_to_make: int, random_state: int, name: str
) -> NDArray[np.int64]:
    """Rows to make of each base: of those in danger equally many, give or take one.

    Raises
    ------
    NothingToMake
        If no row of the class called `name` is in danger.
    """
    danger = in_danger(n_others, m)
    if not danger.any():
        raise NothingToMake(
            f"no row of class {name!r} has at least half, but not all, of its {m} nearest rows in other classes, so "
            'borderline has none to start from; set oversample.method = "smote" or another oversample.m_neighbors'
        )
    copies = np.zeros(len(row_ids), np.int64)
    copies[danger] = copies_per_base(row_ids[danger], n_to_make, random_state)
    return copies


def adasyn_copies(n_others: NDArray[Any], n_to_make: int, name: str) -> NDArray[np.int64]:
    """Rows to make of each base, in proportion to its nearest rows of other classes.

    Each number is rounded, so that their sum may differ from `n_to_make`, as in imbalanced-learn.

    Raises
    ------
    NothingToMake
        If no row of the class called `name` has a row of another class among its nearest, or all numbers round to 0.
    """
    total = int(n_others.sum())
    if total == 0:
        raise NothingToMake(
            f"no row of class {name!r} has a row of another class among its nearest, so ADASYN has nowhere to make "
            'rows; set oversample.method = "smote" or a larger oversample.k_neighbors'
        )
    whole, rest = np.divmod(n_others.astype(np.int64) * n_to_make, total)
    # Half to even, as NumPy rounds.
    copies = whole + ((2 * rest > total) | ((2 * rest == total) & (whole % 2 == 1)))
    if not copies.any():
        raise NothingToMake(
            f"ADASYN shares {n_to_make} rows of class {name!r} out among {np.count_nonzero(n_others)} bases, and all "
            'shares round to 0; ask for more rows, or set oversample.method = "smote"'
        )
    return np.asarray(copies)
