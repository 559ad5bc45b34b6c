"""Spark's settings for tables so small that compiling and planning takes longer than their rows."""

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from raresmith.config import Config
from raresmith.errors import ConfigError, DataError
from raresmith.spark.files import size_up_to
from raresmith.spark.source.read import column_names

SMALL = 2 * 2**20
"""Bytes of a raw table up to which these settings are faster; at three times as many they no longer are."""
SMALL_COLUMN = SMALL // 16
"""The same a column, for tables of more than 16: each is code of its own."""
MOST_COLUMNS = 2048
"""Above so many columns' bytes none are counted."""

SETTINGS = {
    # Each query is new, and its code runs a few thousand times at most.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # Plans each stage of a query anew by the sizes of the one before, as a job of its own.
    "spark.sql.adaptive.enabled": "false",
    # For each condition on a table, plans a query of its own on what Delta knows of the files, which are few.
    "spark.databricks.delta.stats.skipping": "false",
    # Writes down each plan in full for a page that is open for seconds.
    "spark.sql.ui.explainMode": "simple",
}


@contextmanager
def settings_by_size(spark: SparkSession, config: Config) -> Iterator[None]:
    """Where the raw table is small, the session's settings are SETTINGS for as long; those that a user told stand."""
    keys = [key for key in SETTINGS if key not in config.spark.conf] if _is_small(spark, config) else []
    before = {key: spark.conf.get(key, None) for key in keys}
    for key in keys:
        spark.conf.set(key, SETTINGS[key])
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, value)


def _is_small(spark: SparkSession, config: Config) -> bool:
    # What simulate is about to make has no size yet, so it counts as large.
    try:
        size = size_up_to(spark, config.source.path, MOST_COLUMNS * SMALL_COLUMN)
        if not size:
            return False
        return size <= SMALL or size <= SMALL_COLUMN * len(column_names(spark, config.source))
    except (Py4JJavaError, DataError, ConfigError):
        return False  # who reads the raw table says what is wrong with it; not every stage does
