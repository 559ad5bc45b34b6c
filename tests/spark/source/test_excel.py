"""A workbook is read as text files are: by what its cells are, with nothing lost in silence."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.spark.columns import MALFORMED
from raresmith.spark.source import excel
from raresmith.spark.source.read import how_read, read_source, source_identity


def source(path: Path, **changes: Any) -> SourceConfig:
    return SourceConfig(**{"path": str(path), "label": "y", "format": "excel", **changes})


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    book = Workbook()
    sheet = book.active
    sheet.append(["id", "amount", "day", "zip", "code", "kind", "y"])
    for k in range(1, 201):
        sheet.append([k, k + 0.5, date(2024, 1, 1), "12345", f"{k:04d}", k if k % 2 else f"k{k}", k % 2])
    sheet.append([201, "#DIV/0!", None, "01067", "0201", None, 0])
    sheet.append([202, "a lot", None, None, None, None, 0])
    book.create_sheet("notes").append(["x"])
    book.save(tmp_path / "cards.xlsx")
    return tmp_path / "cards.xlsx"


def test_cells_become_columns_of_what_they_are(spark: SparkSession, cards: Path) -> None:
    df = read_source(spark, source(cards))
    assert df.drop(MALFORMED).schema.simpleString() == (
        "struct<id:bigint,amount:double,day:date,zip:string,code:string,kind:string,y:bigint>"
    )
    assert tuple(df.where("id = 7").collect()[0]) == (7, 7.5, date(2024, 1, 1), "12345", "0007", "7", 1, None)
    assert [(row["id"], row[MALFORMED]) for row in df.where("id > 200").collect()] == [(201, "amount"), (202, "amount")]
    assert how_read(spark, source(cards)) == (
        "read as: sheet 'Sheet'; the others, 'notes', are not read",
        "amount: 1 cells have errors such as '#DIV/0!', so their rows are malformed",
        "zip is text: the file has its numbers as text",
        "code is text: the file has its numbers as text",
        "kind is text: text and other values stand in it",
        "amount: 1 values such as 'a lot' are no number, so their rows are malformed",
    )


def test_a_schema_says_what_cells_are(spark: SparkSession, cards: Path) -> None:
    schema = "id INT, amount DOUBLE, day DATE, zip INT, code STRING, kind STRING, y INT"
    row = read_source(spark, source(cards, schema=schema)).where("id = 201").collect()[0]
    assert (row["zip"], row["code"], row["amount"], row[MALFORMED]) == (1067, "0201", None, "amount")


def test_a_workbook_too_large_or_among_others_is_refused(
    spark: SparkSession, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = source_identity(spark, source(cards))
    (cards.parent / "b.xlsx").write_bytes(cards.read_bytes())
    assert source_identity(spark, source(cards)) == before
    with pytest.raises(DataError, match=r"source.path must name one .xlsx file, but .* has 2 files"):
        read_source(spark, source(cards.parent))
    monkeypatch.setattr(excel, "MOST_MB", 0)
    with pytest.raises(DataError, match=r"b.xlsx is larger than 0 MB, up to which a workbook is read; save it as CSV"):
        read_source(spark, source(cards.parent / "b.xlsx"))
