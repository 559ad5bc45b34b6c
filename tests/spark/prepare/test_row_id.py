"""Every raw row has an identity of its own that does not depend on how it was read."""

from pathlib import Path
from typing import Literal

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.spark.columns import CONTENT, REASON, ROW_ID
from raresmith.spark.prepare.row_id import with_row_id

OnDuplicate = Literal["keep", "quarantine", "refuse"]


def judged(df: DataFrame) -> DataFrame:
    return df.withColumn(REASON, F.lit(None).cast("string"))


def identified(df: DataFrame, key: tuple[str, ...] = (), on_duplicate: OnDuplicate = "keep") -> DataFrame:
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
    ("on_duplicate", "reasons"), [("keep", [None] * 4), ("quarantine", [None, None, "duplicate_row", "duplicate_row"])]
)
def test_repeated_rows_are_kept_apart_or_set_aside(
    spark: SparkSession, on_duplicate: OnDuplicate, reasons: list[str | None]
) -> None:
    df = spark.createDataFrame([(1.0, "a")] * 3 + [(2.0, "b")], "x double, s string")
    found = identified(df, on_duplicate=on_duplicate).collect()
    assert sorted((row[REASON] for row in found), key=str) == sorted(reasons, key=str)
    assert len({row[ROW_ID] for row in found}) == 4


def test_rows_that_repeat_another_are_known_by_their_content(spark: SparkSession) -> None:
    df = spark.createDataFrame([(1.0, "a")] * 3 + [(2.0, "b")], "x double, s string")
    found = identified(df).groupBy("x").agg(F.countDistinct(CONTENT).alias("n"), F.min(CONTENT).alias("content"))
    assert [row["n"] for row in found.collect()] == [1, 1]
    assert identified(df).join(found, "x").where(f"{ROW_ID} = content").count() == 2  # the first of each keeps its id
    for others in (identified(df.distinct()), identified(df, on_duplicate="quarantine"), identified(df, ("x",))):
        assert CONTENT not in others.columns


def test_of_the_rows_of_a_key_one_is_kept_whatever_the_order(spark: SparkSession) -> None:
    df = spark.createDataFrame([(1, "a"), (1, "b"), (1, "c"), (2, "d")], "id int, s string")
    kept = {
        tuple(sorted(row["s"] for row in identified(rows, ("id",)).where(F.col(REASON).isNull()).collect()))
        for rows in (df.coalesce(1), df.repartition(3, "s"), df.orderBy(F.desc("s")))
    }
    assert len(kept) == 1
    assert identified(df, ("id",)).where(F.col(REASON) == "duplicate_key").count() == 2


def test_rows_of_a_key_that_are_equal_throughout_are_called_so_where_it_matters(spark: SparkSession) -> None:
    df = spark.createDataFrame(
        [(1, "a", "x"), (1, "a", "x"), (1, "a", "y"), (2, "b", "z")], "i int, j string, v string"
    )
    cases: dict[OnDuplicate, list[str | None]] = {
        "keep": ["duplicate_key", "duplicate_key", None, None],
        "quarantine": ["duplicate_key", "duplicate_row", None, None],
    }
    for on_duplicate, reasons in cases.items():
        found = [row[REASON] for row in identified(df, ("i", "j"), on_duplicate).collect()]
        assert sorted(found, key=str) == sorted(reasons, key=str)


def test_a_row_with_a_reason_neither_repeats_nor_is_repeated(spark: SparkSession) -> None:
    df = spark.createDataFrame(
        [(1, "a", "null_label"), (1, "b", None), (None, "c", "null_key:id"), (None, "d", "null_key:id")],
        f"id int, v string, {REASON} string",
    )
    found = {row["v"]: row[REASON] for row in with_row_id(df, ("id",), "quarantine").collect()}
    assert found == {"a": "null_label", "b": None, "c": "null_key:id", "d": "null_key:id"}


def test_the_id_does_not_depend_on_the_order_of_columns(spark: SparkSession) -> None:
    df = spark.createDataFrame([(1, "a", 0.5), (None, None, None)], "i int, `s.t` string, `x``y` double")
    other = df.select("`x``y`", "i", "`s.t`")
    assert [row[ROW_ID] for row in identified(df).collect()] == [row[ROW_ID] for row in identified(other).collect()]


def test_columns_of_every_type_make_an_id(spark: SparkSession) -> None:
    df = spark.sql(
        """
        SELECT map('k', id) AS m, array(id, NULL) AS a, named_struct('x', NULL, 'y', id) AS s, X'01' AS b,
          CAST(id AS decimal(30, 2)) AS d, current_date() AS t, id > 1 AS f FROM range(3)
        UNION ALL SELECT map('k', 0), array(NULL, 0), named_struct('x', 0, 'y', NULL), X'01', 0, current_date(), false
        """
    )
    assert identified(df).select(ROW_ID).distinct().count() == 4


def test_rows_that_differ_within_a_value_alone_are_no_duplicates(spark: SparkSession) -> None:
    moment = "2024-01-01 00:00:00.123456"
    row = (
        f"named_struct('t', TIMESTAMP'{moment}'), array(TIMESTAMP_NTZ'{moment}'), map('k', NULL), parse_json('[null]')"
    )
    changes = {f"{last}'{moment}": f"{last}'{moment[:-1]}7" for last in "PZ"} | {"NULL": "0", "[null]": "[]"}
    rows = [row, *[row.replace(before, after) for before, after in changes.items()]]
    df = spark.sql(" UNION ALL ".join(f"SELECT {row}" for row in rows)).toDF("s", "a", "m", "v")
    assert identified(df, on_duplicate="quarantine").where(F.col(REASON).isNotNull()).isEmpty()


def test_many_repeated_rows_are_told_apart_without_the_driver(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    df = spark.range(60).selectExpr("id % 20 AS a", "id % 4 AS b")
    expected = sorted(map(tuple, identified(df).select("a", "b", CONTENT, ROW_ID).collect()))
    monkeypatch.setattr("raresmith.spark.prepare.row_id.MOST_BROADCAST", 5)
    assert sorted(map(tuple, identified(df).select("a", "b", CONTENT, ROW_ID).collect())) == expected
    assert len({row[-1] for row in expected}) == 60


def test_a_table_of_one_row_over_and_over_keeps_its_rows(spark: SparkSession) -> None:
    df = spark.range(2_000).selectExpr("1.0D AS x", "'a' AS s")
    assert identified(df).select(ROW_ID).distinct().count() == 2_000
    assert identified(df, on_duplicate="quarantine").where(F.col(REASON).isNull()).count() == 1


@pytest.mark.parametrize("first", [0, -20_000, 2**62])
def test_one_repeat_among_numbers_of_a_sequence_is_found(spark: SparkSession, first: int) -> None:
    df = spark.range(first, first + 40_000, 1, 4).selectExpr("id", "'a' s")
    assert identified(df, ("id",)).where(F.col(REASON).isNotNull()).count() == 0
    twice = df.union(spark.range(first + 39_999, first + 40_000).selectExpr("id", "'b' s"))
    assert (
        identified(twice, ("id",)).groupBy(REASON).count().where(F.col(REASON) == "duplicate_key").collect()[0][1] == 1
    )


def test_a_table_without_repeats_is_not_shuffled(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(10).selectExpr("id", "id * 2 x").write.parquet(str(tmp_path / "t"))
    plan = identified(spark.read.parquet(str(tmp_path / "t")))._jdf.queryExecution().executedPlan().toString()
    assert "Exchange" not in plan
