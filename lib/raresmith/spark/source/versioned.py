"""Tables that know their versions, each read as it was at one of them; and those that Spark knows by a name."""

from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.spark.files import File, files_below, unescaped
from raresmith.spark.tables import current_version

FORMATS = ("delta", "iceberg", "table")
_OF_A_TABLE = ("Type", "Provider", "Location", "View Text")
"""What Spark tells of a table that makes it another when it changes."""


def read_versioned(spark: SparkSession, config: SourceConfig, version: int | None) -> DataFrame:
    """The table, as it was at `version` where there is one."""
    if config.is_named:
        at = "" if version is None else f" VERSION AS OF {version}"
        return spark.sql(f"SELECT * FROM {config.path}{at}")
    reader = spark.read.format(config.format)
    return (reader if version is None else reader.option("versionAsOf", version)).load(config.path)


def newest_version(spark: SparkSession, config: SourceConfig) -> int | None:
    """The newest version of a Delta table, or snapshot of an Iceberg table; None of a named table that is neither.

    Raises
    ------
    DataError
        If an Iceberg table has no snapshot, and so no rows.
    """
    if config.format == "delta":
        return current_version(spark, config.path)
    if config.format == "iceberg":
        return _newest_snapshot(spark.read.format("iceberg").load(f"{config.path}#history"), config.path)
    provider = _described(spark, config.path).get("Provider", "").lower()
    if provider == "iceberg":
        return _newest_snapshot(spark.table(f"{config.path}.history"), config.path)
    if provider == "delta":
        row = spark.sql(f"DESCRIBE HISTORY {config.path} LIMIT 1").first()
        return None if row is None else int(row["version"])
    return None


def is_known(spark: SparkSession, name: str) -> bool:
    """Whether Spark has a table or view of that name."""
    try:
        return spark.catalog.tableExists(name)
    except PySparkException:  # no name, or one of a catalog that is not there
        return False


def files_of(spark: SparkSession, name: str) -> list[File]:
    """The files that the table or view of that name is read from, as far as Spark tells them."""
    return [file for url in sorted(spark.table(name).inputFiles()) for file in files_below(spark, unescaped(url))]


def definition_of(spark: SparkSession, name: str) -> str:
    """What the table or view of that name is, apart from its rows."""
    described = _described(spark, name)
    return repr([spark.table(name).schema.simpleString(), *(described.get(key) for key in _OF_A_TABLE)])


def words(spark: SparkSession, config: SourceConfig) -> tuple[str, ...]:
    """What a person should know of how the named table of `config` is read."""
    if newest_version(spark, config) is not None:
        return ()
    known = "is seen by its files" if spark.table(config.path).inputFiles() else "goes unseen"
    return (f"{config.path} has no versions: a change of its rows {known}",)


def _described(spark: SparkSession, name: str) -> dict[str, Any]:
    return {row[0]: row[1] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()}


def _newest_snapshot(history: DataFrame, place: str) -> int:
    row = history.agg(F.max_by("snapshot_id", "made_current_at").alias("newest")).first()
    if row is None or row["newest"] is None:
        raise DataError(f"{place} has no rows")
    return int(row["newest"])
