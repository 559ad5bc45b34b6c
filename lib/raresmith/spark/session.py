"""The one place that opens Spark."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from raresmith.config import SparkConfig
from raresmith.config.sections.spark import OWN
from raresmith.errors import ConfigError
from raresmith.signals import end_driver, heard_here
from raresmith.spark.needs import EXCLUDED_PACKAGES, check_java, delta_package

COMPILE_ALL = "-XX:-DontCompileHugeMethods"
"""Java option of driver and executors; spark-submit's --driver-java-options for a driver that is started by it."""


def get_spark(name: str, config: SparkConfig) -> SparkSession:
    """The session that spark-submit started, or else a new one with Delta on `config.master`.

    Under spark-submit the master, the memory and the packages are its business, and what it was told stands, but for
    what rows depend on.
    """
    delta = {"spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension"}
    # The port of the JVM that spark-submit started; PySpark starts one of its own without it.
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    builder = SparkSession.builder.appName(f"raresmith {name}")
    if not submitted:
        check_java()
        # Executors must be this Python with these packages, not the system's.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.master(config.master).config("spark.driver.memory", config.driver_memory)
        builder = builder.config("spark.driver.extraJavaOptions", COMPILE_ALL)
        if not os.environ.get("RARESMITH_DELTA_JARS"):
            try:
                delta["spark.jars.packages"] = delta_package()
            except PackageNotFoundError:
                raise ConfigError("delta-spark is not installed; install raresmith[spark]") from None
            delta["spark.jars.excludes"] = EXCLUDED_PACKAGES
        else:
            delta["spark.jars"] = os.environ["RARESMITH_DELTA_JARS"]
        if config.master.startswith("local"):
            builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    settings = {
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": str(config.shuffle_partitions),
        # Delta's default of 50 tasks per table snapshot is for logs far larger than ours.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Delta's own queries would push ours out of the default of 100, to be compiled again at their next run.
        "spark.sql.codegen.cache.maxEntries": "1000",
        # It tries each alias of a column in each condition that it knows, which for a dozen columns can take minutes.
        "spark.sql.constraintPropagation.enabled": "false",
        # Above 8,000 bytes Java would not compile the method that Spark wrote of a query on some dozen columns, which
        # costs a factor of three to four.
        "spark.executor.extraJavaOptions": COMPILE_ALL,
        # PySpark would look up the calling line of every expression.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **beside(delta, config.conf),
    }
    if submitted:
        SparkContext._ensure_initialized()  # lets SparkConf see the options of spark-submit
        end_driver(int(SparkContext._jvm.java.lang.ProcessHandle.current().pid()))  # type: ignore[union-attr]
        told = SparkConf()
        settings = {key: value for key, value in settings.items() if not told.contains(key)}
    for key, value in {**settings, **OWN}.items():
        builder = builder.config(key, value)
    with heard_here():
        spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def beside(delta: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """Both settings; where both have a key, which are lists of packages, jars or extensions, what both name."""
    return {**delta, **told} | {key: f"{delta[key]},{told[key]}" for key in delta.keys() & told.keys()}


@contextmanager
def set_for(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """The session with `settings` that it does not have of itself, for as long: what Delta takes as no option."""
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key in settings:
            spark.conf.unset(key)
