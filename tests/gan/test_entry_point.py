"""A generator that another distribution brings: a file with what is known of it, and one with its networks."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse

from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.generation.sampler import Sampler
from raresmith.gan.ranks import Ranks
from raresmith.gan.train import refine
from raresmith.generators.base import Generator
from raresmith.generators.registry import GENERATORS
from raresmith.generators.sample_request import SampleRequest

CPU = torch.device("cpu")
BELLS = """
from dataclasses import dataclass

from raresmith.generators.base import Generator


class Bells(Generator):
    name = "bells"
    title = "A bell curve for each input"
    learning_rate = 0.05
    networks = "bells_networks:Networks"

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        width: float = 1.0
"""
NETWORKS = """
import torch
from bells import Bells
from torch import nn

from raresmith.gan.models.base import Model
from raresmith.gan.models.optimizer import adam


class Curves(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.mean, self.log_width = nn.Parameter(torch.zeros(inputs)), nn.Parameter(torch.zeros(inputs))

    def forward(self, rows):
        return (((rows - self.mean) / self.log_width.exp()).square() / 2 + self.log_width).sum(1)


class Networks(Model):
    spec = Bells
    losses = ("likelihood",)
    trained_alike = True

    def __init__(self, setting, parameters):
        self.width = parameters.width
        super().__init__(setting, {"curves": Curves(setting.representation.width)})

    def optimizer(self, network, learning_rate):
        return adam(network.parameters(), learning_rate, (0.9, 0.999))

    def rows(self, rows):
        return self.representation.join(rows.numbers, rows.positions)

    def step(self, batch):
        curves = self.parallel["curves"]
        return self.descend("curves", batch, lambda part: 2 * part.scale * curves(self.rows(part.real)).sum())[None]

    def generated(self, rows, counters):
        curves = self.networks["curves"]
        noise = self.noise(counters, self.representation.width)
        return self.activate(curves.mean + self.width * noise * curves.log_width.exp(), counters)

    def scores(self, made, classes):
        return torch.sigmoid(-self.networks["curves"](made))
"""


@pytest.fixture
def bells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Generator]]:
    (tmp_path / "bells.py").write_text(BELLS)
    (tmp_path / "bells_networks.py").write_text(NETWORKS)
    (tmp_path / "bells-1.dist-info").mkdir()
    (tmp_path / "bells-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bells\nVersion: 1\n")
    points = "[raresmith.generators]\nbells = bells:Bells\n"
    (tmp_path / "bells-1.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    vars(GENERATORS).pop("_brought", None)  # what distributions there are is looked up once in a process
    yield GENERATORS["bells"]
    vars(GENERATORS).pop("_brought", None)
    for name in ("bells", "bells_networks"):
        sys.modules.pop(name, None)


def test_it_is_trained_saved_and_sampled_by_its_name(
    bells: type[Generator], warehouse: Callable[..., Warehouse]
) -> None:
    house = warehouse('steps = 200\ndevice = "cpu"\nvalidate_every = 0', categorical=1)
    config = house.config.replaced(refine=house.config.refine.replaced(model="bells"))
    assert refine(config, Ranks(0, 1, CPU)).rows == {"refined": 100}
    rows = delta_rows(house.table("refined"))
    assert set(rows["model"].to_pylist()) == {"bells, small, from synthetic"}
    features = delta_rows(house.table("features")).to_pandas().query("split == 'train' and label == 1")
    assert abs(rows["n0"].to_numpy().mean() - features["n0"].mean()) < 0.4

    saved = load_model(f"{house.table('models')}/r", CPU)
    assert type(saved.model).__module__ == "bells_networks" and saved.card["refine"]["width"] == 1.0
    (batch,) = Sampler(saved, SampleRequest(num_samples=7)).blocks(0, 7)
    assert len(batch) == 7 and set(batch["c0"].to_pylist()) <= {"a", "b", "c", "d", None}


def test_the_configuration_is_read_where_there_is_no_torch(bells: type[Generator], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from raresmith.config import RefineConfig\n"
        "print(RefineConfig(model='bells', width=2.0).parameters.width)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "2.0\n"
