import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raresmith.encoding.encoder import NumericFeature
from raresmith.gan.models.discretizer import frequent_from
from raresmith.gan.models.grids import is_even

PLAIN = NumericFeature(
    name="x", source="x", type="int", transform="linear", center=0.0, scale=1.0, low=0.0, high=1e7, impute=0.0,
    step=1.0, storage="float", encoded_low=0.0, encoded_high=1e7,
)  # fmt: skip
DAYS = dataclasses.replace(PLAIN, type="date")
CENTS = dataclasses.replace(PLAIN, type="double", step=0.01)
MINUTE = 60_000_000
MINUTES = dataclasses.replace(PLAIN, type="timestamp", step=float(MINUTE), scale=float(MINUTE), high=1e7 * MINUTE)
RANDOM = np.random.default_rng(0)
ANYWHERE = RANDOM.integers(0, 200_000, 600)


def even(x: NDArray[Any], feature: NumericFeature = PLAIN) -> bool:
    return is_even(feature, np.asarray(x, np.float32), frequent_from(len(x)))


@pytest.mark.parametrize(
    "x",
    [
        ANYWHERE,
        np.exp(RANDOM.normal(8, 1, 600)).astype(int),
        RANDOM.integers(0, 100, 600),  # each of few whole numbers is there several times, as it must be
        RANDOM.poisson(4000, 5000),
        np.r_[ANYWHERE, np.full(300, 777)],  # one that is frequent stands for itself
        ANYWHERE[:65],
    ],
)
def test_numbers_that_may_lie_anywhere_on_their_grid_are_even(x: NDArray[Any]) -> None:
    assert even(x)


@pytest.mark.parametrize(
    "x",
    [
        ANYWHERE // 100 * 100 + 99,
        np.where(np.arange(600) % 2, ANYWHERE, ANYWHERE // 100 * 100),  # every other one is round
        np.repeat(ANYWHERE[:150], 4),
        RANDOM.choice(ANYWHERE[:90], 600),
        RANDOM.choice(ANYWHERE[:60], 80),
    ],
)
def test_numbers_with_a_habit_are_not(x: NDArray[Any]) -> None:
    assert not even(x)
    assert not even(x / 100, CENTS)


def test_days_of_all_weekdays_are_even_and_those_without_sundays_are_not() -> None:
    days = RANDOM.integers(17_000, 19_000, 800)
    assert even(days, DAYS)
    assert not even(days[days % 7 != 3], DAYS)
    assert even(days[days % 7 != 3])  # numbers that are no days have no week
    assert not even(days[days % 7 != 3][:75] // 7 * 7 + RANDOM.integers(0, 5, 75), DAYS)


def test_instants_by_day_and_not_by_night_are_not_even() -> None:
    minutes = RANDOM.integers(0, 60 * 24 * 300, 600)
    assert even(minutes, MINUTES)
    by_day = minutes // 1440 * 1440 + 480 + minutes % 1440 // 2
    assert not even(by_day, MINUTES)


def test_what_stands_for_null_does_not_count() -> None:
    stated = dataclasses.replace(PLAIN, state="x_is_null", impute=50_000.0)
    x = np.r_[ANYWHERE, np.full(9, 50_000)]
    assert even(x, stated) and not even(x)


def test_numbers_without_a_grid_are_even_and_so_are_too_few_to_tell() -> None:
    assert even(np.full(600, 7), dataclasses.replace(PLAIN, type="double", step=0.0))
    for x in ([], [3], [3, 90]):
        assert even(np.array(x))


def test_numbers_are_judged_as_they_are_and_not_as_they_are_encoded() -> None:
    log = dataclasses.replace(PLAIN, transform="log", scale=2.0, encoded_high=9.0)
    assert even(np.log1p(ANYWHERE) / 2, log)
    assert not even(np.log1p(ANYWHERE // 100 * 100 + 99) / 2, log)
