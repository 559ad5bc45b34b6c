"""The one Spark session of a process of tests, and what pytest is told of each test."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from raresmith.config import SparkConfig
from raresmith.spark.session import COMPILE_ALL, get_spark
from raresmith.spark.stages.small_tables import SETTINGS

settings.register_profile("raresmith", deadline=None)  # a busy machine is no fault
settings.load_profile("raresmith")

# The JVMs that tests start in processes of their own live for seconds, which Java's second compiler would take most of.
os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:MetaspaceSize=256m"

# The session's own goes through Spark's planner thousands of times, which pays for the second compiler, but only for
# what runs four times as often as Java waits for by itself: of the processor's time over four runs of all stages that
# compiler took a third, and takes a fifth so. Together the tests fill the usual memory for machine code, and what Java
# drops to make room it must compile again. Nor is all memory looked through each time that there are more classes.
JAVA_OPTIONS = f"""
{COMPILE_ALL} -XX:TieredStopAtLevel=4
-XX:Tier4InvocationThreshold=20000 -XX:Tier4MinInvocationThreshold=2400
-XX:Tier4CompileThreshold=60000 -XX:Tier4BackEdgeThreshold=160000
-XX:ReservedCodeCacheSize=384m -XX:MetaspaceSize=512m -XX:+UseSerialGC -Xms2g
"""

MARKED = {"jvm": {"spark", "after_a_kill"}, "torchrun": {"torchrun", "ranks"}}
"""By marker the fixtures that start what it stands for; `make test-fast` leaves these tests out."""

AWS_PARTS = ",".join(
    f"software.amazon.awssdk:{part}:2.35.4"
    for part in ("s3", "s3-transfer-manager", "sts", "apache-client", "url-connection-client")
)
"""The parts of Amazon's kit that S3A uses."""

SHARED = ("cluster", "finished_run", "ranks")
"""Fixtures of a whole session that are dear: the tests that want one go to the same process."""


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for marker, starters in MARKED.items():
            if starters & set(fixtures):
                item.add_marker(marker)
        shared = [name for name in SHARED if name in fixtures]
        item.add_marker(pytest.mark.xdist_group(shared[0] if shared else item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    config = SparkConfig(
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=4,
        conf={
            "spark.ui.enabled": "false",
            # What deploy/README.md asks for where a warehouse lies in S3.
            "spark.jars.packages": f"org.apache.hadoop:hadoop-aws:3.5.0,{AWS_PARTS}",
            "spark.jars.excludes": "software.amazon.awssdk:bundle",
            # As of small tables, which all are here.
            **{key: SETTINGS[key] for key in ("spark.databricks.delta.stats.skipping", "spark.sql.ui.explainMode")},
            "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("spark-warehouse")),
            "spark.driver.extraJavaOptions": " ".join(JAVA_OPTIONS.split()),
        },
    )
    # One process after the other fetches Delta's jars: Ivy's cache has no lock.
    with Path(tempfile.gettempdir(), "raresmith-tests-ivy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        session = get_spark("tests", config)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def delta_jars(spark: SparkSession) -> list[Path]:
    """What Spark needs for Delta alone, where the session's own jars hold S3's too."""
    fetched = spark.conf.get("spark.jars")
    assert fetched is not None
    jars = [Path(jar.removeprefix("file:")) for jar in fetched.split(",")]
    return [jar for jar in jars if jar.name.startswith(("io.delta_", "io.unitycatalog_", "org.roaringbitmap_"))]
