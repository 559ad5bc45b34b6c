"""Training through compiled networks."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from deltalake import write_deltalake
from safetensors.numpy import load_file
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse
from tests.gan.ranks import Ranks
from torch._dynamo.utils import counters

from raresmith.gan.launch import environment
from raresmith.gan.train import main
from raresmith.generators.registry import GENERATORS

SETTINGS = 'device = "cpu"\nsteps = 20\nvalidate_every = 0\nbatch_size = 16'


def trained(house: Warehouse) -> tuple[dict[str, np.ndarray], list[list[float]]]:
    """The weights and the losses."""
    folder = Path(house.table("models")) / "r"
    return load_file(folder / "model.safetensors"), json.loads((folder / "model.json").read_text())["losses"]


def twins(warehouse: Callable[..., Warehouse], *settings: str) -> list[Warehouse]:
    """Warehouses of the same rows."""
    houses = [warehouse(f"{SETTINGS}\n{more}", categorical=1, name=f"house{i}") for i, more in enumerate(settings)]
    for house in houses[1:]:
        write_deltalake(house.table("features"), delta_rows(houses[0].table("features")), mode="overwrite")
    return houses


@pytest.mark.parametrize("model", [model for model in GENERATORS if GENERATORS[model].can_compile])
def test_compiled_networks_train_as_they_do_uncompiled(
    model: str, warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    houses = twins(warehouse, f'model = "{model}"', f'model = "{model}"\ncompile = true')
    torch.compiler.reset()
    graphs = counters["stats"]["unique_graphs"]
    assert main([str(houses[0].config_path)]) == 0 and counters["stats"]["unique_graphs"] == graphs
    # The probe is the first graph.
    assert main([str(houses[1].config_path)]) == 0 and counters["stats"]["unique_graphs"] > graphs + 1
    assert "does not work" not in capsys.readouterr().err
    (eager, losses), (compiled, of_compiled) = (trained(house) for house in houses)
    np.testing.assert_allclose(of_compiled, losses, rtol=1e-4)
    assert eager.keys() == compiled.keys()
    for name, tensor in eager.items():
        np.testing.assert_allclose(compiled[name], tensor, atol=2e-3, err_msg=name)


def test_two_ranks_train_compiled_as_one_does(
    ranks: Callable[[int], Ranks], warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    houses = twins(warehouse, *2 * ['model = "gan"\ncompile = true'])
    assert main([str(houses[0].config_path)]) == 0
    pair = ranks(2)
    pair.run("raresmith.gan.train", houses[1].config_path)
    assert "does not work" not in capsys.readouterr().err + "".join(log.read_text() for log in pair.logs)
    (one, losses), (two, of_two) = (trained(house) for house in houses)
    np.testing.assert_allclose(of_two, losses, rtol=1e-4)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, atol=2e-3, err_msg=name)


def test_without_a_compiler_training_goes_on_and_it_is_said_in_a_line(
    warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    house = warehouse(f'{SETTINGS}\nmodel = "gan"\ncompile = true')
    nothing = {"PATH": str(tmp_path), "CXX": "", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "raresmith.gan.train", str(house.config_path)]
    done = subprocess.run(command, env=environment() | nothing, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line for line in done.stderr.splitlines() if "torch.compile does not work here" in line]
    assert len(said) == 1 and said[0].startswith("refine ") and said[0].endswith("; training is not compiled")
    assert "Traceback" not in done.stderr
    assert len(delta_rows(house.table("refined"))) == 100
