"""Make rows in the raw schema by a saved model on Spark's executors, where there is no GPU node: a Delta table.

spark-submit --py-files raresmith.zip jobs/generate.py warehouse/models/cards --num-samples 1000000 --output frauds

The rows are those of `raresmith generate` for the same words. Driver and executors need torch and safetensors.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from functools import partial

import torch

from raresmith.config import SparkConfig
from raresmith.config.sections.run import local_path
from raresmith.errors import RaresmithError
from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.artifacts.saved_model import FILES
from raresmith.gan.folder import open_folder
from raresmith.gan.generation.generate import BLOCK
from raresmith.gan.generation.sampler import Sampler, make_blocks
from raresmith.generators.sample_request import add_arguments, request_of
from raresmith.log import RESULT, show
from raresmith.signals import ended_by_signals
from raresmith.spark.generate import rows_of_blocks
from raresmith.spark.publish.publish import raw_schema
from raresmith.spark.session import get_spark
from raresmith.spark.tables import overwrite

logger = logging.getLogger("raresmith.jobs.generate")


def main(argv: Sequence[str] | None = None) -> int:
    """Make the rows; return the exit code: 0, or 2 after one sentence that says what is wrong."""
    parser = argparse.ArgumentParser(prog="jobs/generate.py")
    parser.add_argument("model", type=local_path, metavar="MODEL_FOLDER", help="the folder of a saved model")
    add_arguments(parser)
    parser.add_argument("--output", type=local_path, required=True, metavar="PATH", help="the folder of a Delta table")
    arguments = parser.parse_args(argv)
    try:
        show()
        request = request_of(arguments)
        with ended_by_signals():
            saved = load_model(arguments.model, torch.device("cpu"))
            Sampler(saved, request)  # what cannot be made is refused here, and not by the tasks
            folder = open_folder(arguments.model)
            make = partial(make_blocks, {name: folder.read(name) for name in FILES}, request)
            spark = get_spark("generate", SparkConfig())
            rows = rows_of_blocks(spark, make, -(-request.num_samples // BLOCK), raw_schema(saved.encoder))
            overwrite(rows, arguments.output)
    except RaresmithError as error:
        logger.error("%s", error)
        return 2
    RESULT.info("generate   %s made\n           %s", f"{request.num_samples:,}", arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
