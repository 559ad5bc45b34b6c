"""A sheet of an Excel workbook as columns of texts.

By openpyxl itself: pandas, which reads workbooks by it too, takes errors for no value, gives columns of one name other
names, and does not show how a number is displayed.
"""

import io
import itertools
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from raresmith.errors import ConfigError, DataError
from raresmith.reading.names import check_names

NO_VALUE = "#N/A"
"""The one of Excel's errors that says so much."""
_CODE = re.compile("0{2,}")
"""Format of numbers that are shown with leading zeros."""
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell ref="([A-Z]+\d+:[A-Z]+\d+)"')
_NOT_COMPUTED = re.compile(
    rb'<(?P<x>(?:\w+:)?)c (?:(?!t="str")[^>])*?r="(?P<cell>[A-Z]+\d+)"(?:(?!t="str")[^>])*>'
    rb"<(?P=x)f(?:[^>]*/>|[^>]*>[^<]*</(?P=x)f>)(?:<(?P=x)v ?/>|<(?P=x)v></(?P=x)v>)?</(?P=x)c>"
)
"""A formula without the value that it had; of one whose value is an empty text the cell says t="str"."""
_CHUNK = 2**20
_LONGEST = 2**15
"""Bytes of a cell's or a range's description, about: Excel's longest formula has 8,192 characters."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table in a workbook."""

    title: str
    """What it is called."""
    others: tuple[str, ...]
    """What the others are called that nobody has chosen between; none where somebody has."""
    columns: dict[str, list[str | None]]
    """The values of each column as texts; None where a cell is empty."""
    malformed: list[str | None]
    """By row the first column that has an error, such as #DIV/0!, instead of a value."""
    errors: dict[str, list[str]]
    """The errors of each column that has some."""
    as_text: frozenset[str]
    """Columns all of whose values are text for Excel too."""
    mixed: frozenset[str]
    """Columns of whose values some are text and some are not."""
    merged: str
    """Range of merged cells, of which the first alone has the value; "" where there are none."""


def read_sheet(workbook: bytes, name: str, place: str, own: str) -> Sheet:
    """The table of the sheet called `name`, "" being the first, of a workbook.

    Its first row that is not empty is the header; rows and columns without any value are none.

    Parameters
    ----------
    place : str
        Where it lies, as a person would say it.
    own : str
        A name that raresmith adds itself.

    Raises
    ------
    ConfigError
        If openpyxl is not installed, or there is no such sheet.
    DataError
        If it is no workbook, has no rows, a header that lacks a name or has one twice, or formulas without values.
    """
    opened = _opened(workbook, place)
    titles = [sheet.title for sheet in opened.worksheets]
    if name and name not in titles:
        raise ConfigError(
            "source.options.sheet names {name!r}, which {place} lacks; its sheets are {titles}",
            name=name,
            place=place,
            titles=titles,
        )
    if not titles:
        raise DataError(f"{place} has no sheet of cells")
    sheet = opened[name or titles[0]]
    where = f"sheet {sheet.title!r} of {place}"
    sheet.reset_dimensions()  # some programs write down fewer than there are, and openpyxl would stop there
    try:
        merged = _check_xml(workbook, sheet._worksheet_path, where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it says a moment that cannot be is an error here
            table = _table(sheet.iter_rows(), where, own)
    except (SyntaxError, LookupError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{where} is damaged ({error}); save the workbook anew") from None
    return Sheet(title=sheet.title, others=() if name else tuple(titles[1:]), merged=merged, **table)


def _opened(workbook: bytes, place: str) -> Any:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ModuleNotFoundError:
        raise ConfigError(
            "source.format is \"excel\", which needs openpyxl; install it: pip install 'raresmith[excel]'"
        ) from None
    try:
        return load_workbook(io.BytesIO(workbook), read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{place} is no .xlsx workbook, or one with a password ({error}); save it as .xlsx without a password"
        ) from None


def _check_xml(workbook: bytes, part: str, where: str) -> str:
    """The first range of merged cells, which openpyxl does not tell of large workbooks."""
    merged, before = "", b""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive, archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            text = before + chunk
            if found := _NOT_COMPUTED.search(text):
                raise DataError(
                    f"{where} has a formula in {found['cell'].decode()} without its value, as of a workbook that no "
                    "spreadsheet has computed; open it in one and save it"
                )
            if not merged and (found := _MERGED.search(text)):
                merged = found[1].decode()
            before = text[-_LONGEST:]
    return merged


def _table(rows: Iterable[Sequence[Any]], where: str, own: str) -> dict[str, Any]:
    """What the rows of a sheet tell of it."""
    filled = (row for row in rows if any(cell.value is not None for cell in row))
    names = [_text(cell) or "" for cell in next(filled, ())]
    if not names:
        raise DataError(f"{where} has no rows")
    columns: list[list[str | None]] = [[] for _ in names]
    as_text: list[set[bool]] = [set() for _ in names]
    errors: dict[str, list[str]] = {}
    malformed: list[str | None] = []
    for row in filled:
        while len(row) > len(columns):
            names.append("")
            columns.append([None] * len(malformed))
            as_text.append(set())
        fault = None
        for name, values, is_text, cell in itertools.zip_longest(names, columns, as_text, row):
            text = None if cell is None else _text(cell)
            if text is not None and cell.data_type == "e":
                if text != NO_VALUE:
                    errors.setdefault(name, []).append(text)
                    fault = fault or name
                text = None
            elif text is not None:
                is_text.add(cell.data_type == "s")
            values.append(text)
        malformed.append(fault)
    used = [i for i, name in enumerate(names) if name or any(value is not None for value in columns[i])]
    check_names([names[i] for i in used], f"the header of {where}", own)
    return {
        "columns": {names[i]: columns[i] for i in used},
        "malformed": malformed,
        "errors": errors,
        "as_text": frozenset(names[i] for i in used if as_text[i] == {True}),
        "mixed": frozenset(names[i] for i in used if len(as_text[i]) > 1),
    }


def _text(cell: Any) -> str | None:
    """What a cell holds; a moment at midnight is a day."""
    value = cell.value
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(sep=" ") if value.time() != datetime.min.time() else value.date().isoformat()
    if isinstance(value, int) and _CODE.fullmatch(cell.number_format):
        return str(value).zfill(len(cell.number_format))
    return value.isoformat() if isinstance(value, date) else str(value)
