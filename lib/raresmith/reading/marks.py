"""The marks within the numbers of a file: before the decimals, and between the thousands."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

THOUSANDS = ",.'\u2019 \u00a0\u202f"
"""What stands between thousands somewhere; three of them are spaces."""

_LIKE_A_NUMBER = re.compile(rf"[+-]?\.?\d[\d{re.escape(THOUSANDS)}]*([eE][+-]?\d+)?")
_BOTH = re.compile(rf"[+-]?\d{{1,3}}(?:(?P<thousands>[{re.escape(THOUSANDS)}])\d{{3}})+(?P<decimal>[.,])\d+")
_GROUPED = re.compile(rf"[+-]?\d{{1,3}}(?:(?P<thousands>[{re.escape(THOUSANDS)}])\d{{3}}){{2,}}")
_SPACED = re.compile(r"[+-]?\d{1,3}(?P<thousands>['\u2019 \u00a0\u202f])\d{3}(?P<decimal>[.,]\d+)?")
_ONE = re.compile(r"[+-]?(?P<before>\d*)(?P<decimal>[.,])(?P<after>\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The marks of a file's numbers."""

    decimal: str = "."
    thousands: str = ""
    """"" where there is none."""

    def is_number(self, text: str) -> bool:
        """Whether `text` is a number with these marks."""
        return self._pattern.fullmatch(text) is not None

    def plain(self, text: str) -> str:
        """The number `text` as programs write it."""
        return (text.replace(self.thousands, "") if self.thousands else text).replace(self.decimal, ".")

    @property
    def _pattern(self) -> re.Pattern[str]:
        whole = r"\d+"
        if self.thousands:
            whole = rf"(\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+|\d+)"
        mark = re.escape(self.decimal)
        return re.compile(rf"[+-]?({whole}{mark}?\d*|{mark}\d+)([eE][+-]?\d+)?")

    def __str__(self) -> str:
        """As a person would say it."""
        names = {".": "point", ",": "comma", "'": "apostrophe", "\u2019": "apostrophe"}
        told = f"decimal {names[self.decimal]}"
        return f"{told}, thousands {names.get(self.thousands, 'space')}" if self.thousands else told


def marks_of(columns: Iterable[Sequence[str]], *, decimal: str = "", thousands: str = "") -> Marks:
    """The marks that the numbers of a file have, told by those that can be read in one way only.

    5,20 has a decimal comma, and 1,234 says nothing: it may be a thousand or a little more than one. A comma or point
    is taken for a decimal mark where a number shows it and none shows the other one.

    Parameters
    ----------
    columns : iterable of sequences of str
        Some values of each column, those that stand for no value left out.
    decimal, thousands : str
        What is known already; "" where it is not.
    """
    decimals, groups = set(), set()
    for texts in columns:
        stripped = [text.strip() for text in texts if text.strip()]
        if all(_LIKE_A_NUMBER.fullmatch(text) for text in stripped):
            for text in stripped:
                mark, group = _shown(text)
                decimals.add(mark)
                groups.add(group)
    decimals -= {""}
    groups -= {"", *decimals}
    if not decimal:
        decimal = decimals.pop() if len(decimals) == 1 else "."
    if not thousands and len(groups) == 1:
        thousands = groups.pop()
    return Marks(decimal=decimal, thousands=thousands if thousands != decimal else "")


def _shown(text: str) -> tuple[str, str]:
    """The decimal and the thousands mark that a number shows; "" where it does not."""
    if (found := _BOTH.fullmatch(text)) and found["decimal"] != found["thousands"]:
        return found["decimal"], found["thousands"]
    if found := _GROUPED.fullmatch(text):
        return ("." if found["thousands"] == "," else "," if found["thousands"] == "." else ""), found["thousands"]
    if found := _SPACED.fullmatch(text):
        return (found["decimal"] or "")[:1], found["thousands"]
    if (found := _ONE.fullmatch(text)) and not (
        len(found["after"]) == 3 and 1 <= len(found["before"]) <= 3 and found["before"] != "0"
    ):
        return found["decimal"], ""
    return "", ""
