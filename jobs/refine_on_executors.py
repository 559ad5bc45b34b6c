"""Train and refine on Spark's executors, of which refine.nproc_per_node each run a process: refined.

spark-submit --py-files raresmith.zip --conf spark.executorEnv.PYTHONPATH=raresmith.zip \\
  jobs/refine_on_executors.py --config /shared/handbook.toml

All executors see the configuration and the warehouse, and have the libraries of the extra `train`.
"""

from py4j.protocol import Py4JJavaError
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from raresmith.config import Config
from raresmith.errors import DataError
from raresmith.gan.data import tables
from raresmith.gan.stage import ledger
from raresmith.spark.jobs import run_job
from raresmith.tables.stage_report import StageReport


def refine_on_executors(_: SparkSession, config: Config) -> StageReport:
    """Do the stage by the trainer itself, one process for a task, all in one barrier stage."""
    if config.run.incremental:
        return StageReport(stage="refine", words=ledger.LEFT_OUT)
    run = tables.refine_run(config)
    if ledger.is_finished(config, run):
        return ledger.report(config, run, unchanged=True)
    distributor = TorchDistributor(
        num_processes=config.refine.nproc_per_node, local_mode=False, use_gpu=config.refine.device == "cuda"
    )
    logical_date = ("--logical-date", config.logical_date) if config.logical_date else ()
    for left in reversed(range(1 + config.refine.max_restarts)):
        try:
            # As a module, which ends as gloo wants it; TorchDistributor hands the words to torchrun as they are.
            distributor.run("-m", "raresmith.gan.train", str(config.path), *logical_date)
            break
        except Py4JJavaError:  # an executor was lost: Spark does not repeat a barrier stage that ends a job
            if left == 0:
                raise
    # It says nothing of processes that failed.
    if not ledger.is_finished(config, run):
        raise DataError(
            "the trainer ended before its rows were written; its own words stand above. If it refused nothing, submit "
            "it again: it goes on from its newest checkpoint"
        )
    return ledger.report(config, run)


if __name__ == "__main__":
    run_job("refine_on_executors", refine_on_executors)
