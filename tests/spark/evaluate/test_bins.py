"""Cuts where they matter, categories as sets."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.spark.evaluate.encoders import categorical, encoder_of, numeric

from raresmith.spark.evaluate.bins import Bins, fit_bins, with_vectors
from raresmith.spark.evaluate.classifiers.base import FEATURES
from raresmith.spark.evaluate.classifiers.random_forest import RandomForest


def test_the_sample_for_the_cuts_does_not_depend_on_the_partitions(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raresmith.spark.evaluate.bins.SAMPLE_CELLS", 0)  # the floor of 10,000 rows
    rows = spark.range(30_000).select(
        F.col("id").alias("row_id"),
        (F.col("id") % 97 == 0).cast("int").alias("label"),
        (F.pmod(F.xxhash64("id"), F.lit(10_007)) / 10_007).cast("float").alias("a"),
    )
    found = [
        fit_bins(rows.repartition(n), encoder_of(numeric("a")), positive=1, max_bins=32, random_state=5) for n in (1, 7)
    ]
    assert found[0] == found[1]
    assert 28 <= len(found[0].cuts["a"]) <= 31


def test_vectors_hold_bins_and_codes_and_say_which_is_which(spark: SparkSession) -> None:
    encoder = encoder_of(numeric("x"), categorical("c", 3), numeric("weight"))
    rows = spark.createDataFrame(
        [(1, 0, 0.5, 4.0, 9.0), (2, 1, 2.5, 2.0, 9.0)], "row_id long, label int, x float, c float, weight float"
    )
    vectors = with_vectors(rows, encoder, Bins(cuts={"x": (0.5, 1.0), "weight": ()}))
    assert vectors.columns == [*rows.columns, FEATURES]
    assert [list(row[FEATURES]) for row in vectors.orderBy("row_id").collect()] == [[1.0, 4.0, 0.0], [2.0, 2.0, 0.0]]
    attributes = vectors.schema[FEATURES].metadata["ml_attr"]["attrs"]
    assert attributes["numeric"] == [{"idx": 0, "name": "x"}, {"idx": 2, "name": "weight"}]
    assert attributes["nominal"] == [{"idx": 1, "name": "c", "num_vals": 5}]


def test_categories_beyond_max_bins_are_cut_like_numbers(spark: SparkSession) -> None:
    encoder = encoder_of(categorical("small", 6), categorical("large", 7))
    rows = spark.createDataFrame(
        [(i, i % 2, float(2 + i % 6), float(2 + i % 7)) for i in range(50)],
        "row_id long, label int, small float, large float",
    )
    bins = fit_bins(rows, encoder, positive=1, max_bins=8, random_state=0)
    assert list(bins.cuts) == ["large"]


def test_above_512_columns_a_forest_cuts_them_into_65536_bins_together() -> None:
    train = {n: encoder_of(*(numeric(f"v{i}") for i in range(n))) for n in (512, 1024, 40_000)}
    forest = RandomForest(RandomForest.Parameters(max_bins=128))
    assert [forest.bins(encoder) for encoder in train.values()] == [128, 64, 2]
