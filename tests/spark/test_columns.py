"""Names that plain Parquet has and plain Delta has not: every reader finds the columns, and the values in them."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaProtocolError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t
from tests.readers import misread
from tests.spark.test_tables import run

from raresmith.spark.columns import mapped_columns, plainly_named, quoted, raw_columns, text
from raresmith.spark.tables import overwrite, write_table
from raresmith.tables.contracts import Table

NAMES = ["a b", "c;d,e", "f=g", "h(i){j}", "k\tl", "m\nn", "o.p`q", "ü 😀", "col-1"]
NAMED = "SET TBLPROPERTIES"
INNER = "named_struct('r s', id, 't', array(named_struct('u,v', string(id))))"


def rows(spark: SparkSession, n: int = 3, *more: str) -> DataFrame:
    """`n` rows of the columns NAMES, which hold id times their number, and of a struct."""
    columns = [f"id * {i + 1} AS `{name.replace('`', '``')}`" for i, name in enumerate(NAMES)]
    return spark.range(n).selectExpr("id", *columns, f"{INNER} AS w", *more)


def expected(n: int = 3, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": i}
        | {name: i * (k + 1) for k, name in enumerate(NAMES)}
        | {"w": {"r s": i, "t": [{"u,v": str(i)}]}}
        | more
        for i in range(n)
    ]


def table(df: DataFrame) -> Table:
    return Table(name="odd", comment="odd names", columns=raw_columns(df.schema))


def test_every_reader_finds_the_values_of_columns_of_any_name_however_they_came_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    location = str(tmp_path / "t")
    for n in (3, 5):  # the table is made, and its rows are replaced
        assert write_table(rows(spark, n), table(rows(spark)), location, run(f"r{n}")).rows == n
        assert misread(location, expected(n)) == {}
    one = rows(spark, 4).where("id = 3")
    assert write_table(one, table(one), location, run("day"), replace_where="id = 3").rows == 1
    assert misread(location, expected(5)) == {}
    assert {commit["operation"] for commit in DeltaTable(location).history()} == {"CREATE TABLE", "WRITE", NAMED}
    wider = rows(spark, 2, "'x' AS `late r`")
    assert write_table(wider, table(wider), location, run("wider")).rows == 2
    assert misread(location, expected(2, **{"late r": "x"})) == {}
    properties = DeltaTable(location).metadata().configuration
    assert properties["delta.columnMapping.mode"] == "name" and properties["raresmith.run_id"] == "wider"
    with pytest.raises(DeltaProtocolError, match="column mapping"):
        pl.read_delta(location)


def test_a_table_of_random_names_gets_its_own_with_the_next_rows(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    rows(spark).write.format("delta").option("delta.columnMapping.mode", "name").save(location)
    assert misread(location, expected())["delta-rs by pyarrow"] == 3 * [dict.fromkeys(expected()[0])]
    write_table(rows(spark), table(rows(spark)), location, run())
    assert misread(location, expected()) == {}


def test_the_user_s_own_table_is_read_by_all_as_well(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    spark.range(3).write.format("delta").save(location)  # plain until now
    for n in (3, 2):
        overwrite(rows(spark, n), location)
        assert misread(location, expected(n)) == {}
    overwrite(rows(spark), str(tmp_path / "new"))
    assert misread(str(tmp_path / "new"), expected()) == {}
    overwrite(spark.range(3).selectExpr("id", "id AS late"), location)
    assert misread(location, [{"id": i, "late": i} for i in range(3)]) == {}
    assert pl.read_delta(location).height == 3  # a plain table again


def test_plain_names_are_distinct_and_tell_what_they_were() -> None:
    raw = t.StructType(
        [
            t.StructField("a_b", t.LongType()),
            t.StructField("a b", t.LongType(), True, {"comment": "in cents"}),
            t.StructField("A\tb", t.LongType()),
            t.StructField("run id", t.LongType()),
            t.StructField("ü.`-", t.ArrayType(t.StructType([t.StructField("x y", t.LongType())]))),
        ]
    )
    assert mapped_columns(raw) == ["a b", "A\tb", "run id", "ü.`-"]
    plain = plainly_named(raw, {"run_id"})
    assert plain.names == ["a_b", "a_b_2", "A_b_3", "run_id_2", "ü.`-"]
    assert mapped_columns(plain) == []
    assert [column.comment for column in raw_columns(plain)][:3] == [
        "as in the raw table",
        "in cents; called 'a b' in the raw table",
        "called 'A\\tb' in the raw table",
    ]
    assert "x_y" in raw_columns(plain)[4].type


@pytest.mark.parametrize(
    "value", ["it's", 'a "b"', "c\\d", "\\'", "''", "\\", "n\nt\t", "`q`", "${v} $v {w} %s", "ü😀", ""]
)
def test_text_and_names_in_sql_are_what_they_were(spark: SparkSession, value: str) -> None:
    row = spark.range(1).selectExpr(f"{text(value)} AS {quoted(value or 'none')}").first()
    assert row is not None
    assert row.asDict() == {value or "none": value}
