"""Lines of JSON are read whole, whoever wrote them; what Spark passes over in silence is told or refused."""

import gzip
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.spark.columns import MALFORMED
from raresmith.spark.source.read import how_read, read_source


def source(path: Path, **changes: Any) -> SourceConfig:
    return SourceConfig(**{"path": str(path), "label": "y", "format": "json", **changes})


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_values_are_what_the_lines_say_and_digits_stay(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    lines = (
        '\ufeff{"n":1,"x":0.5,"exact":1234567890123456789.25,"id":12345678901234567890,"zip":"12345","code":"007",'
        '"day":"2024-01-05","at":"2024-01-05T10:00:00Z","ok":true,"y":0}',
        "  ",
        '{"y":1,"x":1e16,"n":-2,"exact":2.5,"id":2,"zip":"01067","code":"\\u00fc\\n","day":null,"ok":false}\r',
    )
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    df = read_source(spark, source(path))
    rows = df.drop(MALFORMED)
    assert rows.schema.simpleString()[7:-1] == (
        "at:timestamp,code:string,day:date,exact:decimal(38,2),id:string,n:bigint,ok:boolean,x:double,y:bigint,"
        "zip:string"
    )
    assert [row.asDict() for row in rows.orderBy("y").collect()] == [
        {"n": 1, "x": 0.5, "exact": Decimal("1234567890123456789.25"), "id": "12345678901234567890", "zip": "12345"}
        | {"code": "007", "day": date(2024, 1, 5), "at": datetime(2024, 1, 5, 10), "ok": True, "y": 0},
        {"n": -2, "x": 1e16, "exact": Decimal("2.50"), "id": "2", "zip": "01067"}
        | {"code": "ü\n", "day": None, "at": None, "ok": False, "y": 1},
    ]
    assert df.where(f"{MALFORMED} IS NOT NULL").count() == 0
    assert how_read(spark, source(path)) == (
        "id is text: more digits than a whole number holds",
        "zip is text: the file has its numbers as text",
    )


def test_lines_and_values_that_cannot_be_read_are_set_aside(spark: SparkSession, tmp_path: Path) -> None:
    good = [f'{{"id":{k},"amount":{k}.5,"y":{k % 2}}}' for k in range(1, 301)]
    good[250] = '{"id":251,"amount":"a lot","y":0}'
    path = written(tmp_path / "a.jsonl", *good, '{"id":301,"amount":1.5,', "7", '{"id":302,"amount":1.5,"y":"Köln}')
    df = read_source(spark, source(path))
    assert df.drop(MALFORMED).schema.simpleString() == "struct<amount:double,id:bigint,y:bigint>"
    found = sorted(row[MALFORMED] for row in df.where(f"{MALFORMED} IS NOT NULL").collect())
    assert found == ["7", "amount", '{"id":301,"amount":1.5,', '{"id":302,"amount":1.5,"y":"Köln}']
    assert df.count() == 303
    assert how_read(spark, source(path)) == (
        "amount: 1 values such as 'a lot' are no number, so their rows are malformed",
    )


def test_keys_of_some_lines_or_files_only_are_null_elsewhere(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    written(
        folder / "bank=007" / "a.json", *[f'{{"id":{k},"y":0}}' for k in range(1500)], '{"late":"2024-01-05","y":1}'
    )
    written(folder / "bank=042" / "b.json", '{"id":null,"y":1,"device":{"os":"a","version":1.10},"tags":[1, 2]}')
    (folder / "_SUCCESS").touch()
    df = read_source(spark, source(folder))
    assert df.drop(MALFORMED).schema.simpleString() == (
        "struct<device:struct<json:string>,id:bigint,late:date,tags:struct<json:string>,y:bigint,bank:string>"
    )
    rows = df.where("id IS NULL").orderBy("bank").collect()
    assert (rows[0]["late"], rows[0]["bank"], rows[0]["device"]) == (date(2024, 1, 5), "007", None)
    assert (rows[1]["device"]["json"], rows[1]["tags"]["json"]) == ('{"os":"a","version":1.10}', "[1, 2]")
    assert how_read(spark, source(folder)) == (
        "device holds objects or arrays: carried along as the text of its field json",
        "tags holds objects or arrays: carried along as the text of its field json",
    )


def test_a_schema_is_held_against_the_keys_of_all_lines(spark: SparkSession, tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", '{"id":"1","amount":2.5,"y":0}', '{"id":"2","amount":"much","y":1}')
    told = source(path, schema="id BIGINT, amount DECIMAL(10,2), y INT, late DATE")
    rows = read_source(spark, told).orderBy("id").collect()
    assert [tuple(row) for row in rows] == [(1, Decimal("2.50"), 0, None, None), (2, None, 1, None, "amount")]
    assert how_read(spark, told) == ("late is in no line: null",)
    for schema, fault in (
        ("id BIGINT, y INT", "'amount' is not expected"),
        ("ID INT, amount INT, y INT", "'ID' is written"),
    ):
        with pytest.raises(DataError, match=f"differ from source.schema: {fault}"):
            read_source(spark, source(path, schema=schema))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ['{"id":1,"y":0}{"id":2,"y":1}'],
            r"lines of .* such as '\{\"id\":1.* hold more than one object, but .*one obj",
        ),
        (['{"id":1,"y":0},{"id":2,"y":1}'], "hold more than one object"),
        (['{"id":1,"y":0}', '[{"id":2,"y":1}]'], "hold more than one object"),
        (['{"id":1,"y":0,"id":2}'], r"lines of .* such as .* have a key twice"),
        (['{"id":1,"y":0}', '{"ID":2,"y":1}'], "names 'ID' and 'id', which differ only in case; rename one"),
        (["[", '{"id":1,"y":0}', "]"], "a.json is one array, but raresmith reads JSON with one object a line"),
        (["{", '"id":1', "}"], "no line of .*a.json is an object of JSON; raresmith reads JSON with one object a line"),
        (['{"_malformed_record":1,"y":0}'], "names '_malformed_record', which raresmith adds itself"),
    ],
)
def test_what_spark_would_read_in_part_is_refused(
    spark: SparkSession, tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_source(spark, source(written(tmp_path / "a.json", *lines)))


def test_another_file_among_them_is_named(spark: SparkSession, tmp_path: Path) -> None:
    written(tmp_path / "raw" / "a.json", '{"id":1,"y":0}')
    written(tmp_path / "raw" / "README.md", "# Payments")
    with pytest.raises(DataError, match=r"README.md begins with '# Payments', which is no object of JSON"):
        read_source(spark, source(tmp_path / "raw"))
