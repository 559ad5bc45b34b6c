"""What the files in jobs/ share: arguments in, session, one stage, its line out."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from pyspark.sql import SparkSession

from raresmith.config import Config, load_config
from raresmith.errors import RaresmithError
from raresmith.log import RESULT, show
from raresmith.signals import during, ended_by_signals
from raresmith.spark.session import get_spark
from raresmith.tables.stage_report import StageReport

logger = logging.getLogger(__name__)


def run_job(name: str, stage: Callable[[SparkSession, Config], StageReport], argv: Sequence[str] | None = None) -> None:
    """Run `stage` as the configuration of the command line says; exit with 2 after one sentence if it cannot be."""
    parser = argparse.ArgumentParser(prog=f"jobs/{name}.py")
    parser.add_argument("--config", required=True, metavar="CONFIG", help="the TOML file that describes the run")
    parser.add_argument("--logical-date", default="", metavar="YYYY-MM-DD", help="the day that it is run for")
    arguments = parser.parse_args(argv)
    try:
        show()
        config = load_config(arguments.config, arguments.logical_date)
        with ended_by_signals(), during(name):
            RESULT.info(stage(get_spark(f"{name} {config.run_id}", config.spark), config))
    except RaresmithError as error:
        logger.error("%s", error)
        sys.exit(2)
