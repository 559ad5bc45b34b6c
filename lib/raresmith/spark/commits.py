"""What Delta knows of a table without a query: its commits, from the files of its log, its properties and its schema.

Delta's own history and details are queries, which take longer than a small table's rows do. Source: the transaction
protocol of Delta, "Delta Log Entries" and "Commit Provenance Information".
"""

import json
import re
from collections.abc import Iterator

from py4j.java_gateway import JavaObject
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from raresmith.spark import files
from raresmith.tables.commits import Commit

_COMMIT = re.compile(r"\d{20}\.json")


def newest_first(spark: SparkSession, location: str) -> Iterator[Commit]:
    """The commits of the table at `location` of which its log still tells; each is read when it is asked for."""
    log = f"{location}/_delta_log"
    names = [name for name in files.names_in(spark, log) if _COMMIT.fullmatch(name)]
    for name in sorted(names, reverse=True):
        yield _read(spark, f"{log}/{name}", int(name.removesuffix(".json")))


def properties_of(spark: SparkSession, location: str) -> dict[str, str]:
    """The own properties of the table at `location`."""
    return dict(_table(spark, location).properties())


def logged_schema(spark: SparkSession, location: str) -> StructType:
    """Its schema as the log has it, with what the columns are called in the files."""
    return StructType.fromJson(json.loads(_table(spark, location).initialSnapshot().schema().json()))


def _read(spark: SparkSession, url: str, version: int) -> Commit:
    for line in files.lines_of(spark, url):
        # Spark tells first who made the commit, delta-rs may do so last.
        if '"commitInfo"' in line and (info := json.loads(line).get("commitInfo")) is not None:
            return Commit.of(version, info)
    return Commit.of(version, {})


def _table(spark: SparkSession, location: str) -> JavaObject:
    jvm, gateway = spark._jvm, spark.sparkContext._gateway
    assert jvm is not None and gateway is not None
    # Delta's catalog asks this of the thread, and a thread that Python began has none.
    jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(spark._jsparkSession)
    namespace = gateway.new_array(jvm.java.lang.String, 1)
    namespace[0] = "delta"
    catalog = spark._jsparkSession.sessionState().catalogManager().catalog("spark_catalog")
    return catalog.loadTable(jvm.org.apache.spark.sql.connector.catalog.Identifier.of(namespace, location))
