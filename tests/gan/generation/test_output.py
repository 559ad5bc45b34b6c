"""A place that rows cannot be written to is refused before any is made; text can be kept from being a formula."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from raresmith.errors import ConfigError, DataError, RaresmithError
from raresmith.gan.data.tables import is_table
from raresmith.gan.generation.output import check_output, write_output

ROWS = pa.record_batch({"fine": pa.array([1], pa.int8())})


def test_a_delta_table_is_refused_where_a_field_within_a_column_has_a_name_that_it_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    schema = pa.schema([("fine", pa.int8()), ("odd", pa.list_(pa.struct([("a b", pa.int32())])))])
    check_output("rows.parquet", schema)
    with pytest.raises(DataError, match=r"cannot have the columns \['a b'\]"):
        check_output("rows", schema)


@contextmanager
def without_rights() -> Iterator[None]:
    """As another user, where we may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def all_below(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("output", "error", "sentence"),
    [
        ("", ConfigError, "or name a folder for a Delta table, got ''"),
        ("rows.CSV", ConfigError, "must end in .csv or .parquet"),
        ("rows.csv/", ConfigError, "must end in .csv or .parquet"),
        ("new/a[b]", DataError, r"has '\[' in its path, in which no Delta table can be made"),
        ("new/a%41", DataError, "has '%41' in its path"),
        ("new/a\\b", DataError, r"has '\\\\' in its path"),
        ("new/a\nb", DataError, r"has '\\n' in its path"),
        ("new/a\x00b", DataError, "cannot be written .*null byte"),
        ("new/a\x00b.csv", DataError, "cannot be written .*null byte"),
        ("/", DataError, "holds, something else than a Delta table"),
        (".", DataError, "holds, something else than a Delta table"),
        ("holds", DataError, "holds, something else than a Delta table"),
        ("holds/.hidden/..", DataError, "holds, something else than a Delta table"),
        ("file", DataError, "holds, something else than a Delta table"),
        ("file/rows.csv", DataError, "cannot be written .*Not a directory"),
        ("file/new/table", DataError, "cannot be written .*Not a directory"),
        ("folder.csv", DataError, "is a folder where a file is to be"),
        ("folder.parquet", DataError, "is a folder where a file is to be"),
        ("x" * 300, DataError, "cannot be written .*File name too long"),
        ("x" * 300 + ".csv", DataError, "cannot be written .*File name too long"),
        ("closed", DataError, "cannot be written .*Permission denied"),
        ("closed/rows.csv", DataError, "cannot be written .*Permission denied"),
        ("closed/new/rows.parquet", DataError, "cannot be written .*Permission denied"),
        ("nowhere://a/b", DataError, "cannot be written"),
        ("nowhere://a/b.csv", DataError, "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_in_a_sentence_and_nothing_is_made(
    output: str, error: type[RaresmithError], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("holds/.hidden", "folder.csv", "folder.parquet", "closed"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "closed").chmod(0o500)
    before = all_below(tmp_path)
    with without_rights() if "closed" in output else nullcontext(), pytest.raises(error, match=sentence) as no:
        check_output(output, ROWS.schema)
    assert "\n" not in str(no.value) and all_below(tmp_path) == before


@pytest.mark.parametrize(
    "output", ["rows.csv", "new/rows.parquet", "new/table", "empty", "table", "a b/ü#?*+='{}&~%4", "a[b]/rows.csv"]
)
def test_a_place_that_can_be_written_is_taken_and_holds_the_rows(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_output("table", ROWS.schema, [ROWS, ROWS])
    for _ in range(2):
        check_output(output, ROWS.schema)
        write_output(output, ROWS.schema, [ROWS])
    assert (tmp_path / output).is_file() or is_table(output)


def test_formulas_are_text_where_that_is_asked_for(tmp_path: Path) -> None:
    texts = ["=cmd()", "+1", "-2", "@x", "\ty", "\rz", "a=b", "", None, "'=1"]
    rows = pa.record_batch(
        {"=name": texts, "n": pa.array(range(-5, 5), pa.int64()), "list": pa.nulls(10, pa.list_(pa.string()))}
    )
    found = {}
    for escape in (False, True):
        output = str(tmp_path / f"{escape}.csv")
        check_output(output, rows.schema, escape_formulas=escape)
        write_output(output, rows.schema, [rows], escape_formulas=escape)
        with Path(output).open(newline="") as file:
            found[escape] = [*csv.reader(file)]
    assert [row[0] for row in found[False]] == ["=name", *(text or "" for text in texts)]
    assert [row[0] for row in found[True]] == [
        "'=name", "'=cmd()", "'+1", "'-2", "'@x", "'\ty", "'\rz", "a=b", "", "", "'=1"
    ]  # fmt: skip
    assert [row[1:] for row in found[True]] == [row[1:] for row in found[False]]  # numbers stay as they are
    with pytest.raises(ConfigError, match=r"--escape-formulas goes with a \.csv file"):
        check_output(str(tmp_path / "rows.parquet"), rows.schema, escape_formulas=True)
