"""What Spark's tasks import is there on an executor that has raresmith's zip and the libraries that deploy/ names."""

import subprocess
import sys

import pytest

FROM_TASKS = (
    *(f"raresmith.spark.neighbors.{name}" for name in ("all_rows", "cell_exchange", "cell_stream", "table_search")),
    *(f"raresmith.spark.oversample.{name}" for name in ("oversample", "other_classes", "whole_cells")),
    *(f"raresmith.evaluation.{name}" for name in ("forest", "tree")),
    "raresmith.spark.evaluate.in_tasks",
    "raresmith.spark.publish.min_distance",
    "raresmith.gan.generation.sampler",
)
"""Modules whose functions are sent to tasks by name, and so imported there."""
BLOCKED = ("pydantic", "pydantic_core", "raresmith.config", "jinja2", "delta")


@pytest.mark.parametrize("module", FROM_TASKS)
def test_tasks_import_neither_configuration_nor_report(module: str) -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED})); import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
