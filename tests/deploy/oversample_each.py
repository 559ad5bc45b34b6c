"""A job that oversamples by several configurations, each as soon as the cluster has a third executor again."""

import sys
import time

from pyspark.sql import SparkSession

from raresmith.cli import run_stages
from raresmith.config import load_config
from raresmith.spark.session import get_spark


def await_executors(spark: SparkSession, count: int) -> None:
    context = spark.sparkContext._jsc.sc()
    while context.getExecutorMemoryStatus().size() - 1 < count:  # the driver is one of them
        time.sleep(0.1)


if __name__ == "__main__":
    day, *paths = sys.argv[1:]
    for path in paths:
        config = load_config(path, day)
        await_executors(get_spark("oversample each", config.spark), 3)
        run_stages(config, ["oversample"])
        print("oversampled:", path, flush=True)
