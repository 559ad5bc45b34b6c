"""Rows that a sampler of imbalanced-learn makes of one spatial cell of a table.

imbalanced-learn is imported where a sampler is asked for, and not before. Its samplers do not tell a made row's
parents, so these are found afterwards: the two rows of the class that are nearest to it. What a sampler refuses to make
of a cell is made by SMOTE.
"""

import inspect
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from raresmith.counter_rng import Stream, hash64
from raresmith.errors import ConfigError, DataError, Key
from raresmith.oversampling.base import CellOversampler, CellRows, Features, MadeRows, copies_per_base, made_row_id
from raresmith.oversampling.plan import ClassPlan, plan_class
from raresmith.oversampling.smote import SMOTE

_LOG = logging.getLogger(__name__)
_KNOW_CODES = ("RandomOverSampler", "SMOTEN", "SMOTENC")
"""Samplers whose made rows hold codes where the columns do; to the others a code is a number."""
_FEWEST_OWN = 16


_SAMPLER, _PARAMS = Key("oversample.sampler"), Key("oversample.sampler_params")
_OURS = ("sampling_strategy", "random_state", "n_jobs", "categorical_features")


class ImblearnSampler(CellOversampler):
    """A sampler of imbalanced-learn, run on one spatial cell of the table at a time (docs/methods.md)."""

    name = "imblearn"
    title = "imbalanced-learn"
    explained = "with the rows of a sampler of imbalanced-learn"

    @dataclass(frozen=True, kw_only=True)
    class Parameters(CellOversampler.Parameters):
        """Which sampler, and its keywords."""

        sampler: str = field(metadata={"stage_default": "SVMSMOTE"})
        """Class of imblearn.over_sampling, such as "SVMSMOTE" or "KMeansSMOTE"."""
        sampler_params: Mapping[str, bool | int | float | str] = field(default_factory=dict)
        """Its keywords, where imbalanced-learn's defaults are not to be; without them it takes k_neighbors and
        m_neighbors from here."""
        m_neighbors: Annotated[int, Ge(1)] = 10
        """The sampler's m_neighbors, where it has them; at least 1."""

        def __post_init__(self) -> None:
            if not self.sampler:
                raise ConfigError(
                    '{sampler} must name a class of imblearn.over_sampling, such as "SVMSMOTE", when {method} is '
                    '"imblearn"',
                    sampler=_SAMPLER,
                    method=Key("oversample.method"),
                )
            if taken := sorted(set(_OURS) & self.sampler_params.keys()):
                raise ConfigError(
                    "{params} names {taken}, which raresmith sets itself; leave them out", params=_PARAMS, taken=taken
                )

    def __str__(self) -> str:
        return f"{self.parameters.sampler} of {self.title}"

    def check(self, features: Features | None = None) -> None:
        """Hold the sampler and its parameters against the installed imbalanced-learn, and against the columns.

        Raises
        ------
        ConfigError
            If imbalanced-learn is not installed, or there is no such sampler, keyword or value.
        DataError
            If the sampler takes no such columns.
        """
        self._check_installed()
        if features is not None:
            self._check_columns(features.is_categorical)

    def _check_installed(self) -> None:
        try:
            import imblearn.over_sampling as imblearn
        except ImportError:
            raise ConfigError(
                '{method} is "imblearn", but imbalanced-learn is not installed; install raresmith[imblearn] on the '
                "driver and the executors",
                method=Key("oversample.method"),
            ) from None
        sampler, given = self.parameters.sampler, self.parameters.sampler_params
        if sampler not in imblearn.__all__:
            raise ConfigError(
                "{key} must be one of {known} of imblearn.over_sampling, got {sampler!r}",
                key=_SAMPLER,
                known=sorted(imblearn.__all__),
                sampler=sampler,
            )
        known = set(inspect.signature(getattr(imblearn, sampler)).parameters)
        if unknown := sorted(given.keys() - known):
            raise ConfigError(
                "{params} names {unknown}, but {sampler} takes {free}; name one of these",
                params=_PARAMS,
                unknown=unknown,
                sampler=sampler,
                free=sorted(known - set(_OURS)),
            )
        try:
            self._sampler(np.zeros(0, bool), {0: 1}, self.parameters.k_neighbors, 0)._validate_params()
        except ValueError as error:  # scikit-learn's own type is one
            raise ConfigError("{params} do not fit: {error}", params=_PARAMS, error=str(error)) from None

    def _check_columns(self, is_categorical: NDArray[np.bool_]) -> None:
        sampler = self.parameters.sampler
        if sampler == "SMOTENC" and (is_categorical.all() or not is_categorical.any()):
            found, fitting = ("categories", "SMOTEN") if is_categorical.all() else ("numbers", "SMOTE")
            raise DataError(
                '{key} SMOTENC takes numbers and categories, but all features are {found}; set {key} = "{fitting}"',
                key=_SAMPLER,
                found=found,
                fitting=fitting,
            )
        if sampler == "SMOTEN" and not is_categorical.all():
            raise DataError(
                '{key} SMOTEN takes categories only, but some features are numbers; set {key} = "SMOTENC" or "SMOTE"',
                key=_SAMPLER,
            )

    @property
    def fewest_rows(self) -> int:
        """Rows of the class that a cell needs for the neighbours that the sampler looks for."""
        asked = [self.parameters.sampler_params.get(name, 0) for name in ("k_neighbors", "n_neighbors")]
        return max(_FEWEST_OWN, *[int(k) + 1 for k in (self.parameters.k_neighbors, *asked)])

    def measures(self) -> dict[str, Any]:
        """The sampler's name."""
        return {"sampler": self.parameters.sampler}

    def made_in_cell(
        self, cell: CellRows, label: int, n_to_make: int, features: Features, random_state: int
    ) -> Iterator[tuple[MadeRows, str]]:
        """Exactly `n_to_make` rows of a class, in parts of at most twice `cell_rows`, and who made each part.

        A part is the sampler's, the rows in the order in which it gives them, or SMOTE's: as many rows as the sampler
        made too few. The base of a sampler's row is the row of the class that is nearest to it, the neighbour the next
        one, and the gap is how much nearer the base is: its share of the sum of both distances, at most 1/2.

        Raises
        ------
        DataError
            If the sampler does not leave the rows as they are and add to them.
        """
        own = np.flatnonzero(cell.labels == label)
        row_ids, columns = cell.row_ids[own], cell.columns[:, own]
        k = min(self.parameters.k_neighbors, len(own) - 1)
        plan = plan_class(SMOTE(), row_ids, columns, features, 0, k, random_state)
        used = np.zeros(len(own), np.int64)
        most = 2 * self.parameters.cell_rows
        missing = n_to_make
        share = 1.0
        # In turns, so that a cell of a class that is to be many times as large is made in bounded memory; and more of
        # them than that, since some samplers make only a part: SVM-SMOTE about half where all its bases are in danger.
        for turn in range(2 * -(-n_to_make // most)):
            n_rows = min(most, math.ceil(missing / share))
            state = sampler_state(random_state, int(row_ids[0]), turn)
            sampler = self._sampler(features.is_categorical, {label: len(own) + n_rows}, k, state)
            values = _appended(sampler, cell, label)[:, : min(n_rows, missing)]
            n_made = values.shape[1]
            if not n_made:
                break
            yield _with_parents(values, plan, self.parameters.sampler in _KNOW_CODES, used), self.name
            missing -= n_made
            if not missing:
                break
            share = n_made / n_rows
        plan = replace(plan, copies=copies_per_base(row_ids, missing, random_state))
        for start in range(0, missing, most):
            made = plan.rows(np.arange(start, min(start + most, missing)))
            base = np.searchsorted(row_ids, made.base_row_id)
            yield replace(made, row_id=made_row_id(random_state, made.base_row_id, _copy(base, used))), SMOTE.name

    def _sampler(self, is_categorical: NDArray[np.bool_], wanted: dict[int, int], k: int, random_state: int) -> Any:
        import imblearn.over_sampling as imblearn

        kind = getattr(imblearn, self.parameters.sampler)
        known = inspect.signature(kind).parameters
        ours = {
            "k_neighbors": k,
            "m_neighbors": self.parameters.m_neighbors,
            "n_jobs": 1,
            "categorical_features": np.flatnonzero(is_categorical).tolist(),
        }
        given = {name: value for name, value in ours.items() if name in known} | dict(self.parameters.sampler_params)
        return kind(sampling_strategy=wanted, random_state=random_state, **given)


def sampler_state(random_state: int, smallest_row_id: int, turn: int = 0) -> int:
    """The sampler's seed in the cell whose first row of the class has this id."""
    return int(hash64(random_state, Stream.SAMPLER, smallest_row_id, turn)) & 0xFFFFFFFF


def _appended(sampler: Any, cell: CellRows, label: int) -> NDArray[Any]:
    """The rows that the sampler adds to those of the cell, of shape (n_features, n_made); none where it refuses."""
    from threadpoolctl import threadpool_limits

    rows = np.ascontiguousarray(cell.columns.T)
    try:
        # How sums are shared out among threads would show in the last bit, and each core has a task of its own.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            resampled, labels = sampler.fit_resample(rows, cell.labels)
    except (ValueError, RuntimeError) as error:
        _LOG.warning("%s refused the cell of row %d: %s", type(sampler).__name__, cell.row_ids[0], error)
        return np.empty((len(cell.columns), 0), cell.columns.dtype)
    n = len(rows)
    if not (
        len(resampled) >= n
        and np.array_equal(resampled[:n], rows)
        and np.array_equal(labels[:n], cell.labels)
        and (labels[n:] == label).all()
    ):
        raise DataError(
            "{kind} moves, drops or relabels rows, but raresmith takes only the rows that a sampler adds behind the "
            "given ones; name a sampler of imblearn.over_sampling",
            kind=type(sampler).__name__,
        )
    made = np.ascontiguousarray(resampled[n:].T, cell.columns.dtype)
    return made[:, np.isfinite(made).all(axis=0)]


def _with_parents(values: NDArray[Any], plan: ClassPlan, has_codes: bool, used: NDArray[np.int64]) -> MadeRows:
    """Made rows of these values, with the parents that are nearest to them; `used` counts the copies of each base."""
    near, squared = plan.candidates.nearest(values, 2)
    base, neighbor = near.T
    if not has_codes:
        codes = plan.distance.is_categorical
        values[codes] = plan.columns[codes][:, base]
    to_base, to_neighbor = np.sqrt(squared).T
    both = to_base + to_neighbor
    row_id = plan.row_ids[base]
    return MadeRows(
        row_id=made_row_id(plan.random_state, row_id, _copy(base, used)),
        base_row_id=row_id,
        neighbor_row_id=plan.row_ids[neighbor],
        gap=np.divide(to_base, both, out=np.zeros(len(both)), where=both > 0),
        columns=values,
    )


def _copy(base: NDArray[np.int64], used: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each made row among those of its base, after the `used` ones, which these are added to."""
    order = np.argsort(base, kind="stable")
    in_order = base[order]
    copy = np.empty(len(base), np.int64)
    copy[order] = np.arange(len(base)) - np.searchsorted(in_order, in_order)
    copy += used[base]
    used += np.bincount(base, minlength=len(used))
    return copy
