"""A table of separated values is read whole, whoever wrote it; each case was lost in silence once."""

import csv
import gzip
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.spark.columns import MALFORMED
from raresmith.spark.source.read import how_read, read_source


def source(path: Path, **changes: Any) -> SourceConfig:
    return SourceConfig(**{"path": str(path), "label": "y", "format": "csv", **changes})


def written(path: Path, rows: Sequence[Sequence[Any]], encoding: str = "utf-8", **dialect: Any) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, **dialect).writerows(rows)
    return path


def found(spark: SparkSession, config: SourceConfig) -> tuple[str, list[tuple[Any, ...]], tuple[str, ...]]:
    """Types, rows without MALFORMED in order, and words."""
    df = read_source(spark, config)
    assert df.where(f"{MALFORMED} IS NOT NULL").isEmpty()
    rows = df.drop(MALFORMED)
    return rows.schema.simpleString()[7:-1], sorted(map(tuple, rows.collect()), key=str), how_read(spark, config)


def test_line_breaks_within_quotes_tear_no_row(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(k, f"note {k}\nsecond line" if k % 10 == 0 else f"note {k}", k % 7) for k in range(1, 61)]
    types, read, words = found(spark, source(written(tmp_path / "a.csv", [("id", "note", "y"), *rows])))
    assert types == "id:bigint,note:string,y:bigint"
    assert read == sorted(rows, key=str)
    assert words == ("read as: line breaks within values",)


