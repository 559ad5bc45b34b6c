"""What the values of a column look like: an identifier, a person's, a date, something that stands for no value."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from raresmith.checks.seen import SeenColumn
from raresmith.encoding.day_numbers import are_day_numbers
from raresmith.reading.marks import Marks

ENOUGH = 50
"""Rows from which on it says something that a column has another value in each."""
MOST = 0.9
"""Share of the values that must look alike to stand for the column."""
SOME = 20
"""Different values from which on a column is more than a few codes."""
FEWEST, FREQUENT = 10, 0.01
"""Rows, and share of them, in which a value is frequent."""
OFTEN = 3
"""How many times as often as the others, on their mean, -1 must occur to stand for none."""

# Of names without underscores the capital tells where the last word begins: loanId, but not paid.
_CALLED_KEY = re.compile(r"(?i:(^|_)(id|key|uuid|guid|nr|no|number|index)$|^(id|uuid|guid)_)|[a-z](Id|ID|Nr|No|Key)$")
_CALLED_PERSON = re.compile(
    r"(^|_)((first|last|full|given|family|sur|maiden|vor|nach|holder|owner|person|customer|client|user|patient|employee"
    r"|cardholder)_?name|(card|account)_?holder|name|surname)$",
    re.IGNORECASE,
)
_CALLED_PHONE = re.compile(r"(^|_)(phone|mobile|tele?phone|telefon|handy)(_?(no|nr|num|number))?$", re.IGNORECASE)
_PERSON = re.compile(r"[^\W\d_]+([ .,'\u2019-]+[^\W\d_]+){0,4}\.?")
_PHONE = re.compile(r"\+?\d[\d /()-]{5,}\d")
_OF_PERSONS = {
    "mail addresses": re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}"),
    "bank accounts (IBAN)": re.compile(r"[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,3})?"),
    "telephone numbers": re.compile(r"(\+|00)\d[\d /()-]{6,}\d"),
    "card or account numbers": re.compile(r"\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{0,7}"),
}
"""By what the values of a column are the look of each of them."""
_NO_DATES = (
    "0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "2999-12-31", "9999-12-31",
)  # fmt: skip
"""Zeros and ends of calendars, as programs write them for none."""
_EPOCHS = {10: 1, 13: 1_000, 16: 1_000_000}
"""By their digits what moments since 1970 count in a second."""
# Later microseconds would be card numbers, of which the first is 2221 0000 0000 0000.
_SINCE, _UNTIL = datetime(2000, 1, 1, tzinfo=UTC).timestamp(), datetime(2040, 1, 1, tzinfo=UTC).timestamp()
_CODE = re.compile(r"0\d+")


def is_called_key(column: SeenColumn) -> bool:
    """Whether it is called id, key, number or the like."""
    return _CALLED_KEY.search(column.name) is not None


def is_unique(column: SeenColumn) -> bool:
    """Whether each of enough rows has a value, and another one."""
    return len(column.values) >= ENOUGH and len(set(column.present)) == len(column.values)


def is_row_number(column: SeenColumn, rows: int) -> bool:
    """Whether its whole numbers name the rows: another in each, and called so or as close together as numbers are that
    count the `rows` of a table, where so many of a quantity would meet in ten pairs.
    """
    if column.kind != "whole" or not is_unique(column):
        return False
    span = max(column.present) - min(column.present)
    return is_called_key(column) or (span < 2 * rows and len(column.present) ** 2 >= 20 * span)


def personal(column: SeenColumn) -> str:
    """What of a person its values look like, or ""."""
    present = column.present
    if not present or column.kind not in ("text", "whole"):
        return ""
    if column.kind == "whole":
        if _CALLED_PHONE.search(column.name) and _most(len(str(abs(value))) >= 7 for value in present):
            return "telephone numbers"
        return "card or account numbers" if _are_accounts(column) else ""
    texts = [text.strip() for text in present]
    for what, look in _OF_PERSONS.items():
        if _most(look.fullmatch(text) is not None for text in texts):
            return what
    if _CALLED_PHONE.search(column.name) and _most(_PHONE.fullmatch(text) is not None for text in texts):
        return "telephone numbers"
    if _CALLED_PERSON.search(column.name) and len(set(texts)) > SOME:
        are_names = _most(_PERSON.fullmatch(text) is not None and text[0].isupper() for text in texts)
        return "names of persons" if are_names else ""
    return ""


def _most(found: Iterable[bool]) -> bool:
    marks = [*found]
    return sum(marks) > MOST * len(marks)


def _are_accounts(column: SeenColumn) -> bool:
    """Whether whole numbers have one length, too many digits to be quantities, and are no moments since 1970; and
    another in each row, or the check digits of cards."""
    digits = {len(str(abs(value))) for value in column.present}
    if len(digits) > 1 or (length := digits.pop()) < 10:
        return False
    if (unit := _EPOCHS.get(length)) and all(_SINCE <= value / unit < _UNTIL for value in column.present):
        return False
    distinct = {*column.present}
    is_card = 13 <= length <= 19 and len(distinct) > SOME and _most(map(_has_check_digit, distinct))
    return is_card or is_unique(column)


def _has_check_digit(value: int) -> bool:
    """Whether the last digit is that of Luhn's formula (ISO/IEC 7812-1), which one number in ten has by chance."""
    digits = [int(digit) for digit in reversed(str(abs(value)))]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def are_dates(column: SeenColumn) -> bool:
    """Whether its whole numbers are several dates written as YYYYMMDD."""
    return column.kind == "whole" and are_day_numbers(column.present)


