"""The one Spark session of the tests."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from raresmith.config import SparkConfig
from raresmith.spark.session import get_spark


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    warehouse = str(tmp_path_factory.mktemp("spark-warehouse"))
    config = SparkConfig(
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=4,
        conf={"spark.ui.enabled": "false", "spark.sql.warehouse.dir": warehouse},
    )
    session = get_spark("tests", config)
    yield session
    session.stop()
