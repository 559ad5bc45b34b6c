"""The calendar features of a moment are those of the Handbook, whatever type the moment has."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from raresmith.spark.prepare.calendar_features import with_calendar

NAMES = ["weekend", "night", "hour", "weekday", "day"]


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
def test_weekend_and_night_begin_and_end_where_they_should(spark: SparkSession, kind: str) -> None:
    moments = {
        "2018-07-27 23:59:59": (False, False, 23, 4, 27),  # Friday
        "2018-07-28 00:00:00": (True, True, 0, 5, 28),
        "2018-07-29 06:59:59": (True, True, 6, 6, 29),
        "2018-07-30 07:00:00": (False, False, 7, 0, 30),
        None: (None, None, None, None, None),
    }
    df = spark.createDataFrame([(moment,) for moment in moments], "`t.x` string")
    done = with_calendar(df.withColumn("t.x", F.col("`t.x`").cast(kind)), NAMES, "t.x")
    assert [tuple(row)[1:] for row in done.collect()] == list(moments.values())
    assert [kind for _, kind in done.dtypes[1:]] == ["boolean", "boolean", "int", "int", "int"]


def test_a_date_is_its_midnight(spark: SparkSession) -> None:
    df = spark.sql("SELECT DATE'2018-07-28' AS t")
    assert [tuple(row)[1:] for row in with_calendar(df, NAMES, "t").collect()] == [(True, True, 0, 5, 28)]


def test_no_names_need_no_timestamp(spark: SparkSession) -> None:
    df = spark.range(1)
    assert with_calendar(df, [], "").columns == ["id"]
