"""Numbers on a grid: whether those between two real ones are as right as these."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from raresmith.encoding.decode import decoded_inner, encoded_inner
from raresmith.encoding.encoder import NumericFeature

_ROWS = 20
"""Rows next to each other among which equal ones are counted."""
_UNEVEN = 0.1
"""Share of the rows that must lie on other phases than on an even grid."""
_CHANCE = 1e-3
"""At most, that an even grid looks so uneven."""
_HOUR = 3_600_000_000
"""Microseconds."""


def is_even(feature: NumericFeature, encoded: NDArray[np.float32], frequent: float) -> bool:
    """Whether real numbers lie on their grid as if they might lie anywhere on it: what is equal is so by chance, and no
    rhythm shows.

    Prices that end in .99, hours of the day, days that are no Sundays are not even: between two of them there may be
    none.

    Parameters
    ----------
    encoded : ndarray of shape (n,)
    frequent
        Rows from which on a value stands for itself, and says nothing of the others.

    Examples
    --------
    >>> cents = NumericFeature(
    ...     name="x", source="x", type="int", transform="linear", center=0.0, scale=1.0, low=0.0, high=1e5, impute=0.0,
    ...     step=1.0, storage="float", encoded_low=0.0, encoded_high=1e5,
    ... )
    >>> anywhere = np.random.default_rng(0).integers(0, 100_000, 500).astype(np.float32)
    >>> is_even(cents, anywhere, 10), is_even(cents, anywhere // 100 * 100 + 99, 10)
    (True, False)
    """
    if not feature.step:
        return True
    if feature.state:
        encoded = encoded[encoded != np.float32(encoded_inner(feature, feature.impute))]
    x = decoded_inner(feature, encoded.astype(float))
    x = np.sort(x if feature.is_whole else np.rint(x / feature.step))
    _, at, counts = np.unique(x, return_inverse=True, return_counts=True)
    x = x[counts[at] < frequent]
    return _is_chance(x) and not any(_has_rhythm(x, period) for period in _periods(feature))


def _is_chance(x: NDArray[np.float64]) -> bool:
    """Whether sorted whole numbers have no more equal pairs than numbers of the same density."""
    n = min(len(x), _ROWS)
    near = x[: len(x) // n * n].reshape(-1, n) if n else x.reshape(0, 1)
    found = sum(int((near[:, lag:] == near[:, :-lag]).sum()) for lag in range(1, n))
    expected = (n * (n - 1) / 2 / (near[:, -1] - near[:, 0] + 1)).sum()
    return bool(found <= 2 * expected + 1)


def _periods(feature: NumericFeature) -> Iterator[float]:
    """In steps: the calendar's of days and instants, the last two digits of other numbers."""
    if feature.type == "date" or feature.is_day_number:
        periods = [7 / feature.step]
    elif feature.type.startswith("timestamp"):
        periods = [hours * _HOUR / feature.step for hours in (1, 24, 168)]
    else:
        periods = [10, 100]
    yield from (period for period in periods if period >= 2)


def _has_rhythm(x: NDArray[np.float64], period: float) -> bool:
    """Whether some phases of a period have more of the numbers than others (Pearson's chi-squared test)."""
    n_phases = min(int(period), 10)
    if len(x) < 5 * n_phases or x[-1] - x[0] < 4 * period:
        return False
    phases = np.bincount((x % period / period * n_phases).astype(int).clip(max=n_phases - 1), minlength=n_phases)
    even = np.diff(np.ceil(np.arange(n_phases + 1) * period / n_phases)) / period * len(x)
    unlike = ((phases - even) ** 2 / even).sum()
    is_uneven = np.abs(phases - even).sum() / 2 > _UNEVEN * len(x)
    return bool(is_uneven and chdtrc(n_phases - 1, unlike) < _CHANCE)