def test_line_breaks_within_quotes_come_back_as_they_are_whatever_records_end_in(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = [
        'id,note,y', '1,"a\r\nb",0', '2,"c\nd",1', "3,plain,1", "", '4,"x\ry",', '5,q,"1"', "6,,0", '7,"",1', "", "",
    ]  # fmt: skip
    rows = [
        (1, "a\r\nb", 0), (2, "c\nd", 1), (3, "plain", 1), (4, "x\ry", None), (5, "q", 1), (6, None, 0), (7, None, 1),
    ]  # fmt: skip
    for i, end in enumerate(("\r\n", "\n")):
        path = tmp_path / f"{i}.csv"
        path.write_bytes(end.join(lines).encode())
        assert found(spark, source(path))[:2] == ("id:bigint,note:string,y:bigint", rows)
    # In one folder, and with the break in the header and the last column.
    (tmp_path / "2.csv").write_bytes(b'id,y,"no\r\nte"\r\n8,1,"e\r\nf"\r\n9,0,g\r\n')
    df = read_source(spark, source(tmp_path)).drop(MALFORMED).orderBy("id")
    others = {row["id"]: row["no\r\nte"] for row in df.collect() if row["id"] > 7}
    assert others == {8: "e\r\nf", 9: "g"} and df.count() == 2 * len(rows) + 2


def test_a_last_value_that_ends_as_records_do_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    lines = ["id,y,note", '1,0,"a\r\nb"', '2,1,"c\r"', "3,0,d", ""]
    path = tmp_path / "a.csv"
    path.write_bytes("\r\n".join(lines).encode())
    with pytest.raises(DataError, match=r"the last value of a record of .*a\.csv ends in a carriage return"):
        read_source(spark, source(path))
    path.write_bytes("\n".join(lines).encode())
    assert [row["note"] for row in read_source(spark, source(path)).orderBy("id").collect()] == ["a\r\nb", "c\r", "d"]


def test_a_line_break_beyond_what_is_looked_at_first_is_found(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(k, f"note {k}", k % 7) for k in range(80_000)] + [(80_000, "a\nb", 1)]
    df = read_source(spark, source(written(tmp_path / "a.csv", [("id", "note", "y"), *rows])))
    assert df.where(f"{MALFORMED} IS NOT NULL").isEmpty() and df.count() == len(rows)


def test_a_german_export(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        ("Nr", "Betrag", "Summe", "Wann", "Tag", "PLZ", "Straße", "y"),
        ("1", "5,20", "1.234,50", "05.01.2024 10:00", "05.01.2024", "01069", "Hauptstraße", "0"),
        ("2", "1234,5", "7,00", "31.12.2023 23:59", "31.12.2023", "50667", "Ö, 'x'", "1"),
        ("3", "-", "", "01.02.2024 00:00", "", "80331", "", "0"),
    ]  # fmt: skip
    path = written(tmp_path / "a.csv", rows, encoding="cp1252", delimiter=";")
    types, read, words = found(spark, source(path))
    assert types == ("Nr:bigint,Betrag:double,Summe:double,Wann:timestamp,Tag:date,PLZ:string,Straße:string,y:bigint")
    assert read == [
        (1, 5.2, 1234.5, datetime(2024, 1, 5, 10), date(2024, 1, 5), "01069", "Hauptstraße", 0),
        (2, 1234.5, 7.0, datetime(2023, 12, 31, 23, 59), date(2023, 12, 31), "50667", "Ö, 'x'", 1),
        (3, None, None, datetime(2024, 2, 1), None, "80331", None, 0),
    ]
    assert words == (
        "read as: ; separated, decimal comma, thousands point, windows-1252",
        "PLZ is text: leading zeros",
    )
    schema = (
        "Nr INT, Betrag DECIMAL(10,2), Summe DOUBLE, Wann TIMESTAMP, Tag STRING, PLZ STRING, `Straße` STRING, y INT"
    )
    options = {"timestamp_format": "dd.MM.yyyy HH:mm"}
    told = read_source(spark, source(path, schema=schema, options=options))
    assert [str(row["Betrag"]) for row in told.orderBy("Nr").collect()] == ["5.20", "1234.50", "None"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_unicode_with_and_without_a_mark(spark: SparkSession, tmp_path: Path, encoding: str) -> None:
    rows = [("id", "Ort", "y"), ("1", "Köln €", "0"), ("2", "東京", "1")]
    types, read, _ = found(spark, source(written(tmp_path / "a.csv", rows, encoding=encoding)))
    assert types == "id:bigint,Ort:string,y:bigint"
    assert read == [(1, "Köln €", 0), (2, "東京", 1)]


def test_bytes_of_another_encoding_far_down_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,ort,y\n" + b"1,Berlin,0\n" * 120_000 + "2,Köln,1\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"1 rows of .* have bytes that are no UTF-8, .*set source.options.encoding"):
        read_source(spark, source(path))
    told = read_source(spark, source(path, options={"encoding": "windows-1252"}))
    assert [row["ort"] for row in told.where("id = 2").collect()] == ["Köln"]


def test_columns_go_by_their_names_in_every_file(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    for bank, header, rows in (
        ("007", ("id", "amount", "y"), [("1", "1.5", "0"), ("2", "2.5", "1")]),
        ("042", ("y", "id", "amount", "device"), [("1", "3", "3.5", "web")]),
    ):
        (folder / f"bank={bank}").mkdir(parents=True)
        written(folder / f"bank={bank}" / "part.csv", [header, *rows])
    types, read, words = found(spark, source(folder))
    assert types == "id:bigint,amount:double,y:bigint,bank:string,device:string"
    assert read == [(1, 1.5, 0, "007", None), (2, 2.5, 1, "007", None), (3, 3.5, 1, "042", "web")]
    assert words == ("device is not in 1 of 2 files, such as part.csv: null there",)
    for month in range(4, 9):
        (folder / f"bank={month}").mkdir()
        written(folder / f"bank={month}" / "part.csv", [("id", "amount", "y", "late"), ("4", "1", "0", str(month))])
    types, read, _ = found(spark, source(folder))
    assert types == "id:bigint,amount:double,y:bigint,bank:string,device:string,late:bigint"
    assert {row[5] for row in read} == {None, *range(4, 9)}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (("id", "", "y"), r"the header of .*a.csv has no name for column 2 \(pandas writes its index so"),
        (("id", "x", "x", "y"), r"the header of .*a.csv names 'x', more than once; rename one"),
        (("id", "x", "X", "y"), r"the header of .*a.csv names 'x' and 'X', which differ only in case; rename one"),
        (("id", "_malformed_record", "y"), "names '_malformed_record', which raresmith adds itself; rename it"),
    ],
)
def test_headers_that_spark_would_mend_in_silence_are_refused(
    spark: SparkSession, tmp_path: Path, header: tuple[str, ...], message: str
) -> None:
    path = written(tmp_path / "a.csv", [header, ["1"] * len(header)])
    with pytest.raises(DataError, match=message):
        read_source(spark, source(path))


