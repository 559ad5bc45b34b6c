"""What the configuration asks of the raw table is held against its columns before anything is written."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as t

from raresmith.config import Config, parse_config
from raresmith.errors import ConfigError
from raresmith.spark.stages.preflight import check_columns

SCHEMA = "id BIGINT, amount DOUBLE, y INT"
WINDOW = {"entity": "id", "days": [7]}


def config(**sections: Any) -> Config:
    base = {"path": "/data/raw", "label": "y", **sections.pop("source", {})}
    return parse_config({"run": {"name": "r", "warehouse": "w"}, "source": base, **sections}, Path("/conf/a.toml"))


def with_columns(spark: SparkSession, more: str) -> t.StructType:
    return spark.createDataFrame([], f"{SCHEMA}, {more}").schema


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"source": {"label": "z"}}, "source.label names the column 'z', which .* lacks; its columns are"),
        ({"source": {"key": ["ID"]}}, "source.key names the column 'ID', which .* lacks; did you mean 'id'?"),
        ({"prepare": {"features": ["amonut"]}}, "prepare.features names .*did you mean 'amount'?"),
        ({"prepare": {"normalise_columns": {"amt": "log"}}}, "prepare.normalise_columns names the column 'amt'"),
        ({"source": {"timestamp": "amount"}}, "source.timestamp names 'amount' of type double; it must be"),
        ({"evaluate": {"entity": "card"}}, "evaluate.entity names the column 'card'"),
    ],
)
def test_a_column_that_the_table_lacks_is_named_with_its_key(
    spark: SparkSession, sections: dict[str, Any], message: str
) -> None:
    schema = spark.createDataFrame([(1, 2.5, 0)], SCHEMA).schema
    with pytest.raises(ConfigError, match=message):
        check_columns(config(**sections), schema)


@pytest.mark.parametrize(
    ("name", "sections", "why"),
    [
        ("Day", {"prepare": {"calendar": ["day"]}}, "prepare.calendar makes one"),
        ("ID_count_7D", {"prepare": {"windows": [WINDOW]}}, "prepare.windows makes one"),
        ("Origin", {}, "quarantine and augmented add one"),
        ("__row_id", {}, "names that begin with two underscores are raresmith's own"),
        ("__method", {}, "names that begin with two underscores are raresmith's own"),
        ("_malformed_record", {"source": {"format": "parquet"}}, "malformed records have one"),
    ],
)
def test_a_raw_column_called_as_one_that_is_added_is_refused_whatever_the_case(
    spark: SparkSession, name: str, sections: dict[str, Any], why: str
) -> None:
    source = {"timestamp": "at", "ignore": [name], **sections.pop("source", {})}
    with pytest.raises(ConfigError, match=rf"names are taken: '{name}' \({why}\); rename them in the table"):
        check_columns(config(source=source, **sections), with_columns(spark, f"at TIMESTAMP, `{name}` INT"))


def test_a_raw_column_called_as_a_feature_that_nobody_asked_for_is_taken(spark: SparkSession) -> None:
    more = "at TIMESTAMP, day INT, _row INT, amount_is_null INT"
    check_columns(config(source={"timestamp": "at"}), with_columns(spark, more))
