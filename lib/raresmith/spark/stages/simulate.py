"""simulate: the raw table of [simulate], unless something is there."""

import time
import uuid

from pyspark.sql import SparkSession

from raresmith.config import Config
from raresmith.errors import ConfigError
from raresmith.spark.files import exists, move_where_nothing_is
from raresmith.spark.simulate.transactions import simulate
from raresmith.tables.stage_report import StageReport


def simulate_stage(spark: SparkSession, config: Config) -> StageReport:
    """Make the raw table at source.path, unless something is there."""
    started = time.monotonic()
    if config.simulate is None:
        raise ConfigError(f"{config.path} has no section [simulate]; add one that says how many rows to make")
    path, there = config.source.path, {config.source.path: config.simulate.rows}
    if exists(spark, path):
        return StageReport(stage="simulate", rows=there, unchanged=True)
    made = simulate(spark, config.simulate, config.run.random_state)
    writer = made.write.format(config.source.format)
    # Aside, for a folder that is there counts as whole: neither a process that is killed nor another that begins at the
    # same time leaves or sees half of it.
    aside = f"{path.rstrip('/')}-{uuid.uuid4().hex}"
    (writer.option("header", True) if config.source.format == "csv" else writer).save(aside)
    if not move_where_nothing_is(spark, aside, path):
        return StageReport(stage="simulate", rows=there, unchanged=True)
    reader = spark.read.format(config.source.format)
    rows = (reader.option("header", True) if config.source.format == "csv" else reader).load(path).count()
    return StageReport(stage="simulate", rows={path: rows}, seconds=time.monotonic() - started)
