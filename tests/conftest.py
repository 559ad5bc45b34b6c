"""The one Spark session of a process of tests."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from raresmith.config import SparkConfig
from raresmith.spark.session import COMPILE_ALL, get_spark

FETCH = """
from raresmith.config import SparkConfig
from raresmith.spark.session import get_spark
get_spark("fetch", SparkConfig(master="local[1]", conf={"spark.ui.enabled": "false"})).stop()
"""


def pytest_configure(config: pytest.Config) -> None:
    """Fetch Delta's jars before several processes want them at once: Ivy's cache has no lock."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        subprocess.run([sys.executable, "-c", FETCH], check=True, capture_output=True)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    warehouse = str(tmp_path_factory.mktemp("spark-warehouse"))
    config = SparkConfig(
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=4,
        conf={
            "spark.ui.enabled": "false",
            "spark.sql.warehouse.dir": warehouse,
            # Thousands of small jobs: Java's second compiler costs more than it gains.
            "spark.driver.extraJavaOptions": f"{COMPILE_ALL} -XX:TieredStopAtLevel=1",
        },
    )
    session = get_spark("tests", config)
    yield session
    session.stop()
