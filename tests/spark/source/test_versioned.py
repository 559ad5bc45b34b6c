"""A table of Spark's catalogs is read by its name, and as it was where it has versions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import ConfigError, DataError
from raresmith.spark.source.read import check_unchanged, how_read, read_source, source_identity


def source(name: str) -> SourceConfig:
    return SourceConfig(path=name, label="y", format="table")


@pytest.fixture
def bank(spark: SparkSession) -> Iterator[str]:
    spark.sql("CREATE DATABASE bank")
    yield "spark_catalog.bank"
    spark.sql("DROP DATABASE bank CASCADE")


def test_a_delta_table_is_read_at_the_version_that_was_seen(spark: SparkSession, bank: str) -> None:
    config = source(f"{bank}.cards")
    spark.range(3).selectExpr("id", "id % 2 y").write.format("delta").saveAsTable(config.path)
    before = source_identity(spark, config)
    assert before == f"{config.path}@0"
    spark.range(5).selectExpr("id", "id % 2 y").write.format("delta").mode("append").saveAsTable(config.path)
    check_unchanged(spark, config, before)
    assert (read_source(spark, config, before).count(), read_source(spark, config).count()) == (3, 8)
    assert source_identity(spark, config) == f"{config.path}@1"
    assert how_read(spark, config) == ()
    other = source(f"{bank}.others")
    spark.range(3).selectExpr("id", "id % 2 y").write.format("delta").saveAsTable(other.path)
    with pytest.raises(DataError, match="is not the table that prepare read"):
        read_source(spark, other, before)


def test_of_other_tables_and_views_a_change_is_seen_by_files_and_definition(spark: SparkSession, bank: str) -> None:
    table, view = source(f"{bank}.cards"), source(f"{bank}.some")
    spark.range(3).selectExpr("id", "id % 2 y").write.format("parquet").saveAsTable(table.path)
    spark.sql(f"CREATE VIEW {view.path} AS SELECT * FROM {table.path} WHERE id > 0")
    seen = [source_identity(spark, config) for config in (table, view)]
    assert [source_identity(spark, config) for config in (table, view)] == seen
    assert read_source(spark, view, seen[1]).count() == 2
    assert how_read(spark, view) == (f"{view.path} has no versions: a change of its rows is seen by its files",)
    spark.sql(f"CREATE OR REPLACE VIEW {view.path} AS SELECT * FROM {table.path} WHERE id > 1")
    with pytest.raises(DataError, match=r"bank.some is not what prepare read"):
        check_unchanged(spark, view, seen[1])
    spark.sql(f"INSERT INTO {table.path} VALUES (4, 1)")
    with pytest.raises(DataError, match=r"bank.cards is not what prepare read"):
        check_unchanged(spark, table, seen[0])
    spark.sql(f"CREATE OR REPLACE VIEW {view.path} AS SELECT 1 id, 0 y")
    assert how_read(spark, view) == (f"{view.path} has no versions: a change of its rows goes unseen",)


@pytest.mark.parametrize("name", ["bank.nothing", "nowhere.bank.cards", "two words"])
def test_a_table_that_is_not_there_is_refused(spark: SparkSession, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^Spark's catalogs have no table source.path = {name}; set its name"):
        read_source(spark, source(name))


def test_without_icebergs_jar_its_package_is_named(spark: SparkSession, tmp_path: Path) -> None:
    config = SourceConfig(path=str(tmp_path), label="y", format="iceberg")
    message = (
        r"Spark has no fitting jar; add a release of org.apache.iceberg:iceberg-spark-runtime-4\.\d_2.13 to spark.conf"
    )
    for ask in (source_identity, read_source):
        with pytest.raises(DataError, match=message):
            ask(spark, config)
