"""What is odd in rows and classes."""

from datetime import date, timedelta

import numpy as np
import pytest

from raresmith.checks.rows import days_without, nulls_by_class, slips, too_few
from raresmith.checks.seen import SeenColumn


@pytest.mark.parametrize(("of_positives", "of_others", "is_told"), [(8, 2, True), (2, 8, True), (7, 3, False)])
def test_nulls_tell_the_class_where_their_shares_lie_half_of_all_rows_apart(
    of_positives: int, of_others: int, is_told: bool
) -> None:
    is_positive = np.arange(100) % 2 == 0
    is_null = [(i // 2) % 10 < (of_positives if i % 2 == 0 else of_others) for i in range(100)]
    column = SeenColumn(name="x", kind="whole", type="int", values=[None if null else 1 for null in is_null])
    told = (of_positives / 10, of_others / 10) if is_told else None
    assert nulls_by_class(column, is_positive) == (None if told is None else pytest.approx(told))


def test_nulls_of_too_few_rows_tell_nothing() -> None:
    values = [None if i < 50 else 1 for i in range(100)]
    column = SeenColumn(name="x", kind="whole", type="int", values=values)
    assert nulls_by_class(column, np.arange(100) < 10) is not None
    assert nulls_by_class(column, np.arange(100) < 9) is None
    assert nulls_by_class(column, np.arange(100) >= 9) is None


FIRST = date(2025, 1, 1)


@pytest.mark.parametrize(
    ("empty", "positives", "told"),
    [
        (range(20, 30), 100, (20, 29, 20.0)),
        (range(20, 30), 50, (20, 29, 10.0)),
        (range(20, 30), 49, None),  # 9.8 were to be expected
        ([*range(10, 15), *range(20, 35)], 100, (20, 34, 30.0)),
        ([*range(20, 35), *range(40, 50)], 100, (20, 34, 30.0)),
        (range(45, 50), 100, (45, 49, 10.0)),
        ([], 100, None),
    ],
)
def test_days_without_the_class_are_told_where_chance_does_not_make_them(
    empty: range | list[int], positives: int, told: tuple[int, int, float] | None
) -> None:
    others = [FIRST + timedelta(days=i % 50) for i in range(400)]
    filled = [FIRST + timedelta(days=i) for i in range(50) if i not in empty]
    of_class = [filled[i % len(filled)] for i in range(positives)]
    found = days_without([None, *others, *of_class], np.array([True] + [False] * 400 + [True] * positives))
    if told is None:
        assert found is None
    else:
        first, last, expected = told
        assert found is not None
        assert found[:2] == (FIRST + timedelta(days=first), FIRST + timedelta(days=last))
        assert found[2] == pytest.approx(expected)


def test_days_without_any_row_are_no_days_without_the_class() -> None:
    days = [date(2025, 1, 1) + timedelta(days=7 * i) for i in range(60) for _ in range(2)]
    assert days_without(days, np.array([True, False] * 60)) is None
    assert days_without([date(2025, 1, 1)], np.array([True])) is None
    assert days_without([], np.array([], bool)) is None


@pytest.mark.parametrize(
    ("name", "is_slip"),
    [
        ("fruad", True),
        ("frud", True),
        ("fraaud", True),
        ("froud", True),
        ("fraudd", True),
        ("frauds!", False),
        ("legit", False),
        ("fraud1", False),
        ("fra", False),
    ],
)
def test_a_small_class_that_is_one_change_away_from_a_large_one_is_a_slip(name: str, is_slip: bool) -> None:
    assert slips({"fraud": 200, "legitimate": 5_000, name: 10}) == ([(name, "fraud")] if is_slip else [])
    assert slips({"fraud": 199, "legitimate": 5_000, name: 10}) == []


def test_classes_that_differ_in_a_digit_or_have_three_letters_are_no_slips() -> None:
    assert slips({"grade 1": 9_000, "grade 2": 10, "grade 11": 10}) == []
    assert slips({"yes": 9_000, "yet": 10}) == []


def test_a_split_with_fewer_rows_of_the_class_than_a_verdict_takes_is_told() -> None:
    split = {"train": {"1": 3}, "validation": {"1": 10, "0": 90}, "test": {"1": 9, "0": 90}}
    assert too_few(split, "1") == [("test", 9)]
    assert too_few({**split, "validation": {"0": 90}}, "1") == [("validation", 0), ("test", 9)]
    assert too_few({}, "1") == []
