"""Every raw row has an identity of its own that does not depend on how it was read."""

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.spark.row_id import with_row_id
from raresmith.spark.working import REASON, ROW_ID


def judged(df: DataFrame) -> DataFrame:
    return df.withColumn(REASON, F.lit(None).cast("string"))


def identified(df: DataFrame, key: tuple[str, ...] = (), on_duplicate: str = "keep") -> DataFrame:
    return with_row_id(judged(df), key, on_duplicate)


def test_a_whole_number_key_is_the_id(spark: SparkSession) -> None:
    df = spark.createDataFrame([(7, "a"), (-2, "b")], "id int, s string")
    assert {tuple(row) for row in identified(df, ("id",)).select(ROW_ID, "s").collect()} == {(7, "a"), (-2, "b")}


def test_ids_do_not_depend_on_order_or_partitions(spark: SparkSession) -> None:
    df = spark.createDataFrame([(float(i % 5), f"k{i % 7}") for i in range(50)], "x double, s string")
    one, other = identified(df.coalesce(1)), identified(df.repartition(5, F.rand(3)))
    assert one.exceptAll(other).count() == 0
    assert one.select(ROW_ID).distinct().count() == 50


def test_nulls_do_not_make_different_rows_equal(spark: SparkSession) -> None:
    df = spark.createDataFrame([(None, "a"), ("a", None), (None, None), ("a", "a")], "x string, y string")
    assert identified(df).select(ROW_ID).distinct().count() == 4


@pytest.mark.parametrize(
    ("on_duplicate", "reasons"), [("keep", [None] * 4), ("quarantine", [None, None, "duplicate row", "duplicate row"])]
)
def test_repeated_rows_are_kept_apart_or_set_aside(
    spark: SparkSession, on_duplicate: str, reasons: list[str | None]
) -> None:
    df = spark.createDataFrame([(1.0, "a")] * 3 + [(2.0, "b")], "x double, s string")
    found = identified(df, on_duplicate=on_duplicate).collect()
    assert sorted((row[REASON] for row in found), key=str) == sorted(reasons, key=str)
    assert len({row[ROW_ID] for row in found}) == 4


def test_of_the_rows_of_a_key_one_is_kept_whatever_the_order(spark: SparkSession) -> None:
    df = spark.createDataFrame([(1, "a"), (1, "b"), (1, "c"), (2, "d")], "id int, s string")
    kept = {
        tuple(sorted(row["s"] for row in identified(rows, ("id",)).where(F.col(REASON).isNull()).collect()))
        for rows in (df.coalesce(1), df.repartition(3, "s"), df.orderBy(F.desc("s")))
    }
    assert len(kept) == 1
    assert identified(df, ("id",)).where(F.col(REASON) == "duplicate key").count() == 2


def test_a_table_without_repeats_is_not_shuffled(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(10).selectExpr("id", "id * 2 x").write.parquet(str(tmp_path / "t"))
    plan = identified(spark.read.parquet(str(tmp_path / "t")))._jdf.queryExecution().executedPlan().toString()
    assert "Exchange" not in plan
