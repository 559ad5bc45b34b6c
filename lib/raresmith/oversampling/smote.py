"""SMOTE of one class (Chawla et al. 2002, JAIR 16:321-357) and crossover, any slice of the made rows at a time.

Tables with categorical columns as SMOTE-NC does: a differing category counts as the median deviation of the numeric
columns, and a made row takes the category that most of its base's neighbours have. SMOTE-N, for tables of categories
only, counts how much they differ in what they say of the class, and lets the base vote too. Crossover draws bases and
neighbours in the same way.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raresmith.config import Method
from raresmith.counter_rng import Stream, hash64, uniform
from raresmith.errors import DataError, NothingToMake
from raresmith.neighbors.cells import COPY_SECONDS, Fit, Members, Sample, choose_cells, parts_by_hash, sampled
from raresmith.neighbors.rotation import rotated
from raresmith.neighbors.search import Candidates, Distance, processors
from raresmith.oversampling.crossover import Linkage, cross, fit_linkage


@dataclass(frozen=True, kw_only=True)
class MadeRows:
    """Made rows; each array has one entry a row, `columns` is of shape (n_features, n_made)."""

    row_id: NDArray[np.int64]
    base_row_id: NDArray[np.int64]
    neighbor_row_id: NDArray[np.int64]
    gap: NDArray[np.float64]
    """In [0, 1): share of the way to the neighbour, or of the differing columns that are the neighbour's; 0 with
    SMOTE-N, where all neighbours vote."""
    columns: NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Smote:
    """All that decides the made rows of one class.

    A made row is a pure function of (random_state, base row, copy number) and the class's rows: its neighbour, gap
    and votes are counter-based random numbers keyed by these.
    """

    row_ids: NDArray[np.int64]
    """Ascending, all different, of shape (n_rows,)."""
    columns: NDArray[Any]
    """Features as float32 or float64, finite, of shape (n_features, n_rows)."""
    distance: Distance
    k_neighbors: int
    """From 1 to n_rows - 1."""
    random_state: int
    copies: NDArray[np.int64]
    """Rows to make of each base."""
    linkage: Linkage | None = None
    """For crossover; None interpolates."""
    members: Members | None = None
    """Cells to look for neighbours in; None looks among all rows."""
    near: NDArray[np.int64] | None = None
    """Of shape (n_bases, k_neighbors), where they are known: positions of neighbours of any class. The rows of this
    class come first, of these the bases, and one for each is in `copies`; a base goes less than half the way to rows of
    other classes."""

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
        """Positions of the nearest rows of each of these, of shape (n_bases, k_neighbors)."""
        if self.near is not None:
            return self.near[bases]
        return all_found(self._found(bases, n_threads), self.k_neighbors)

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
        base_row_id, copy = self.row_ids[base], numbers - before

        bases, at = np.unique(base, return_inverse=True)
        near = self.neighbors(bases, n_threads)
        drawn = uniform(self.random_state, Stream.NEIGHBOR, base_row_id, copy) * self.k_neighbors
        neighbor = near[at, drawn.astype(np.int64)]
        if self.linkage is not None:
            parents = self.columns[:, base], self.columns[:, neighbor]
            made, gap = cross(*parents, self.linkage, self.random_state, base_row_id, copy)
        else:
            all_vote = bool(self.distance.places)
            gap = np.zeros(len(base)) if all_vote else uniform(self.random_state, Stream.GAP, base_row_id, copy)
            foreign = neighbor >= len(self.copies)
            gap[foreign] *= uniform(self.random_state, Stream.HALF, base_row_id[foreign], copy[foreign]) / 2
            made = np.empty((len(self.columns), len(numbers)), self.columns.dtype)
            voters = np.c_[bases, near] if all_vote else near
            for f, column in enumerate(self.columns):
                if self.distance.is_categorical[f]:
                    draw = uniform(self.random_state, Stream.VOTE, base_row_id, copy, f)
                    made[f] = vote(column[voters], at, draw)
                else:
                    made[f] = interpolate(column[base], column[neighbor], gap)
        return MadeRows(
            row_id=made_row_id(self.random_state, base_row_id, copy),
            base_row_id=base_row_id,
            neighbor_row_id=self.row_ids[neighbor],
            gap=gap,
            columns=made,
        )


def all_found(near: NDArray[np.int64], k_neighbors: int) -> NDArray[np.int64]:
    """`near`, the positions of neighbours, -1 where there are too few; raise DataError if there is such a one."""
    if (near < 0).any():
        raise DataError(
            f"a cell holds too few rows for oversample.k_neighbors = {k_neighbors}; lower it or set "
            'oversample.neighbors = "exact"'
        )
    return near


def made_row_id(random_state: int, base_row_id: NDArray[np.int64], copy: NDArray[np.int64]) -> NDArray[np.int64]:
    """A random 64-bit number: two made rows, or a made and a raw one, share it with a chance of n² / 2^65."""
    return hash64(random_state, Stream.ROW_ID, base_row_id, copy)


def smote(
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    is_categorical: NDArray[np.bool_],
    n_to_make: int,
    k_neighbors: int,
    random_state: int,
    method: Method = "smote",
    groups: NDArray[np.intp] | None = None,
    places: tuple[NDArray[np.float64], ...] = (),
    is_base: NDArray[np.bool_] | None = None,
) -> Smote:
    """The plan for a class whose rows are given as in `Smote`: as many copies of each row, give or take one.

    Rows that are not marked in `is_base` are neighbours only; without it all are bases. Crossover does not part the
    columns of one of the `groups`; without them each column is one of its own. SMOTE-N takes the `places` of
    `value_difference`.
    """
    linkage = None
    if method == "crossover":
        groups = np.arange(len(columns)) if groups is None else groups
        linkage = fit_linkage(row_ids, columns, is_categorical, groups, random_state)
    copies = np.zeros(len(row_ids), np.int64)
    bases = np.arange(len(row_ids)) if is_base is None else np.flatnonzero(is_base)
    copies[bases] = copies_per_base(row_ids[bases], n_to_make, random_state)
    return Smote(
        row_ids=row_ids,
        columns=columns,
        distance=Distance(is_categorical, category_weight(columns, is_categorical), places),
        k_neighbors=k_neighbors,
        random_state=random_state,
        copies=copies,
        linkage=linkage,
    )


def from_neighbors(
    plan: Smote,
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    copies: NDArray[np.int64],
    near_ids: NDArray[np.int64],
    near_columns: NDArray[Any],
    is_other: NDArray[np.bool_],
) -> Smote:
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
    plan: Smote,
    neighbors: Literal["cells", "partition"],
    min_recall: float,
    name: str,
    copy_seconds: float,
) -> Fit:
    """Spatial cells, or parts by hash, for the class called `name`, whose distances are those of `plan`.

    Raises
    ------
    DataError
        If no cells find a share `min_recall` of the true neighbours.
    """
    if neighbors == "partition":
        return parts_by_hash(sample, n_rows, plan.distance, plan.random_state)
    return choose_cells(sample, n_rows, plan.distance, min_recall, plan.random_state, name, copy_seconds)


def in_cells(plan: Smote, neighbors: Literal["cells", "partition"], min_recall: float, name: str) -> tuple[Smote, Fit]:
    """The plan with neighbours looked for in cells as by `fit_cells`, and what is known of these."""
    sample = sampled(plan.row_ids, plan.columns, plan.k_neighbors, plan.distance, plan.random_state)
    fit = fit_cells(sample, len(plan.row_ids), plan, neighbors, min_recall, name, COPY_SECONDS)
    of_rows = fit.cells.of(plan.row_ids, plan.columns, processors())
    return replace(plan, members=Members(of_rows, len(fit.cells))), fit


def usable_neighbors(
    n_rows: int, k_neighbors: int, on_few_neighbors: Literal["reduce", "refuse"], class_name: str
) -> int:
    """`k_neighbors`, or the n_rows - 1 that there are where the policy allows it.

    Raises
    ------
    NothingToMake
        If a row stands alone.
    DataError
        If there are too few and the policy is to refuse.
    """
    if n_rows == 1:
        raise NothingToMake(
            f"class {class_name!r} has 1 train row, and SMOTE needs at least 2 to draw a row between them; "
            "leave the class out of oversample.sampling_strategy or give the run more of its rows"
        )
    if n_rows <= k_neighbors and on_few_neighbors == "refuse":
        raise DataError(
            f"class {class_name!r} has {n_rows} train rows but oversample.k_neighbors is {k_neighbors}; lower "
            f'oversample.k_neighbors to at most {n_rows - 1} or set oversample.on_few_neighbors = "reduce"'
        )
    return min(k_neighbors, n_rows - 1)


def copies_per_base(row_ids: NDArray[np.int64], n_to_make: int, random_state: int) -> NDArray[np.int64]:
    """How often each row is a base: n_to_make ÷ n, and once more for as many as remain, those with the least hash."""
    whole, remaining = divmod(n_to_make, len(row_ids))
    copies = np.full(len(row_ids), whole, np.int64)
    order = np.argsort(hash64(random_state, Stream.EXTRA_COPY, row_ids), kind="stable")
    copies[order[:remaining]] += 1
    return copies


def category_weight(columns: NDArray[Any], is_categorical: NDArray[np.bool_]) -> float:
    """Squared distance of two categories: the squared median of the numeric columns' deviations, 1 without any."""
    if not is_categorical.any():
        return 0.0
    deviations = []
    for column in columns[~is_categorical]:
        # Accumulated, not summed: how NumPy groups a sum depends on the processor.
        values = column.astype(np.float64)
        values -= np.add.accumulate(values)[-1] / len(values)
        deviations.append(np.sqrt(np.add.accumulate(values * values)[-1] / len(values)))
    return float(np.median(deviations)) ** 2 if deviations else 1.0


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
