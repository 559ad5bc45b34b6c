"""What publish refuses before it writes."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from raresmith.config import parse_config
from raresmith.errors import ConfigError
from raresmith.spark.columns import raw_columns
from raresmith.spark.stages.context import Context
from raresmith.spark.stages.publish import check_names
from raresmith.tables.contracts import Table


def test_columns_are_called_as_they_were_on_the_days_before(spark: SparkSession, tmp_path: Path) -> None:
    run = {"name": "r", "warehouse": str(tmp_path), "incremental": True}
    document = {"run": run, "source": {"path": "raw", "label": "y"}, "publish": {"names": "safe"}}
    first, second = (
        Context(spark=spark, config=parse_config(document, Path("/conf/a.toml"), day))
        for day in ("2025-01-01", "2025-01-02")
    )
    raw, safe = (spark.sql(f"SELECT 1 AS `{name}`, 'r-2025-01-01' AS run_id") for name in ("a b", "a_b"))
    check_names(first, safe.schema)
    contract = Table(name="augmented", comment="rows", columns=raw_columns(raw.schema))
    first.write(raw, contract, first.run("publish", raw=1))
    check_names(first, safe.schema)  # no row of another day hangs on it
    check_names(second, raw.schema)
    with pytest.raises(ConfigError, match=r"publish.names is 'safe', but earlier .* without the columns \['a_b'\]"):
        check_names(second, safe.schema)
