"""What the configuration asks of the raw table is held against its columns before anything is written."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from raresmith.config import Config, parse_config
from raresmith.errors import ConfigError
from raresmith.spark.stages.preflight import check_columns

SCHEMA = "id BIGINT, amount DOUBLE, y INT"


def config(**sections: Any) -> Config:
    base = {"path": "/data/raw", "label": "y", **sections.pop("source", {})}
    return parse_config({"run": {"name": "r", "warehouse": "w"}, "source": base, **sections}, Path("/conf/a.toml"))


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
