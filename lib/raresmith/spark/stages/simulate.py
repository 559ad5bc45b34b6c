"""simulate: the raw table of [simulate], unless something is there."""

import time

from pyspark.sql import SparkSession

from raresmith.config import Config
from raresmith.errors import ConfigError
from raresmith.spark.files import exists
from raresmith.spark.simulate.transactions import simulate
from raresmith.tables.stage_report import StageReport


def simulate_stage(spark: SparkSession, config: Config) -> StageReport:
    """Make the raw table at source.path, unless something is there."""
    started = time.monotonic()
    if config.simulate is None:
        raise ConfigError(f"{config.path} has no section [simulate]; add one that says how many rows to make")
    if exists(spark, config.source.path):
        return StageReport(stage="simulate", rows={config.source.path: config.simulate.rows}, unchanged=True)
    made = simulate(spark, config.simulate, config.run.random_state)
    writer = made.write.format(config.source.format)
    (writer.option("header", True) if config.source.format == "csv" else writer).save(config.source.path)
    rows = spark.read.format(config.source.format).load(config.source.path).count()
    return StageReport(stage="simulate", rows={config.source.path: rows}, seconds=time.monotonic() - started)
