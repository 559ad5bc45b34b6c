"""All that decides the made rows of one class, any slice of which can be made at a time, anywhere."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raresmith.counter_rng import Stream, uniform
from raresmith.errors import DataError, Key
from raresmith.neighbors.cells import COPY_SECONDS, Fit, Members, Sample, choose_cells, parts_by_hash, sampled
from raresmith.neighbors.distance import Distance
from raresmith.neighbors.rotation import rotated
from raresmith.neighbors.search import Candidates, processors
from raresmith.oversampling.base import (
    ClassSample,
    Counts,
    Features,
    MadeRows,
    Oversampler,
    Parents,
    copies_per_base,
    made_row_id,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassPlan:
    """A class's rows, how many others are made of each, and by what.

    A made row is a pure function of (random_state, base row, copy number) and the class's rows: its neighbour, gap
    and votes are counter-based random numbers keyed by these.
    """

    row_ids: NDArray[np.int64]
    """All different and, where neighbours are looked for among them, ascending; of shape (n_rows,)."""
    columns: NDArray[Any]
    """Features as float32 or float64, finite, of shape (n_features, n_rows)."""
    oversampler: Oversampler
    """Fitted."""
    distance: Distance
    k_neighbors: int
    """From 1 to n_rows - 1, or 0: a row is its own neighbour."""
    random_state: int
    copies: NDArray[np.int64]
    """Rows to make of each base."""
    class_name: str = ""
    members: Members | None = None
    """Cells to look for neighbours in; None looks among all rows."""
    near: NDArray[np.int64] | None = None
    """Of shape (n_bases, k_neighbors), where they are known: positions of neighbours of any class. The rows of this
    class come first, of these the bases, and one for each is in `copies`."""

    @property
    def n_to_make(self) -> int:
        """Rows that can be asked for."""
        return int(self.copies.sum())

    @cached_property
    def _order(self) -> NDArray[np.integer[Any]]:
        """The bases in the order of their made rows' numbers: a run of numbers touches few cells."""
        return self.members.order if self.members else np.arange(len(self.copies))

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Made rows of all bases up to and including each one in order."""
        return np.cumsum(self.copies[self._order])

    @cached_property
    def candidates(self) -> Candidates:
        """The rows, laid out for being searched."""
        return Candidates(self.columns, rotated(self.distance, self.columns, self.k_neighbors))

    def neighbors(self, bases: NDArray[np.int64], n_threads: int = 1) -> NDArray[np.int64]:
        """Positions of the nearest rows of each of these, of shape (n_bases, k_neighbors); at least the row itself."""
        if self.k_neighbors == 0:
            return bases[:, None]
        if self.near is not None:
            return self.near[bases]
        return self.all_found(self._found(bases, n_threads))

    def all_found(self, near: NDArray[np.int64]) -> NDArray[np.int64]:
        """`near`, positions of neighbours, -1 where there are too few; raise DataError if there is such a one."""
        if (near < 0).any():
            raise DataError(
                'a cell holds too few rows for {k} = {k_neighbors}; lower it or set {neighbors} = "exact"',
                k=Key("oversample.k_neighbors"),
                k_neighbors=self.k_neighbors,
                neighbors=Key("oversample.neighbors"),
            )
        return near

    def _found(self, bases: NDArray[np.int64], n_threads: int) -> NDArray[np.int64]:
        """As `neighbors`, -1 where there are fewer."""
        if self.members is None:
            return self.candidates.nearest(self.columns[:, bases], self.k_neighbors, bases, n_threads=n_threads)[0]
        near = np.empty((len(bases), self.k_neighbors), np.int64)
        homes = self.members.home[bases]
        for cell in np.unique(homes):
            asking = np.flatnonzero(homes == cell)
            rows = self.members.candidates(int(cell))
            candidates = Candidates(self.columns[:, rows], self.distance)
            own = np.searchsorted(rows, bases[asking])
            found, _ = candidates.nearest(self.columns[:, bases[asking]], self.k_neighbors, own, n_threads=n_threads)
            near[asking] = np.where(found < 0, -1, rows[found])
        return near

    def rows(self, numbers: NDArray[np.int64], n_threads: int = 1) -> MadeRows:
        """The made rows with these numbers, each from 0 to n_to_make - 1; all copies of a base are neighbours.

        The time is mostly that of the neighbours of each distinct base, so ask for whole runs of numbers.
        """
        place = np.searchsorted(self._ends, numbers, side="right")
        base = self._order[place].astype(np.int64)
        before = np.where(place > 0, self._ends[place - 1], 0)
        row_id, copy = self.row_ids[base], numbers - before
        bases, at = np.unique(base, return_inverse=True)
        near = self.neighbors(bases, n_threads)
        drawn = uniform(self.random_state, Stream.NEIGHBOR, row_id, copy) * near.shape[1]
        neighbor = near[at, drawn.astype(np.int64)]
        values, gap = self.oversampler.draw(
            Parents(
                row_id=row_id,
                copy=copy,
                base=base,
                neighbor=neighbor,
                is_other=neighbor >= len(self.copies),
                columns=self.columns,
                bases=bases,
                near=near,
                at=at,
                is_categorical=self.distance.is_categorical,
                random_state=self.random_state,
            )
        )
        return MadeRows(
            row_id=made_row_id(self.random_state, row_id, copy),
            base_row_id=row_id,
            neighbor_row_id=self.row_ids[neighbor],
            gap=gap,
            columns=values,
        )


def plan_class(
    oversampler: Oversampler,
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    features: Features,
    n_to_make: int,
    k_neighbors: int,
    random_state: int,
    *,
    is_base: NDArray[np.bool_] | None = None,
    category_counts: tuple[Counts, Counts] | None = None,
    class_name: str = "",
) -> ClassPlan:
    """The plan for a class whose rows are given as in `ClassPlan`: as many copies of each row, give or take one.

    Parameters
    ----------
    oversampler : Oversampler
        Not yet fitted; it is fitted on these rows.
    is_base : ndarray of shape (n_rows,)
        Rows that are not marked are neighbours only; without it all are bases.
    category_counts
        As in `ClassSample`.

    Examples
    --------
    >>> from raresmith.oversampling.smote import SMOTE
    >>> fraud = np.array([[0.0, 1.0, 5.0], [2.0, 2.0, 2.0]])
    >>> numbers = Features(np.array([False, False]))
    >>> plan = plan_class(SMOTE(), np.array([7, 8, 9]), fraud, numbers, n_to_make=6, k_neighbors=1, random_state=0)
    >>> made = plan.rows(np.arange(6))
    >>> sorted(set(made.base_row_id.tolist())), made.columns.shape
    ([7, 8, 9], (2, 6))
    """
    rows = ClassSample(
        row_ids=row_ids,
        columns=columns,
        features=features,
        random_state=random_state,
        category_counts=category_counts,
    )
    fitted = oversampler.fit(rows)
    copies = np.zeros(len(row_ids), np.int64)
    bases = np.arange(len(row_ids)) if is_base is None else np.flatnonzero(is_base)
    copies[bases] = copies_per_base(row_ids[bases], n_to_make, random_state)
    return ClassPlan(
        row_ids=row_ids,
        columns=columns,
        oversampler=fitted,
        distance=fitted.distance(columns, features.is_categorical),
        k_neighbors=k_neighbors,
        random_state=random_state,
        copies=copies,
        class_name=class_name,
    )


def plan_copies(oversampler: Oversampler, features: Features, random_state: int) -> ClassPlan:
    """The plan of an oversampler that learns nothing and looks at no neighbours, without any rows yet."""
    return ClassPlan(
        row_ids=np.empty(0, np.int64),
        columns=np.empty((len(features.is_categorical), 0)),
        oversampler=oversampler,
        distance=Distance(features.is_categorical),
        k_neighbors=0,
        random_state=random_state,
        copies=np.empty(0, np.int64),
    )


def from_neighbors(
    plan: ClassPlan,
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    copies: NDArray[np.int64],
    near_ids: NDArray[np.int64],
    near_columns: NDArray[Any],
    is_other: NDArray[np.bool_],
) -> ClassPlan:
    """The plan for bases whose neighbours are known.

    Parameters
    ----------
    row_ids, columns, copies : of the bases
    near_ids, is_other : ndarrays of shape (n_bases, k_neighbors)
        Neighbours, and whether they are of another class.
    near_columns : ndarray of shape (n_features, n_bases, k_neighbors)
    """
    own = ~is_other
    n_own = np.count_nonzero(own)
    near = np.empty(near_ids.shape, np.int64)
    near[own] = len(row_ids) + np.arange(n_own)
    near[is_other] = len(row_ids) + n_own + np.arange(np.count_nonzero(is_other))
    return replace(
        plan,
        row_ids=np.r_[row_ids, near_ids[own], near_ids[is_other]],
        columns=np.concatenate([columns, near_columns[:, own], near_columns[:, is_other]], axis=1),
        copies=np.r_[copies, np.zeros(n_own, np.int64)],
        near=near,
    )


def fit_cells(
    sample: Sample,
    n_rows: int,
    plan: ClassPlan,
    neighbors: Literal["cells", "partition"],
    min_recall: float,
    copy_seconds: float,
) -> Fit:
    """Spatial cells, or parts by hash, for a class of which distances are those of `plan`.

    Raises
    ------
    DataError
        If no cells find a share `min_recall` of the true neighbours.
    """
    if neighbors == "partition":
        return parts_by_hash(sample, n_rows, plan.distance, plan.random_state)
    return choose_cells(
        sample, n_rows, plan.distance, min_recall, plan.random_state, plan.class_name, copy_seconds
    )  # fmt: skip


def in_cells(plan: ClassPlan, neighbors: Literal["cells", "partition"], min_recall: float) -> tuple[ClassPlan, Fit]:
    """The plan with neighbours looked for in cells as by `fit_cells`, and what is known of these."""
    sample = sampled(plan.row_ids, plan.columns, plan.k_neighbors, plan.distance, plan.random_state)
    fit = fit_cells(sample, len(plan.row_ids), plan, neighbors, min_recall, COPY_SECONDS)
    of_rows = fit.cells.of(plan.row_ids, plan.columns, processors())
    return replace(plan, members=Members(of_rows, len(fit.cells))), fit
