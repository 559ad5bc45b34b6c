"""Each Spark stage of a run: read tables, transform, write tables, report. A stage that is done does nothing again."""

from collections.abc import Callable

from pyspark.sql import SparkSession

from raresmith.config import Config
from raresmith.spark.stages.evaluate import evaluate_stage
from raresmith.spark.stages.oversample import oversample_stage
from raresmith.spark.stages.preflight import check
from raresmith.spark.stages.prepare import prepare_stage
from raresmith.spark.stages.publish import publish_stage
from raresmith.spark.stages.simulate import simulate_stage
from raresmith.tables.stage_report import StageReport

__all__ = ["SPARK_STAGES", "check"]

SPARK_STAGES: dict[str, Callable[[SparkSession, Config], StageReport]] = {
    "simulate": simulate_stage,
    "prepare": prepare_stage,
    "oversample": oversample_stage,
    "evaluate": evaluate_stage,
    "publish": publish_stage,
}
"""Every stage but refine, which runs under torchrun."""
