"""Dates that a table has as whole numbers, YYYYMMDD: most numbers between two of them are no date."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""The years 1 to 9999 in days since 1970."""
_LIKELY = range(19000101, 21001232)
_OPEN_END = 99991231
"""What stands for no end."""


def are_day_numbers(numbers: Iterable[int | Decimal]) -> bool:
    """Whether they are several dates of which one would speak today, or the open end.

    Examples
    --------
    >>> are_day_numbers([20240229, 20240301, 99991231]), are_day_numbers([20230228, 20230229])
    (True, False)
    """
    distinct = {*map(int, numbers)} - {_OPEN_END}
    return len(distinct) > 1 and all(number in _LIKELY and day_of(number) is not None for number in distinct)


def day_of(number: int) -> int | None:
    """YYYYMMDD in days since 1970; None where it is no date."""
    try:
        return (date(number // 10000, number // 100 % 100, number % 100) - date(1970, 1, 1)).days
    except ValueError:
        return None


def day_numbers(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Days since 1970 as YYYYMMDD.

    Examples
    --------
    >>> day_numbers(np.array([0, 19782]))
    array([19700101, 20240229])
    """
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    years = months.astype("datetime64[Y]")
    of_year, of_month = months - years.astype("datetime64[M]"), days - months.astype("datetime64[D]").astype(np.int64)
    return np.asarray((years.astype(np.int64) + 1970) * 10000 + (of_year.astype(np.int64) + 1) * 100 + of_month + 1)
