"""A training that was begun by two ranks and is finished by one."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tests.gan.conftest import Warehouse, make_encoder

from raresmith.gan.launch import environment
from raresmith.gan.train import main

pytestmark = pytest.mark.torchrun

# A vae, whose weights, unlike those of two networks that compete, forget that sums were rounded otherwise.
SETTINGS = 'model = "vae"\ndevice = "cpu"\nsteps = 400\nvalidate_every = 0\ncheckpoint_every = 10\nbatch_size = 64'


def house(folder: Path) -> Warehouse:
    """The same for every call."""
    made = Warehouse(folder, make_encoder(4, 1), SETTINGS)
    made.write_features({0: 300, 1: 200})
    made.write_synthetic({1: 1000})
    return made


def weights(warehouse: Warehouse) -> dict[str, np.ndarray]:
    return dict(load_file(f"{warehouse.table('models')}/r/model.safetensors"))


def agent(warehouse: Warehouse, *options: str) -> subprocess.Popen[str]:
    """A torchrun that can be killed with all its ranks, as a machine that goes dark."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", *options),
            *("-m", "raresmith.gan.train", str(warehouse.config_path)),
        ],
        env={"GLOO_SOCKET_IFNAME": "lo", **environment()},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(machine: subprocess.Popen[str]) -> None:
    """All of it that still runs: torchrun gives each rank a session of its own."""
    family = {machine.pid}
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) in family:
                family.add(int(path.name))
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    machine.wait()


def wait_for_a_checkpoint(warehouse: Warehouse) -> None:
    models = Path(warehouse.table("models")) / "r"
    deadline = time.monotonic() + 120
    while not list(models.glob("checkpoint-*.json")):
        assert time.monotonic() < deadline, "there is no checkpoint"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    warehouse = house(tmp_path_factory.mktemp("undisturbed"))
    assert main([str(warehouse.config_path)]) == 0
    return weights(warehouse)


def expect_near(warehouse: Warehouse, undisturbed: dict[str, np.ndarray]) -> None:
    for name, tensor in weights(warehouse).items():
        np.testing.assert_allclose(tensor, undisturbed[name], atol=2e-3, err_msg=name)


def test_one_rank_finishes_what_two_began(
    undisturbed: dict[str, NDArray[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = house(tmp_path)
    warehouse.configure(f"{SETTINGS}\nnproc_per_node = 2")
    two = agent(warehouse, "--standalone", "--nproc-per-node", "2")
    wait_for_a_checkpoint(warehouse)
    kill(two)
    warehouse.configure(f"{SETTINGS}\nnproc_per_node = 1\nmax_restarts = 0")
    assert main([str(warehouse.config_path)]) == 0
    assert "goes on from the checkpoint at step" in capsys.readouterr().err
    expect_near(warehouse, undisturbed)


def test_a_node_that_is_lost_is_done_without(undisturbed: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    warehouse = house(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def node(is_host: int) -> subprocess.Popen[str]:
        waits = f"is_host={is_host},last_call_timeout=10,keep_alive_interval=1,keep_alive_max_attempt=3"
        return agent(
            warehouse,
            *("--nnodes", "1:2", "--nproc-per-node", "1", "--max-restarts", "3", "--local-addr", "127.0.0.1"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "r"),
            *("--rdzv-conf", waits),
        )

    stays, goes = node(1), node(0)
    try:
        wait_for_a_checkpoint(warehouse)
        kill(goes)
        _, err = stays.communicate(timeout=240)
    finally:
        kill(goes)
        kill(stays)
    assert stays.returncode == 0, err[-3000:]
    assert "goes on from the checkpoint at step" in err
    assert "Connection closed by peer" in err or "Connection reset" in err, "it trained alone from the start"
    expect_near(warehouse, undisturbed)
