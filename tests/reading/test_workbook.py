"""A sheet of a workbook, with all that spreadsheets let people do to it."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import pytest
from openpyxl import Workbook

from raresmith.errors import ConfigError, DataError
from raresmith.reading.workbook import Sheet, read_sheet


def workbook(*rows: Sequence[Any], **sheets: Sequence[Sequence[Any]]) -> Workbook:
    book = Workbook()
    for sheet, content in ((book.active, rows), *((book.create_sheet(name), more) for name, more in sheets.items())):
        for row in content:
            sheet.append(row)
    return book


def saved(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def read(book: Workbook, name: str = "") -> Sheet:
    return read_sheet(saved(book), name, "a.xlsx", "_own")


def test_cells_are_texts_as_programs_write_them() -> None:
    day, moment = datetime(2024, 1, 5), datetime(2024, 1, 5, 10, 30)
    sheet = read(workbook(["n", "x", "t", "b", "day", "at", "clock"], [1, 0.1, "007", True, day, moment, time(9)]))
    assert sheet.columns == {
        "n": ["1"],
        "x": ["0.1"],
        "t": ["007"],
        "b": ["true"],
        "day": ["2024-01-05"],
        "at": ["2024-01-05 10:30:00"],
        "clock": ["09:00:00"],
    }
    assert sheet.as_text == {"t"} and not sheet.mixed


def test_empty_rows_and_columns_around_a_table_are_none_of_it() -> None:
    sheet = read(workbook([], [None, "a", None, "b"], [None, 1, None, 2], [], [None, None, None, 3], [None]))
    assert sheet.columns == {"a": ["1", None], "b": ["2", "3"]}


def test_a_wrong_size_of_the_sheet_hides_no_row() -> None:
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(workbook(["a", "b"], [1, 2], [3, 4])))) as old,
        zipfile.ZipFile(changed, "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'ref="A1:B3"', b'ref="A1"'))
    assert read_sheet(changed.getvalue(), "", "a.xlsx", "_own").columns == {"a": ["1", "3"], "b": ["2", "4"]}


def test_numbers_shown_with_leading_zeros_are_codes() -> None:
    book = workbook(["zip"], [1067], [80331])
    for row in ("A2", "A3"):
        book.active[row].number_format = "00000"
    assert read(book).columns == {"zip": ["01067", "80331"]}


def test_errors_are_counted_and_their_rows_marked_but_not_available_is_no_value() -> None:
    sheet = read(workbook(["a", "b"], ["#DIV/0!", 1], ["#N/A", 2], [3, "#REF!"], [4, "#REF!"]))
    assert sheet.columns == {"a": [None, None, "3", "4"], "b": ["1", "2", None, None]}
    assert sheet.malformed == ["a", None, "b", "b"]
    assert sheet.errors == {"a": ["#DIV/0!"], "b": ["#REF!", "#REF!"]}


def test_text_among_other_values_is_told() -> None:
    sheet = read(workbook(["a", "b"], [1, date(2024, 1, 5)], ["x", "2024-01-06"]))
    assert sheet.mixed == {"a", "b"} and not sheet.as_text


def test_merged_cells_and_other_sheets_are_told() -> None:
    book = workbook(["a", "b"], ["x", 1], [None, 2], more=[["c"], [5]])
    book.active.merge_cells("A2:A3")
    sheet = read(book)
    assert (sheet.merged, sheet.title, sheet.others) == ("A2:A3", "Sheet", ("more",))
    chosen = read(book, "more")
    assert (chosen.columns, chosen.merged, chosen.others) == ({"c": ["5"]}, "", ())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "sheet 'Sheet' of a.xlsx has no rows"),
        ([["a", None], [1, 2]], "the header of sheet 'Sheet' of a.xlsx has no name for column 2"),
        ([["a"], [1], [1, 2]], "has no name for column 2"),
        ([["a", "A"], [1, 2]], "names 'a' and 'A', which differ only in case; rename one"),
        ([["a", "_own"], [1, 2]], "names '_own', which raresmith adds itself"),
        ([["a", "b"], [1, "=A2*2"]], "has a formula in B2 without its value.*open it in one and save it"),
    ],
)
def test_a_sheet_that_is_no_table_is_refused(rows: list[list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(workbook(*rows))


def test_the_values_of_formulas_are_read() -> None:
    book = saved(workbook(["a", "b"], [1, "=A2*2"], [2, "=T(A3)"]))
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            text = old.read(name).replace(b"<f>A2*2</f><v />", b"<f>A2*2</f><v>2</v>")
            new.writestr(name, text.replace(b'"B3"><f>T(A3)</f><v />', b'"B3" t="str"><f>T(A3)</f><v></v>'))
    assert read_sheet(changed.getvalue(), "", "a.xlsx", "_own").columns == {"a": ["1", "2"], "b": ["2", None]}


def test_another_file_and_a_sheet_that_is_not_there_are_refused() -> None:
    with pytest.raises(DataError, match=r"a.xlsx is no .xlsx workbook, or one with a password"):
        read_sheet(b"id,amount\n1,2\n", "", "a.xlsx", "_own")
    with pytest.raises(
        ConfigError, match=r"source.options.sheet names 'x', which a.xlsx lacks; its sheets are \['Sheet'\]"
    ):
        read(workbook(["a"], [1]), "x")


def test_a_damaged_workbook_is_refused() -> None:
    whole = saved(workbook(["a", "b"], *[[k, f"text {k}"] for k in range(2000)]))
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[:5000] if "sheet1" in name else old.read(name))
    with pytest.raises(DataError, match=r"sheet 'Sheet' of a.xlsx is damaged \(.*\); save the workbook anew"):
        read_sheet(changed.getvalue(), "", "a.xlsx", "_own")
