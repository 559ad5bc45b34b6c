"""What the texts of a column stand for, told by some of them.

Only what every text that is looked at agrees with is taken. A column that could be two things stays text, and so does
one whose texts would not come back as they are: codes with leading zeros, more digits than a number holds, identifiers
that look like powers of ten.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Literal

from raresmith.reading.marks import Marks

NULL_WORDS = ("NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "none", "-", "--", "?", ".", "\\N")
"""What stands for no value in a column of numbers or moments, where nobody says."""
WRITTEN_AS_TEXT = "the file has its numbers as text"
MOST_SLIPS = 100
"""One text in so many may be none of its column's kind."""
_MOST_DIGITS = 18
"""Of a whole number that 64 bits hold whatever its digits are."""
_MOST_DECIMAL = 38
"""Digits of Spark's widest decimal."""

_CODE = re.compile(r"[+-]?0\d")
_POWER = re.compile(r"\d+[eE]\d+")
"""Programs write powers of ten with a mark or a sign."""
_WHOLE = re.compile(r"[+-]?\d+")
_NOT_FINITE = {"nan", "infinity", "+infinity", "-infinity", "inf", "+inf", "-inf"}

_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6}0*)?)?( ?(Z|UTC|[+-]\d\d:\d\d))?")
_DAYS = {
    "d.M.yyyy": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.\d{4}",
    "d/M/yyyy": r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/\d{4}",
    "M/d/yyyy": r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/\d{4}",
    "d-M-yyyy": r"(?P<day>\d{1,2})-(?P<month>\d{1,2})-\d{4}",
    "M-d-yyyy": r"(?P<month>\d{1,2})-(?P<day>\d{1,2})-\d{4}",
    "yyyy/M/d": r"\d{4}/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
    "yyyy.M.d": r"\d{4}\.(?P<month>\d{1,2})\.(?P<day>\d{1,2})",
}
_CLOCKS = {
    "": "",
    " H:mm": r" \d{1,2}:\d\d",
    " H:mm:ss": r" \d{1,2}:\d\d:\d\d",
    " h:mm:ss a": r" \d{1,2}:\d\d:\d\d [AP]M",
}
_MOMENTS = {day + clock: re.compile(_DAYS[day] + _CLOCKS[clock]) for day in _DAYS for clock in _CLOCKS}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a column is."""

    name: Literal["text", "boolean", "whole", "number", "decimal", "date", "timestamp"]
    format: str = ""
    """Of dates and timestamps, as Spark writes it; "" is ISO 8601."""
    scale: int = 0
    """Digits after the mark of a decimal, which is a number that no float of 64 bits gives back."""
    why: str = ""
    """Why it is text although it looks like something else, and what to set for that; or ""."""


TEXT = Kind(name="text")


def kind_of(texts: Sequence[str], marks: Marks, *, written_as_text: bool = False) -> Kind:
    """What a column is that holds `texts`, those that stand for no value left out.

    Of numbers and moments one in a hundred may be something else: a slip in a long column does not make it text.

    Parameters
    ----------
    texts : sequence of str
        Some of the column's values.
    marks : Marks
        Those of the file's numbers.
    written_as_text : bool
        Whether the file itself says that they are text, as JSON does by quotes: then they are no numbers.
    """
    present = [text.strip() for text in texts if text.strip()]
    if not present:
        return TEXT
    if written_as_text:
        is_number = bool(_most(present, marks.is_number))
        return _moment(present) or (Kind(name="text", why=WRITTEN_AS_TEXT) if is_number else TEXT)
    if all(text.lower() in ("true", "false") for text in present):
        return Kind(name="boolean")
    return _number(present, marks) or _moment(present) or _in_other_marks(present, marks) or TEXT


def _most(texts: Sequence[str], is_one: Callable[[str], bool]) -> list[str]:
    """The texts that are such; none where more than a few are not."""
    found = [text for text in texts if is_one(text)]
    return found if len(texts) - len(found) <= len(texts) // MOST_SLIPS else []


def _number(texts: Sequence[str], marks: Marks) -> Kind | None:
    found = _most(texts, lambda text: marks.is_number(text) or text.lower() in _NOT_FINITE)
    numbers = {marks.plain(text) for text in found if text.lower() not in _NOT_FINITE}
    if not numbers:
        return None
    all_finite = not any(text.lower() in _NOT_FINITE for text in found)
    if any(_CODE.match(number) for number in numbers):
        return Kind(name="text", why="leading zeros")
    if any(_POWER.fullmatch(number) for number in numbers):
        return Kind(name="text", why="they look like powers of ten")
    if all(_WHOLE.fullmatch(number) for number in numbers):
        if max(len(number.lstrip("+-")) for number in numbers) > _MOST_DIGITS:
            return Kind(name="text", why="more digits than a whole number holds")
        return Kind(name="whole" if all_finite else "number")
    exact = [Decimal(number) for number in numbers]
    if all(Decimal(repr(float(number))) == number for number in exact):
        return Kind(name="number")
    scale = max(_scale(number) for number in exact)
    if scale + max(number.adjusted() + 1 for number in exact) > _MOST_DECIMAL or not all_finite:
        return Kind(name="text", why="more digits than a number holds")
    return Kind(name="decimal", scale=scale)


def _scale(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    return max(0, -exponent)


def _moment(texts: Sequence[str]) -> Kind | None:
    if _most(texts, lambda text: _ISO_DATE.fullmatch(text) is not None):
        return Kind(name="date")
    if _most(texts, lambda text: (_ISO_TIMESTAMP.fullmatch(text) or _ISO_DATE.fullmatch(text)) is not None):
        return Kind(name="timestamp")
    formats = [name for name, pattern in _MOMENTS.items() if _most(texts, partial(_is_moment, pattern))]
    if not formats:
        return None
    kind: Literal["date", "timestamp"] = "timestamp" if " " in formats[0] else "date"
    if len(formats) > 1:
        return Kind(name="text", why=f"{' or '.join(formats)}; set source.options.{kind}_format")
    return Kind(name=kind, format=formats[0])


def _is_moment(pattern: re.Pattern[str], text: str) -> bool:
    found = pattern.fullmatch(text)
    return found is not None and 1 <= int(found["day"]) <= 31 and 1 <= int(found["month"]) <= 12


def _in_other_marks(texts: Sequence[str], marks: Marks) -> Kind | None:
    """Text that would be numbers if the file's decimal mark were the other one."""
    other = Marks(decimal="," if marks.decimal == "." else ".")
    if not _most(texts, other.is_number):
        return None
    return Kind(name="text", why=f"{texts[0]} is no number with a {marks}; set source.options.decimal and thousands")
