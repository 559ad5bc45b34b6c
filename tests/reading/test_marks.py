"""Which marks the numbers of a file have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raresmith.reading.marks import Marks, marks_of


@pytest.mark.parametrize(
    ("columns", "decimal", "thousands"),
    [
        ([["5,20", "6"], ["a", "b"]], ",", ""),
        ([["5.20", "6"]], ".", ""),
        ([["1,234"], ["7"]], ".", ""),  # says nothing
        ([["1,234", "5,2"]], ",", ""),
        ([["1,234", "5.2"]], ".", ""),
        ([["1.234,50"]], ",", "."),
        ([["1,234.50"]], ".", ","),
        ([["1,234,567"]], ".", ","),
        ([["1.234.567"]], ",", "."),
        ([["1 234,5"]], ",", " "),
        ([["12\u202f345,5", "7"]], ",", "\u202f"),
        ([["1'234.50"]], ".", "'"),
        ([["0,123"]], ",", ""),
        ([["0.5"], ["0,5"]], ".", ""),  # one of the two is no number
        ([["05.01.2024"], ["192.168.1.1"], ["5,5"]], ",", ""),
        ([["5,20", "about 7"]], ".", ""),  # a column with words has no say
        ([[]], ".", ""),
    ],
)
def test_marks_are_those_that_numbers_show(columns: list[list[str]], decimal: str, thousands: str) -> None:
    assert marks_of(columns) == Marks(decimal=decimal, thousands=thousands)


def test_what_is_told_stands() -> None:
    assert marks_of([["1,234"]], decimal=",") == Marks(decimal=",")
    assert marks_of([["1,234"]], thousands=",") == Marks(decimal=".", thousands=",")
    assert str(Marks(decimal=",", thousands=".")) == "decimal comma, thousands point"


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", ""), (".", "")]),
)
def test_a_number_comes_back_from_any_marks(number: object, of: tuple[str, str]) -> None:
    decimal, thousands = of
    marks = Marks(decimal=decimal, thousands=thousands)
    text = f"{number:,}".replace(",", "T").replace(".", decimal).replace("T", thousands)
    assert marks.is_number(text)
    assert marks.plain(text) == str(number)