def no_value(column: SeenColumn) -> tuple[str, float] | None:
    """A frequent value at an end that seems to stand for none, as text, and its share of the values.

    It is farther from the others than these are from each other; or -1, below 0 alone and more frequent than what is
    beside it; or a date that programs write for none, such as 1900-01-01.
    """
    if column.kind not in ("whole", "number", "moment"):
        return None
    counts = Counter(column.present)
    distinct = sorted(counts)
    if len(distinct) < 6:
        return None
    for value, others in ((distinct[0], distinct[1:]), (distinct[-1], distinct[:-1])):
        share = counts[value] / len(column.present)
        if counts[value] >= FEWEST and share >= FREQUENT and _stands_out(column, value, others, counts):
            return _told(column, value), share
    return None


def _stands_out(column: SeenColumn, value: Any, others: Sequence[Any], counts: Counter[Any]) -> bool:
    if column.kind == "moment":
        if _told(column, value)[:10] in _NO_DATES:
            return True
    elif value == 0:
        return False  # nothing is a number too
    elif value == -1 and others[0] >= 0 and counts[value] * len(others) >= OFTEN * sum(counts[o] for o in others):
        return True
    gap = min(abs(value - other) for other in (others[0], others[-1]))
    return bool(gap > others[-1] - others[0])


def _told(column: SeenColumn, value: Any) -> str:
    if column.kind != "moment":
        return f"{value:g}" if column.kind == "number" else str(value)
    since = timedelta(days=value) if column.type == "date" else timedelta(microseconds=value)
    try:
        told = datetime(1970, 1, 1) + since
    except OverflowError:
        return str(value)
    is_day = column.type == "date" or told.time() == time.min
    return told.date().isoformat() if is_day else told.isoformat(" ")


def numbers_as_text(column: SeenColumn) -> tuple[float, str] | None:
    """The share of numbers among its texts, and one of the others or "", where nearly all are numbers and no codes.

    Codes have leading zeros, or all as many digits.
    """
    if column.kind != "text" or not column.present:
        return None
    texts = [text.strip() for text in column.present]
    for marks in (Marks(), Marks(decimal=",")):
        numbers = [text for text in texts if marks.is_number(text)]
        distinct = {*numbers}
        if len(numbers) <= MOST * len(texts) or len(distinct) <= SOME:
            continue
        if any(map(_CODE.fullmatch, distinct)) or (all(map(str.isdigit, distinct)) and len({*map(len, distinct)}) == 1):
            return None
        return len(numbers) / len(texts), next((text for text in texts if not marks.is_number(text)), "")
    return None


def codes_in_two_ways(column: SeenColumn) -> tuple[str, str] | None:
    """A code with leading zeros, and the same without them, where most texts are such codes."""
    if column.kind != "text":
        return None
    texts = {text.strip() for text in column.present}
    codes = sorted(text for text in texts if text.isdigit())
    if len(codes) <= len(texts) / 2:
        return None
    plain = {code: code.lstrip("0") or "0" for code in codes}
    return next(((code, plain[code]) for code in codes if code != plain[code] and plain[code] in plain), None)
