"""A signal ends refine with torchrun and its ranks, and the same command goes on from the checkpoint."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tests.ended import ended_by, raresmith
from tests.gan.conftest import Warehouse, make_encoder
from tests.gan.ranks import Ranks

SETTINGS = (
    'device = "cpu"\nsteps = 400\nvalidate_every = 90\ncheckpoint_every = 20\nbatch_size = 32\nnproc_per_node = 2'
)


def house(folder: Path) -> Warehouse:
    """The same for every call."""
    made = Warehouse(folder, make_encoder(4, 2), SETTINGS)
    made.write_features({0: 300, 1: 200}, validation={0: 200, 1: 150})
    made.write_synthetic({1: 3000})
    return made


def weights(warehouse: Warehouse) -> dict[str, np.ndarray]:
    return dict(load_file(f"{warehouse.table('models')}/r/model.safetensors"))


def checkpoints(tables: Path) -> set[Path]:
    return set(tables.glob("models/r/checkpoint-*.json"))


def have_saved(tables: Path, before: set[Path], _: dict[int, str]) -> bool:
    return bool(checkpoints(tables) - before)


def test_signals_end_the_command_with_its_ranks_and_the_same_command_ends_with_the_same_weights(
    ranks: Callable[[int], Ranks], tmp_path: Path
) -> None:
    undisturbed, warehouse = house(tmp_path / "undisturbed"), house(tmp_path / "house")
    tables = Path(warehouse.table("models")).parent
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = raresmith(tmp_path, "refine", warehouse.config_path)
        out, err = ended_by(number, process, partial(have_saved, tables, checkpoints(tables)))
        assert process.returncode == code and out == ""
        assert err.endswith(f"raresmith: ended by {number.name} in refine; the same command goes on from there\n")
        assert list(tmp_path.glob("raresmith-*")) == list(tables.glob("_*")) == []
    again = raresmith(tmp_path, "refine", warehouse.config_path)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0 and "goes on from the checkpoint at step" in err
    ranks(2).run("raresmith.gan.train", undisturbed.config_path)
    expected = weights(undisturbed)
    for name, tensor in weights(warehouse).items():
        assert np.array_equal(tensor, expected[name]), name
