"""Parquet files of one folder are read as one table by the names of their columns, or refused."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.spark.source.read import how_read, read_source


def source(path: Path) -> SourceConfig:
    return SourceConfig(path=str(path), label="y")


def write(folder: Path, **files: pa.Table) -> Path:
    for name, table in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def test_a_column_that_came_later_is_null_before(spark: SparkSession, tmp_path: Path) -> None:
    early = pa.table({"id": [1, 2], "y": [0, 1]})
    folder = write(tmp_path / "raw", a=early, b=pa.table({"device": ["web"], "y": [1], "id": [3]}))
    df = read_source(spark, source(folder))
    assert sorted(map(tuple, df.select("id", "y", "device").collect())) == [(1, 0, None), (2, 1, None), (3, 1, "web")]
    assert how_read(spark, source(folder)) == ("device is not in 1 of 2 files, such as a.parquet: null there",)


def test_types_are_widened_where_that_loses_nothing(spark: SparkSession, tmp_path: Path) -> None:
    first = pa.table({"n": pa.array([1], pa.int32()), "x": pa.array([0.5], pa.float32()), "y": pa.array([0])})
    second = pa.table({"n": pa.array([2**40]), "x": pa.array([0.1]), "y": pa.array([1])})
    folder = write(tmp_path / "raw", a=first, b=second)
    df = read_source(spark, source(folder))
    assert df.schema.simpleString() == "struct<n:bigint,x:double,y:bigint>"
    assert sorted(map(tuple, df.collect())) == [(1, 0.5, 0), (2**40, 0.1, 1)]
    assert how_read(spark, source(folder)) == (
        "n is bigint or int by file: read as bigint",
        "x is double or float by file: read as double",
    )


def test_types_that_do_not_go_together_are_refused_by_file_and_column(spark: SparkSession, tmp_path: Path) -> None:
    folder = write(tmp_path / "raw", a=pa.table({"x": [1.5], "y": [0]}), b=pa.table({"x": ["1,5"], "y": [1]}))
    with pytest.raises(DataError, match=r"column 'x' of .* is double in a.parquet and string in b.parquet; write"):
        read_source(spark, source(folder))


def test_names_of_folders_are_text(spark: SparkSession, tmp_path: Path) -> None:
    table = pa.table({"id": [1], "y": [0]})
    folder = write(tmp_path / "raw", **{"bank=007/a": table, "bank=042/a": table})
    assert sorted(row["bank"] for row in read_source(spark, source(folder)).collect()) == ["007", "042"]
    later = write(folder, **{"bank=042/b": table.append_column("x", pa.array([1.5]))})
    rows = read_source(spark, source(later)).select("bank", "x").collect()
    assert sorted(map(tuple, rows), key=str) == [("007", None), ("042", 1.5), ("042", None)]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pa.array([Decimal(1)], pa.decimal256(50, 10)),
            r"'x' of .* is decimal\(50,10\), but Spark has .* 38 digits; wr",
        ),
        (pa.array([[0]], pa.list_(pa.time64("us"))), r"'x' of .* has TIME\(MICROS,false\) within another type, which"),
        (
            pa.array([{"a": None}], pa.struct([("a", pa.float16())])),
            r"'x' of .* has FLOAT16 within another type, which",
        ),
    ],
)
def test_types_that_spark_has_not_are_refused_by_column_and_type(
    spark: SparkSession, tmp_path: Path, column: pa.Array, message: str
) -> None:
    folder = write(tmp_path / "raw", a=pa.table({"x": column, "y": [0]}))
    with pytest.raises(DataError, match=message):
        read_source(spark, source(folder))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("INTERVAL '3' DAY", "interval day"),
        ("struct(INTERVAL '1-2' YEAR TO MONTH)", r"struct<`col1`:interval year .*>"),
    ],
)
def test_types_that_delta_has_not_are_refused_by_column_and_type(
    spark: SparkSession, tmp_path: Path, value: str, kind: str
) -> None:
    spark.sql(f"SELECT {value} AS x, 1 AS y").write.parquet(str(tmp_path / "raw"))
    with pytest.raises(
        DataError, match=f"'x' of .* is of type {kind}, which no Delta table can hold; write it as text"
    ):
        read_source(spark, source(tmp_path / "raw"))


def test_what_is_read_as_another_type_is_told(spark: SparkSession, tmp_path: Path) -> None:
    early = {"clock": pa.array([1], pa.time32("ms")), "none": pa.nulls(1), "empty": pa.nulls(1)}
    late = {"clock": pa.array([2], pa.time64("ns")), "none": pa.array([1.5]), "empty": pa.nulls(1)}
    within = pa.array([[7]], pa.list_(pa.timestamp("ns")))
    odd = {"clock (TIME(MICROS,true)) a": [3]}
    folder = write(
        tmp_path / "raw", a=pa.table({**early, "y": [0]}), b=pa.table({**late, "y": [1], "w": within, **odd})
    )
    df = read_source(spark, source(folder))
    assert sorted(map(tuple, df.select("y", "clock", "none", "empty", "w", *odd).collect())) == [
        (0, "00:00:00.001", None, None, None, None),
        (1, "00:00:00.000000002", 1.5, None, [7], 3),
    ]
    assert [words for words in how_read(spark, source(folder)) if "files" not in words] == [
        "clock: times of day are read as text",
        "w: nanoseconds within another type are read as whole numbers",
        "none is double or void by file: read as double",
        "empty has neither values nor a type: read as text",
    ]


def test_nanoseconds_are_read_to_the_microsecond(spark: SparkSession, tmp_path: Path) -> None:
    moments = [-1_500, 1_700_000_000_123_456_999, None]
    table = pa.table(
        {
            "naive": pa.array(moments, pa.timestamp("ns")),
            "zoned": pa.array(moments, pa.timestamp("ns", "Europe/Berlin")),
            "y": [0, 1, 1],
        }
    )
    folder = write(tmp_path / "raw", a=table)
    df = read_source(spark, source(folder))
    assert df.schema.simpleString() == "struct<naive:timestamp_ntz,zoned:timestamp,y:bigint>"
    micros = [row[0] for row in df.selectExpr("unix_micros(zoned)").collect()]
    assert micros == [-2, 1_700_000_000_123_456, None]
    assert df.where("naive = zoned").count() == 2
    second = df.where("y = 1 AND naive IS NOT NULL").first()
    assert second is not None
    assert second["naive"] == datetime.fromtimestamp(1_700_000_000, UTC).replace(tzinfo=None, microsecond=123_456)
    assert how_read(spark, source(folder)) == (
        "naive: nanoseconds are read to the microsecond",
        "zoned: nanoseconds are read to the microsecond",
    )


def test_a_file_that_is_no_parquet_is_named_with_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    folder = write(tmp_path / "raw", a=pa.table({"id": [1], "y": [0]}), b=pa.table({"id": [2], "y": [1]}))
    for name in ("_SUCCESS", ".a.parquet.crc"):
        (folder / name).write_text("Spark passes over it")
    assert read_source(spark, source(folder)).count() == 2
    (folder / "README.md").write_text("# Payments")
    with pytest.raises(DataError, match=r"README.md is no Parquet; move it .* as by .*raw/\*\.parquet$"):
        read_source(spark, source(folder))
    assert read_source(spark, source(folder / "*.parquet")).count() == 2
    (folder / "c.parquet").touch()
    with pytest.raises(DataError, match=r"README.md and 1 other are no Parquet"):
        read_source(spark, source(folder))
