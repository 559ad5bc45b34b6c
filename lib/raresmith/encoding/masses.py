"""Values of a number column that are so frequent among the others that they are states rather than sizes."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MOST = 4
"""Masses of a column."""
_SHARE = 0.05
"""Of a class's values, that a mass has at least."""
_TIMES = 10
"""As often as the other values on average it is there at least."""
_SPIKE = 3
"""As often as the values next to it: on a coarse grid each value near the middle is frequent."""
_FEWEST_ROWS = 100
"""Of a class with which something is said."""
_OTHERS = 20
"""Different values beside the masses that a column has at least: one with fewer is a scale, whose values have ranks."""


def masses(column: pa.Array, classes: NDArray[np.int64]) -> tuple[str, ...]:
    """The frequent values of a column, as text that Spark and Arrow cast back to its type.

    A value counts where it is frequent within a class, for rows are made of one: what all frauds have in common may be
    rare in the table.

    Parameters
    ----------
    column : pyarrow Array of n_rows
        Numbers, decimals, dates or timestamps.
    classes : ndarray of shape (n_rows,)
        The class of each row.

    Returns
    -------
    tuple of str
        At most `MOST`, those first that have the largest share of a class.

    Examples
    --------
    >>> back = pa.array([0.0] * 60 + [x / 7 for x in range(1, 141)])
    >>> masses(back, np.zeros(200, int))
    ('0',)
    """
    shares: dict[str, float] = {}
    for of in np.unique(classes):
        for text, share in _of_class(column.filter(pa.array(classes == of))):
            shares[text] = max(share, shares.get(text, 0.0))
    return tuple(sorted(shares, key=lambda text: (-shares[text], text))[:MOST])


def _of_class(column: pa.Array) -> Sequence[tuple[str, float]]:
    """The frequent values with their shares."""
    values = column.drop_null()
    if pa.types.is_floating(values.type):
        values = values.filter(pc.is_finite(values))
        values = pc.add(values, pa.scalar(0, values.type))  # -0.0 is 0.0
    if len(values) < _FEWEST_ROWS:
        return ()
    found = pc.value_counts(values)
    found = found.take(pc.sort_indices(found.field("values")))
    counts = found.field("counts").to_numpy()
    is_frequent = counts >= _SHARE * len(values)
    others = counts[~is_frequent]
    if len(others) < _OTHERS:
        return ()
    is_mass = _stand_out(counts, is_frequent) & (counts >= _TIMES * others.mean())
    frequent = found.field("values").filter(pa.array(is_mass))
    return [*zip(_texts(frequent), counts[is_mass] / len(values), strict=True)]


def _stand_out(counts: NDArray[np.int64], is_frequent: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which frequent values are spikes beside their neighbours, alone or as a run of frequent ones."""
    before, after = np.r_[0, counts[:-1]], np.r_[counts[1:], 0]
    found = is_frequent & (counts >= _SPIKE * np.maximum(before, after))
    edges = np.flatnonzero(np.diff(np.r_[False, is_frequent, False])).reshape(-1, 2)
    for first, end in edges:
        if counts[first] >= _SPIKE * before[first] and counts[end - 1] >= _SPIKE * after[end - 1]:
            found[first:end] = True
    return np.asarray(found)


def _texts(values: pa.Array) -> list[str]:
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us"))  # a zone would be written beside it
    texts: list[str] = values.cast(pa.string()).to_pylist()
    return texts
