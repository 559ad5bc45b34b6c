from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from raresmith.starting.split import by_days

FIRST = date(2025, 1, 1)
counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=40)


def days_of(counts: list[tuple[int, int]]) -> dict[date, dict[str, int]]:
    days = {FIRST + timedelta(days=i): {"0": no, "1": yes} for i, (no, yes) in enumerate(counts)}
    return {day: {text: n for text, n in of.items() if n} for day, of in days.items() if sum(of.values())}


def test_even_days_are_parted_at_60_and_80_percent() -> None:
    found = by_days(days_of([(9, 1)] * 10), "1")
    assert found is not None
    days = [(span[0].day, span[1].day) for span in (found.train, found.validation, found.test)]
    assert days == [(1, 6), (7, 8), (9, 10)]


@given(counts=counts)
def test_each_part_has_rows_of_both_classes_and_all_days_lie_in_one(counts: list[tuple[int, int]]) -> None:
    days = days_of(counts)
    found = by_days(days, "1")
    if found is None:
        return
    parts = [[day for day in days if first <= day <= last] for first, last in vars(found).values()]
    assert sorted(day for part in parts for day in part) == sorted(days)
    for part in parts:
        assert all(any(days[day].get(text) for day in part) for text in ("0", "1"))
    assert found.train[1] < found.validation[0] <= found.validation[1] < found.test[0]


def test_without_a_positive_row_in_the_last_days_there_is_none() -> None:
    assert by_days(days_of([(9, 1)] * 8 + [(9, 0)] * 2), "1") is None
    assert by_days({}, "1") is None
    assert by_days(days_of([(9, 1)] * 2), "1") is None
