"""What is odd in rows and classes rather than in a column: days without the class, names of classes, too few rows."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from raresmith.checks.seen import SeenColumn
from raresmith.evaluation.intervals import LEAST

EXPECTED = 10
"""Rows of the class that a span of days should have had, from which on it is odd that there is none: by chance that is
so once in twenty thousand times."""
APART = 0.5
"""By how much the shares of rows without a value differ between the classes for a warning."""
HANDFUL = 20
"""How many times as many rows the class has that another's name is a slip of."""


def nulls_by_class(column: SeenColumn, is_positive: NDArray[np.bool_]) -> tuple[float, float] | None:
    """The shares of the class and of all others without a value in `column`, where they lie far apart.

    Parameters
    ----------
    is_positive : ndarray of shape (n,)
        Whether each row looked at is of the class.
    """
    if min(is_positive.sum(), (~is_positive).sum()) < LEAST or len(column.present) == len(column.values):
        return None
    is_null = np.array([value is None for value in column.values], dtype=bool)
    positives, others = float(is_null[is_positive].mean()), float(is_null[~is_positive].mean())
    return (positives, others) if abs(positives - others) >= APART else None


def days_without(days: Sequence[date | None], is_positive: NDArray[np.bool_]) -> tuple[date, date, float] | None:
    """First and last of the days, in a row among those that there are, that have rows but none of the class, and how
    many were to be expected by the other rows; the longest such span, where that is EXPECTED or more."""
    ordered = sorted({day for day in days if day is not None})
    counts = {day: [0, 0] for day in ordered}
    for day, positive in zip(days, is_positive, strict=True):
        if day is not None:
            counts[day][int(positive)] += 1
    others, positives = (sum(found[i] for found in counts.values()) for i in (0, 1))
    best, begun, within = None, None, 0
    for day in ordered:
        if counts[day][1]:
            begun, within = None, 0
            continue
        begun, within = begun or day, within + counts[day][0]
        expected = positives * within / others
        if expected >= EXPECTED and (best is None or expected > best[2]):
            best = begun, day, expected
    return best


def slips(classes: Mapping[str, int]) -> list[tuple[str, str]]:
    """Classes whose names differ from another's, of at least HANDFUL times as many rows, by one letter that lacks, is
    too much or another, or by two that changed places; each with the other.

    Parameters
    ----------
    classes : by name the rows
    """
    found = []
    for name, rows in sorted(classes.items()):
        near = [other for other in classes if classes[other] >= HANDFUL * max(1, rows) and _is_slip(name, other)]
        found += [(name, max(near, key=lambda other: (classes[other], other)))] if near else []
    return found


def _is_slip(name: str, other: str) -> bool:
    """Whether one change makes `other` of `name`; of digits it would be one of meaning."""
    if min(len(name), len(other)) < 4:
        return False
    before = _alike(name, other)
    a, b = name[before:], other[before:]
    after = _alike(a[::-1], b[::-1])
    a, b = a[: len(a) - after], b[: len(b) - after]
    is_one = max(len(a), len(b)) == 1 or (len(a) == 2 and b == a[::-1])
    return is_one and not any(map(str.isdigit, a + b))


def _alike(name: str, other: str) -> int:
    """How many first letters two names share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))


def too_few(split: Mapping[str, Mapping[str, int]], positive: str) -> list[tuple[str, int]]:
    """The splits that a choice or a verdict rests on, and their rows of the class `positive`, where these are fewer
    than LEAST.

    Parameters
    ----------
    split : by split and class the rows
    """
    found = [(name, split[name].get(positive, 0)) for name in ("validation", "test") if name in split]
    return [(name, rows) for name, rows in found if rows < LEAST]
