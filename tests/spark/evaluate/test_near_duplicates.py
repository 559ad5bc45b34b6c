"""Test rows that a train row shows already are counted."""

from pyspark.sql import SparkSession
from tests.spark.evaluate.test_evaluate import ENCODER

from raresmith.evaluation.verdict import NearDuplicates
from raresmith.spark.evaluate.near_duplicates import near_duplicates


def test_test_rows_equal_to_a_train_row_to_a_hundredth_are_counted_once(spark: SparkSession) -> None:
    rows = [
        ("train", 0, 1.0, -0.0, 2.0),
        ("train", 0, 1.001, 0.0, 2.0),
        ("train", 1, -2.5, 7.0, 3.0),
        ("test", 0, 1.002, 0.001, 2.0),  # as two train rows
        ("test", 2, -2.499, 7.004, 3.0),  # as one of another class
        ("test", 2, 1.0, 0.0, 3.0),  # of another category
        ("test", 0, 1.01, 0.0, 2.0),  # a hundredth away
        ("validation", 2, 1.0, 0.0, 2.0),
        ("test", 0, 1e30, 0.0, 2.0),  # out of all proportion
    ]
    features = spark.createDataFrame(rows, "split string, label int, a float, b float, c float")
    assert near_duplicates(features, ENCODER, 2) == NearDuplicates(rows=2, positive=1)
