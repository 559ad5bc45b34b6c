"""The days at which the rows of a table should be split."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

SHARES = (0.6, 0.8)
"""Of the rows that lie before the validation days, and before the test days."""


@dataclass(frozen=True, kw_only=True)
class DaySplit:
    """First and last day of each part."""

    train: tuple[date, date]
    validation: tuple[date, date]
    test: tuple[date, date]


def by_days(days: Mapping[date, Mapping[str, int]], positive: str) -> DaySplit | None:
    """Whole days, of which about 60, 20 and 20 % of the rows are train, validation and test; None where one of these
    would have no row of the positive class, or none of another."""
    ordered = sorted(days)
    total = sum(sum(of.values()) for of in days.values())
    before = [0, *accumulate(sum(days[day].values()) for day in ordered)]
    first, second = (_nearest(before[: len(ordered)], share * total) for share in SHARES)
    parts = [ordered[:first], ordered[first:second], ordered[second:]]
    for part in parts:
        positives = sum(days[day].get(positive, 0) for day in part)
        if not positives or positives == sum(sum(days[day].values()) for day in part):
            return None
    train, validation, test = ((part[0], part[-1]) for part in parts)
    return DaySplit(train=train, validation=validation, test=test)


def _nearest(before: list[int], wanted: float) -> int:
    """The day before which the number of rows is nearest to that wanted; not the first one."""
    return min(range(1, len(before)), key=lambda day: abs(before[day] - wanted), default=0)
