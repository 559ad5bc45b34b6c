"""The recipes of deploy/ on a real standalone cluster, with a worker that dies in between."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.standalone import ROOT, Cluster, kill_group, wait_for
from tests.deploy.small_run import noted_stages, write_config


def _probe(cluster: Cluster, *options: str | Path, argument: str = "") -> dict[str, Any]:
    job = ROOT / "tests" / "cluster" / "probe.py"
    out = cluster.run("spark-submit", "--master", cluster.url, *options, job, argument).finish()
    answer: dict[str, Any] = json.loads(out.split("probe: ")[1].splitlines()[0])
    return answer


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a run that went through undisturbed."""
    config = write_config(tmp_path_factory.mktemp("undisturbed"))
    for stage in ("simulate", "prepare", "oversample", "refine", "evaluate", "publish"):
        cluster.submit(stage, config).finish()
    return config


@pytest.fixture(scope="module")
def shipped(cluster: Cluster) -> dict[str, Any]:
    """What a job found whose session raresmith opened, on a configuration that asks for other settings."""
    # The probe needs no Delta jars, so these two must not name their classes.
    options = ("--conf", "spark.sql.extensions=", "--conf", "spark.sql.catalog.spark_catalog=")
    return _probe(cluster, "--py-files", cluster.package, *options, argument="opened by raresmith")


def test_nodes_have_raresmith_only_where_it_is_shipped(cluster: Cluster, shipped: dict[str, Any]) -> None:
    bare = _probe(cluster)
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
    rows = {stage: json.loads(row["row_counts"]) for stage, row in noted.items()}
    assert rows["oversample"]["synthetic"] == rows["refine"]["refined"] > 0
    assert rows["publish"]["refined"] > 0


def oversampling_of(finished: Path, folder: Path, settings: str) -> Path:
    """A configuration with more settings of [oversample], in a warehouse that has the features already."""
    config = write_config(folder, transactions=finished.parent / "transactions")
    text = config.read_text().replace("[oversample]\n", f"[oversample]\n{settings}\n")
    config.write_text(text.replace('"smote"', '"adasyn"') if "adasyn" in settings else text)
    for table in ("features", "encoder"):
        shutil.copytree(finished.parent / "warehouse" / table, folder / "warehouse" / table)
    return config


@pytest.mark.parametrize("settings", ["", 'method = "adasyn"\nneighbors = "cells"\ncleaning = "tomek"'])
def test_a_worker_that_dies_during_oversample_changes_no_row(
    cluster: Cluster, finished: Path, tmp_path: Path, settings: str
) -> None:
    warehouses = [finished.parent / "warehouse", tmp_path / "disturbed" / "warehouse"]
    if settings:
        undisturbed_config = oversampling_of(finished, tmp_path / "undisturbed", settings)
        cluster.submit("oversample", undisturbed_config).finish()
        warehouses[0] = undisturbed_config.parent / "warehouse"
    config = oversampling_of(finished, tmp_path / "disturbed", settings)
    doomed = cluster.start_worker(3)
    oversampling = cluster.submit("oversample", config)
    wait_for(lambda: cluster.runs_python_on(doomed) or oversampling.process.poll() is not None, "rows being made")
    kill_group(doomed)
    assert "Lost executor" in oversampling.finish(), "the worker died too late to matter"
    undisturbed, disturbed = (noted_stages(warehouse)["oversample"] for warehouse in warehouses)
    assert disturbed["content_hash"] == undisturbed["content_hash"]
    assert json.loads(disturbed["row_counts"]) == json.loads(undisturbed["row_counts"])
