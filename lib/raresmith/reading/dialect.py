"""How a file of separated values is written: its separator, its quotes, and line breaks within them."""

import csv
import io
import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SEPARATORS = (",", ";", "\t", "|")
RECORDS = 1000
"""Records of a sample that are looked at."""
_LEAST_SHARE = 0.9
"""Share of the records that must have as many values as the header for a separator to be the file's."""
_NAMES = {",": "comma", "\t": "tab", " ": "space"}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The characters that have a meaning in a file."""

    separator: str
    quote: str = '"'
    """Around a value that holds separators, quotes or line breaks."""
    escape: str = '"'
    """Before a quote that is part of the value: the quote itself, or a backslash."""

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{_NAMES.get(self.separator, self.separator)} separated"

    def records(self, text: str) -> Iterator[list[str]]:
        """The records of `text`, blank lines left out."""
        try:
            yield from (record for record in self.reader(text) if record)
        except csv.Error:  # a quote that is never closed: what follows is one value without an end
            return

    def reader(self, text: str) -> Any:
        """What Python reads `text` with, and counts its lines."""
        doubled = self.escape == self.quote
        return csv.reader(
            io.StringIO(text, newline=""),  # line breaks are the reader's business
            delimiter=self.separator,
            quotechar=self.quote,
            doublequote=doubled,
            escapechar=None if doubled else self.escape,
        )


def dialect_of(text: str, *, separator: str = "", quote: str = '"', escape: str = "") -> Dialect:
    """The dialect in which most records of `text` have as many values as its header, and most of them.

    Parameters
    ----------
    text : str
        The beginning of a file.
    separator, quote, escape : str
        What is known already; "" where it is not.
    """
    ways = itertools.product([separator] if separator else SEPARATORS, [escape] if escape else [quote, "\\"])
    dialects = [Dialect(separator=s, quote=quote, escape=e) for s, e in ways]
    return max(dialects, key=lambda dialect: _fit(dialect, text))  # the first of those that fit alike


def _fit(dialect: Dialect, text: str) -> tuple[bool, float, int]:
    widths = [len(record) for record in itertools.islice(dialect.records(text), RECORDS)]
    if not widths:
        return False, 0.0, 0
    share = widths.count(widths[0]) / len(widths)
    return widths[0] > 1 and share >= _LEAST_SHARE, share, widths[0]


def ends_in_crlf(dialect: Dialect, text: str) -> bool:
    """Whether the first record of `text` ends in CR LF."""
    reader = dialect.reader(text)
    with suppress(csv.Error):
        next(filter(None, reader), None)
    # A record may go over several lines.
    lines = [*itertools.islice(io.StringIO(text, newline=""), reader.line_num)]
    return bool(lines) and lines[-1].endswith("\r\n")


def has_line_breaks(dialect: Dialect, text: str) -> bool:
    """Whether a value in `text` has a line break within its quotes."""
    return any("\n" in value or "\r" in value for record in dialect.records(text) for value in record)
