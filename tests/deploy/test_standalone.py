"""The recipes of deploy/ on a real standalone cluster, with a worker that dies in between."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.deploy.small_run import DAY, noted_stages, write_config
from tests.deploy.standalone import ROOT, Cluster, kill_group, wait_for

from raresmith.cli import run_stages
from raresmith.config import load_config


def _probe(cluster: Cluster, folder: Path, *options: str | Path, opened_by: str = "spark") -> dict[str, Any]:
    job, found = ROOT / "tests" / "deploy" / "probe.py", folder / f"found-by-{opened_by}.json"
    cluster.run("spark-submit", "--master", cluster.url, *options, job, found, opened_by).finish()
    answer: dict[str, Any] = json.loads(found.read_text())
    return answer


@pytest.fixture(scope="module")
def shipped(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a job found whose session raresmith opened, on a configuration that asks for other settings."""
    # The probe needs no Delta jars, so these two must not name their classes.
    options = ("--conf", "spark.sql.extensions=", "--conf", "spark.sql.catalog.spark_catalog=")
    folder = tmp_path_factory.mktemp("shipped")
    return _probe(cluster, folder, "--py-files", cluster.package, *options, opened_by="raresmith")


def test_nodes_have_raresmith_only_where_it_is_shipped(
    cluster: Cluster, shipped: dict[str, Any], tmp_path: Path
) -> None:
    bare = _probe(cluster, tmp_path)
    assert (bare["driver"], bare["executors"]) == ("nowhere", ["nowhere"])
    assert shipped["executors"]
    for origin in [shipped["driver"], *shipped["executors"]]:
        assert origin.endswith("raresmith.zip/raresmith/__init__.py"), origin


def test_what_spark_submit_was_told_stands(cluster: Cluster, shipped: dict[str, Any]) -> None:
    assert shipped["spark.master"] == cluster.url
    assert shipped["spark.driver.memory"] == "1g"
    assert shipped["spark.sql.shuffle.partitions"] == "3"  # spark-defaults.conf, not the run's configuration
    assert shipped["spark.sql.session.timeZone"] == "UTC"  # what nobody told is ours


def test_every_stage_runs_on_the_cluster_with_torchrun_beside_it(finished: Path) -> None:
    noted = noted_stages(finished.parent / "warehouse")
    assert set(noted) == {"prepare", "oversample", "refine", "evaluate", "publish"}
    rows = {stage: note["row_counts"] for stage, note in noted.items()}
    assert rows["oversample"]["synthetic"] == rows["refine"]["refined"] > 0
    assert rows["publish"]["refined"] > 0


METHODS = {
    "smote": "",
    "adasyn": 'neighbors = "cells"\ncleaning = "tomek"',
    "imblearn": 'sampler = "BorderlineSMOTE"\ncell_rows = 1000',
}


def oversampling_by(method: str, finished: Path, folder: Path) -> Path:
    """A configuration that oversamples by a method, in a warehouse in which prepare is done."""
    config = write_config(folder, transactions=finished.parent / "transactions")
    settings = f'[oversample]\nmethod = "{method}"\n{METHODS[method]}\n'
    config.write_text(config.read_text().replace("[oversample]\n", settings).replace('"smote"', f'"{method}"'))
    for table in ("features", "encoder", "runs"):
        shutil.copytree(finished.parent / "warehouse" / table, folder / "warehouse" / table)
    return config


@pytest.fixture(scope="module")
def disturbed(cluster: Cluster, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By method the warehouse that an application oversampled in, which lost a worker meanwhile."""
    folder = tmp_path_factory.mktemp("disturbed")
    configs = [oversampling_by(method, finished, folder / method) for method in METHODS]
    job = ROOT / "tests" / "deploy" / "oversample_each.py"
    jars = ("--jars", cluster.delta_jars, "--py-files", cluster.package)
    command = cluster.run("spark-submit", "--master", cluster.url, *jars, job, DAY, *configs)
    for number, method in enumerate(METHODS, start=1):
        doomed = cluster.start_worker(2 + number)
        wait_for(lambda doomed=doomed: cluster.runs_python_on(doomed) or command.has_ended, "rows being made")  # type: ignore[misc]
        kill_group(doomed)
        wait_for(lambda number=number: command.said("oversampled:") == number or command.has_ended, method)  # type: ignore[misc]
        assert command.said("Lost executor") == number, "the worker died too late to matter"
    command.finish()
    return {method: folder / method / "warehouse" for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_dies_during_oversample_changes_no_row(
    disturbed: dict[str, Path], finished: Path, spark: SparkSession, tmp_path: Path, method: str
) -> None:
    undisturbed = oversampling_by(method, finished, tmp_path)
    run_stages(load_config(undisturbed, DAY), ["oversample"])
    there, here = (noted_stages(folder)["oversample"] for folder in (disturbed[method], tmp_path / "warehouse"))
    assert there["content_hash"] == here["content_hash"]
    assert there["row_counts"] == here["row_counts"]