def test_slips_are_set_aside_and_codes_stay_text(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        [str(k), f"{k}.5", "NA" if k == 7 else str(k), f"{k:04d}", f"{k}E7", "12:30:00", k % 2] for k in range(1, 301)
    ]
    rows[250][1] = "$1,234.50"
    rows[40][2] = "12d"
    names = ["id", "amount", "count", "code", "mixed", "clock", "y"]
    path = written(tmp_path / "a.csv", [names, *rows, ["301", "1.5"]])
    df = read_source(spark, source(path))
    kinds = "id:bigint,amount:double,count:bigint,code:string,mixed:string,clock:string,y:bigint"
    assert df.drop(MALFORMED).schema.simpleString() == f"struct<{kinds}>"
    malformed = {row["id"]: row[MALFORMED] for row in df.where(f"{MALFORMED} IS NOT NULL").collect()}
    assert malformed == {251: "amount", 41: "count", 301: "301,1.5"}
    seventh = df.where("id = 7").first()
    assert seventh is not None and seventh["count"] is None and seventh["code"] == "0007"
    assert how_read(spark, source(path)) == (
        "code is text: leading zeros",
        "mixed is text: they look like powers of ten",
        "amount: 1 values such as '$1,234.50' are no number, so their rows are malformed",
        "count: 1 values such as '12d' are no whole number, so their rows are malformed",
    )


def test_what_is_told_of_a_file_is_taken(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"1~1.234~x~0\n2~2~none~1\n"))
    options = {"separator": "~", "header": False, "decimal": ",", "thousands": ".", "null_words": ("none",)}
    types, read, words = found(spark, source(path, label="_c3", options=options))
    assert types == "_c0:bigint,_c1:bigint,_c2:string,_c3:bigint"
    assert read == [(1, 1234, "x", 0), (2, 2, None, 1)]
    assert words == ("read as: ~ separated, decimal comma, thousands point",)


def test_dates_of_a_told_format_and_those_that_could_be_two(spark: SparkSession, tmp_path: Path) -> None:
    rows = [("id", "day", "city", "y"), ("1", "01/02/2024", "Rom", "0"), ("2", "03/04/2024", "Bern", "1")]
    path = written(tmp_path / "a.csv", rows)
    types, _, words = found(spark, source(path))
    assert types == "id:bigint,day:string,city:string,y:bigint"
    assert words == ("day is text: d/M/yyyy or M/d/yyyy; set source.options.date_format",)
    types, read, words = found(spark, source(path, options={"date_format": "dd/MM/yyyy"}))
    assert types == "id:bigint,day:date,city:string,y:bigint"
    assert read == [(1, date(2024, 2, 1), "Rom", 0), (2, date(2024, 4, 3), "Bern", 1)]
    assert words == ()


def test_another_file_among_them_is_named_with_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        written(folder / name, [("id", "y"), ("1", "0")])
    (folder / "README.md").write_text("# Payments, as they came\n\nOf 2024.\n")
    with pytest.raises(
        DataError, match=r"README.md has no column in common with .*a.csv; move .*, as by .*raw/\*.csv$"
    ):
        read_source(spark, source(folder))
    assert read_source(spark, source(folder / "*.csv")).count() == 2


def test_malformed_records_are_the_same_whichever_columns_are_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    rows = [("a", "b", "y"), *[("x", "u", "v")] * 20, ("z", "u", "v", "w")]
    malformed = read_source(spark, source(written(tmp_path / "a.csv", rows))).where(f"{MALFORMED} IS NOT NULL")
    for names in (["a", "b", "y", MALFORMED], ["a", MALFORMED], [MALFORMED]):
        assert [row[MALFORMED] for row in malformed.select(*names).collect()] == ["z,u,v,w"]
