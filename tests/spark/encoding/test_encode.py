"""Encoding is null-free and knows what train did not have."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.spark.encoding.examples import fitted, numbered

from raresmith.config import PrepareConfig
from raresmith.spark.columns import ROW_ID
from raresmith.spark.encoding.encode import encode


def test_encoded_columns_hold_no_null_and_the_indicator_marks_where_one_was(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(1.0, "a"), (None, None), (3.0, "b")], "x double, s string").coalesce(1))
    rows = [tuple(row)[1:] for row in encode(df, fitted(df, PrepareConfig())).orderBy("row_id").collect()]
    assert rows == [(pytest.approx(-1.0), 2.0, 2.0), (0.0, 1.0, 3.0), (pytest.approx(1.0), 3.0, 2.0)]


def test_standard_normalisation_has_mean_zero_and_deviation_one(spark: SparkSession) -> None:
    df = numbered(spark.range(1000).select((F.col("id") * 0.37 + 1e6).alias("x")))
    row = encode(df, fitted(df, PrepareConfig())).agg(F.avg("x"), F.stddev_pop("x")).first()
    assert row is not None
    assert tuple(row) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))


def test_a_category_that_train_did_not_have_gets_the_unseen_code(spark: SparkSession) -> None:
    train = numbered(spark.createDataFrame([("a",), ("b",)], "s string"))
    encoder = fitted(train, PrepareConfig())
    test = numbered(spark.createDataFrame([("c",), ("b",), (None,)], "s string").coalesce(1))
    assert [row["s"] for row in encode(test, encoder).orderBy("row_id").collect()] == [0.0, 3.0, 1.0]


def test_a_column_of_many_categories_is_coded_by_join_without_losing_a_row(spark: SparkSession) -> None:
    df = numbered(spark.range(300).select(F.concat(F.lit("k"), F.col("id") % 40).alias("s")))
    encoder = fitted(df, PrepareConfig())
    feature = encoder.features[0]
    assert feature.kind == "categorical"
    encoded = encode(df, encoder).orderBy("row_id").collect()
    raw = df.orderBy(ROW_ID).collect()
    assert len(encoded) == 300
    assert [feature.categories[int(row["s"]) - 2] for row in encoded] == [row["s"] for row in raw]


def test_constant_and_empty_columns_are_encoded_as_zero_distance(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(5.0, None), (5.0, None)], "c double, n double"))
    rows = encode(df, fitted(df, PrepareConfig())).select("c", "n").distinct().collect()
    assert [tuple(row) for row in rows] == [(0.0, 0.0)]
