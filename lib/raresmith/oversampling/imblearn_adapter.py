"""Rows that a sampler of imbalanced-learn makes of one spatial cell of a table.

imbalanced-learn is imported where a sampler is asked for, and not before. Its samplers do not tell a made row's
parents, so these are found afterwards: the two rows of the class that are nearest to it. What a sampler refuses to make
of a cell is made by SMOTE.
"""

import inspect
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.config import OversampleConfig
from raresmith.counter_rng import Stream, hash64
from raresmith.errors import ConfigError, DataError
from raresmith.oversampling.smote import MadeRows, Smote, copies_per_base, made_row_id, smote

_LOG = logging.getLogger(__name__)
_KNOW_CODES = ("RandomOverSampler", "SMOTEN", "SMOTENC")
"""Samplers whose made rows hold codes where the columns do; to the others a code is a number."""
_FEWEST_OWN = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class CellRows:
    """The rows of a cell, of all classes; row_ids ascending, columns of shape (n_features, n_rows)."""

    row_ids: NDArray[np.int64]
    labels: NDArray[np.int32]
    columns: NDArray[Any]


def check_sampler(config: OversampleConfig, is_categorical: NDArray[np.bool_] | None = None) -> None:
    """Hold the sampler of `config` and its parameters against the installed imbalanced-learn, and against the columns.

    Raises
    ------
    ConfigError
        If imbalanced-learn is not installed, or there is no such sampler, keyword or value.
    DataError
        If the sampler takes no such columns.
    """
    try:
        import imblearn.over_sampling as imblearn
    except ImportError:
        raise ConfigError(
            'oversample.method is "imblearn", but imbalanced-learn is not installed; install raresmith[imblearn] on '
            "the driver and the executors"
        ) from None
    if config.sampler not in imblearn.__all__:
        raise ConfigError(
            f"oversample.sampler must be one of {sorted(imblearn.__all__)} of imblearn.over_sampling, "
            f"got {config.sampler!r}"
        )
    known = set(inspect.signature(getattr(imblearn, config.sampler)).parameters)
    if unknown := sorted(config.sampler_params.keys() - known):
        free = sorted(known - {"sampling_strategy", "random_state", "n_jobs", "categorical_features"})
        raise ConfigError(
            f"oversample.sampler_params names {unknown}, but {config.sampler} takes {free}; name one of these"
        )
    try:
        _sampler(config, np.zeros(0, bool), {0: 1}, config.k_neighbors, 0)._validate_params()
    except ValueError as error:  # scikit-learn's own type is one
        raise ConfigError(f"oversample.sampler_params do not fit: {error}") from None
    if is_categorical is None:
        return
    if config.sampler == "SMOTENC" and (is_categorical.all() or not is_categorical.any()):
        found, fitting = ("categories", "SMOTEN") if is_categorical.all() else ("numbers", "SMOTE")
        raise DataError(
            f"oversample.sampler SMOTENC takes numbers and categories, but all features are {found}; "
            f'set oversample.sampler = "{fitting}"'
        )
    if config.sampler == "SMOTEN" and not is_categorical.all():
        raise DataError(
            "oversample.sampler SMOTEN takes categories only, but some features are numbers; set "
            'oversample.sampler = "SMOTENC" or "SMOTE"'
        )


def fewest_own(config: OversampleConfig) -> int:
    """Rows of the class that a cell needs for the neighbours that the sampler looks for."""
    asked = [config.sampler_params.get(name, 0) for name in ("k_neighbors", "n_neighbors")]
    return max(_FEWEST_OWN, config.k_neighbors + 1, *[int(k) + 1 for k in asked])


def sampler_state(random_state: int, smallest_row_id: int, turn: int = 0) -> int:
    """The sampler's seed in the cell whose first row of the class has this id."""
    return int(hash64(random_state, Stream.SAMPLER, smallest_row_id, turn)) & 0xFFFFFFFF


def made_in_cell(
    cell: CellRows,
    label: int,
    n_to_make: int,
    config: OversampleConfig,
    is_categorical: NDArray[np.bool_],
    random_state: int,
) -> Iterator[tuple[MadeRows, str]]:
    """Exactly `n_to_make` rows of a class, in parts of at most twice `cell_rows`, and who made each part.

    A part is "imblearn", the rows in the order in which the sampler gives them, or "smote": as many rows as the sampler
    made too few. The base of a sampler's row is the row of the class that is nearest to it, the neighbour the next one,
    and the gap is how much nearer the base is: its share of the sum of both distances, at most 1/2.

    Raises
    ------
    DataError
        If the sampler does not leave the rows as they are and add to them.
    """
    own = np.flatnonzero(cell.labels == label)
    row_ids, columns = cell.row_ids[own], cell.columns[:, own]
    k = min(config.k_neighbors, len(own) - 1)
    plan = smote(row_ids, columns, is_categorical, 0, k, random_state)
    used = np.zeros(len(own), np.int64)
    most = 2 * config.cell_rows
    missing = n_to_make
    share = 1.0
    # In turns, so that a cell of a class that is to be many times as large is made in bounded memory; and more of them
    # than that, since some samplers make only a part: SVM-SMOTE about half where all its bases are in danger.
    for turn in range(2 * -(-n_to_make // most)):
        n_rows = min(most, math.ceil(missing / share))
        state = sampler_state(random_state, int(row_ids[0]), turn)
        sampler = _sampler(config, is_categorical, {label: len(own) + n_rows}, k, state)
        values = _appended(sampler, cell, label)[:, : min(n_rows, missing)]
        n_made = values.shape[1]
        if not n_made:
            break
        yield _with_parents(values, plan, config.sampler in _KNOW_CODES, used), "imblearn"
        missing -= n_made
        if not missing:
            break
        share = n_made / n_rows
    plan = replace(plan, copies=copies_per_base(row_ids, missing, random_state))
    for start in range(0, missing, most):
        made = plan.rows(np.arange(start, min(start + most, missing)))
        base = np.searchsorted(row_ids, made.base_row_id)
        yield replace(made, row_id=made_row_id(random_state, made.base_row_id, _copy(base, used))), "smote"


def _sampler(
    config: OversampleConfig, is_categorical: NDArray[np.bool_], wanted: dict[int, int], k: int, random_state: int
) -> Any:
    import imblearn.over_sampling as imblearn

    kind = getattr(imblearn, config.sampler)
    known = inspect.signature(kind).parameters
    ours = {
        "k_neighbors": k,
        "m_neighbors": config.m_neighbors,
        "n_jobs": 1,
        "categorical_features": np.flatnonzero(is_categorical).tolist(),
    }
    given = {name: value for name, value in ours.items() if name in known} | config.sampler_params
    return kind(sampling_strategy=wanted, random_state=random_state, **given)


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
            f"{type(sampler).__name__} moves, drops or relabels rows, but raresmith takes only the rows that a sampler "
            "adds behind the given ones; name a sampler of imblearn.over_sampling"
        )
    made = np.ascontiguousarray(resampled[n:].T, cell.columns.dtype)
    return made[:, np.isfinite(made).all(axis=0)]


def _with_parents(values: NDArray[Any], plan: Smote, has_codes: bool, used: NDArray[np.int64]) -> MadeRows:
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
