"""The trainer started by Spark on the executors of a standalone cluster."""

import os
import signal
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake
from tests.delta_rows import delta_rows
from tests.deploy.standalone import Cluster, Command, wait_for
from tests.gan.conftest import Warehouse, make_encoder

from raresmith.gan.launch import launch

SETTINGS = 'model = "gan"\ndevice = "cpu"\nsteps = 400\nvalidate_every = 0\ncheckpoint_every = 25\nnproc_per_node = 2'
SHIPPED = ("--conf", "spark.executorEnv.PYTHONPATH=raresmith.zip")


def house(folder: Path) -> Warehouse:
    """The same for every call."""
    made = Warehouse(folder, make_encoder(3, 1), SETTINGS)
    made.write_features({0: 100, 1: 60})
    made.write_synthetic({1: 500})
    return made


def refined(warehouse: Warehouse) -> pa.Table:
    return delta_rows(warehouse.table("refined")).sort_by("row_id")


def on_executors(cluster: Cluster, warehouse: Warehouse) -> Command:
    return cluster.submit("refine_on_executors", warehouse.config_path, *SHIPPED)


def test_executors_of_which_one_dies_refine_as_torchrun_does(cluster: Cluster, tmp_path: Path) -> None:
    there, here = house(tmp_path / "there"), house(tmp_path / "here")
    command = on_executors(cluster, there)
    models = Path(there.table("models")) / "r"
    wait_for(lambda: [*models.glob("checkpoint-*.json")] or command.process.poll() is not None, "a checkpoint")
    os.kill(cluster.executors_of(cluster.workers[-1])[0], signal.SIGKILL)
    out = command.finish()
    assert "500 refined" in out
    assert "goes on from the checkpoint at step" in out, "the executor died too late to matter"
    launch(here.config)
    assert refined(there) == refined(here)
    assert "500 refined · nothing changed" in on_executors(cluster, there).finish()


def test_a_trainer_that_failed_is_no_success(cluster: Cluster, tmp_path: Path) -> None:
    warehouse = house(tmp_path)
    columns = delta_rows(warehouse.table("features"))
    bad = pa.array([float("inf")] * len(columns), pa.float32())
    write_deltalake(warehouse.table("features"), columns.drop("n0").append_column("n0", bad), mode="overwrite")
    command = on_executors(cluster, warehouse)
    assert command.process.wait(300) == 2
    said = [line for line in command.log.read_text().splitlines() if line.startswith("raresmith: ")]
    assert "column n0 of" in said[0] and "has null, NaN or infinite values" in said[0]
    assert "the trainer ended before its rows were written" in said[-1]
