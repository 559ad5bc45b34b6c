"""One small run, from the simulated table to the augmented one, that the tests of this folder read."""

import pytest
from pyspark.sql import SparkSession
from tests.deploy.small_run import DAY, write_config

from raresmith.cli import run_stages
from raresmith.config import Config, load_config
from raresmith.tables.stage_report import STAGES


@pytest.fixture(scope="session")
def finished_run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The configuration of a run whose stages are all done; leave its tables as they are."""
    config = load_config(write_config(tmp_path_factory.mktemp("finished")), DAY)
    run_stages(config, STAGES)
    return config
