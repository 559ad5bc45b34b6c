"""A raw table is read as it is, or refused in one sentence that says what differs."""

import re
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import ConfigError, DataError
from raresmith.spark.columns import MALFORMED
from raresmith.spark.source.read import read_source, source_identity

SCHEMA = "id BIGINT, amount DOUBLE, y INT"


def source(path: Path, **changes: Any) -> SourceConfig:
    return SourceConfig(**{"path": str(path), "label": "y", "format": "csv", **changes})


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "raw.csv"
    path.write_text("id,amount,y\n1,2.5,0\n2,,1\n")
    return path


def test_a_csv_file_is_read_with_inferred_types(spark: SparkSession, csv: Path) -> None:
    df = read_source(spark, source(csv))
    assert df.schema.simpleString() == "struct<id:bigint,amount:double,y:bigint,_malformed_record:string>"
    assert [tuple(row) for row in df.collect()] == [(1, 2.5, 0, None), (2, None, 1, None)]


def test_a_csv_line_that_does_not_fit_the_schema_is_kept_and_marked(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    path.write_text("id,amount,y\n1,2.5,0\n2,much,1\n")
    rows = read_source(spark, source(path, schema=SCHEMA)).collect()
    assert [(row["id"], row["amount"], row[MALFORMED]) for row in rows] == [(1, 2.5, None), (2, None, "amount")]


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ("id BIGINT, amount DOUBLE, y INT, extra INT", "'extra' is missing"),
        ("id BIGINT, y INT", "'amount' is not expected"),
        ("id BIGINT, Amount DOUBLE, y INT", "'Amount' is written 'amount'"),
    ],
)
@pytest.mark.parametrize("format", ["csv", "parquet", "delta"])
def test_a_drifted_table_is_refused_and_what_drifted_is_named(
    spark: SparkSession, tmp_path: Path, schema: str, fault: str, format: str
) -> None:
    path = tmp_path / "raw"
    df = spark.createDataFrame([(1, 2.5, 0)], SCHEMA)
    df.write.format(format).option("header", True).save(str(path))
    with pytest.raises(DataError, match=f"differ from source.schema: {fault}"):
        read_source(spark, source(path, schema=schema, format=format))


def test_a_retyped_column_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "raw"
    spark.createDataFrame([(1, 2.5, 0)], SCHEMA).write.parquet(str(path))
    with pytest.raises(DataError, match="'amount' is double instead of bigint"):
        read_source(spark, source(path, schema="id BIGINT, amount BIGINT, y INT", format="parquet"))


def test_a_truncated_parquet_file_is_named(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(10).coalesce(1).write.parquet(str(tmp_path / "raw"))
    whole = next((tmp_path / "raw").glob("*.parquet")).read_bytes()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"cut.parquet cannot be read as parquet: "):
        read_source(spark, source(cut, format="parquet"))


def test_a_path_where_nothing_is_says_which_setting_to_change(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no table at source.path = .*nowhere; set the path"):
        read_source(spark, source(tmp_path / "nowhere"))


def test_a_schema_that_is_no_schema_is_refused(spark: SparkSession, csv: Path) -> None:
    with pytest.raises(ConfigError, match=r"source.schema is not a list of columns"):
        read_source(spark, source(csv, schema="id BIGNUM"))


@pytest.mark.parametrize("kind", ["time(6)", "array<string>", "interval day", "char(4)"])
def test_types_that_no_text_stands_for_are_refused(spark: SparkSession, csv: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"'amount' is {re.escape(kind)}, which values of a text file .* take STRING"):
        read_source(spark, source(csv, schema=f"id INT, amount {kind}, y INT"))


def test_the_identity_of_files_changes_when_one_does(spark: SparkSession, csv: Path) -> None:
    before = source_identity(spark, source(csv))
    assert source_identity(spark, source(csv)) == before
    csv.write_text("id,amount,y\n1,2.5,0\n2,,1\n3,1.0,1\n")
    assert source_identity(spark, source(csv)) != before
