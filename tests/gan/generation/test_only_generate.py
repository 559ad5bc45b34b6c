import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse
from tests.gan.ranks import Ranks
from tests.gan.test_train import SETTINGS, mixed, refined

from raresmith.cli import main as raresmith
from raresmith.gan.train import main
from raresmith.generators.registry import GENERATORS


@pytest.mark.parametrize("model", GENERATORS)
def test_the_saved_model_makes_the_rows_of_training_again_and_those_of_new_synthetic_rows(
    model: str, warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse(f'model = "{model}"\nsteps = 20', categorical=1)
    assert main([str(house.config_path)]) == 0
    first = refined(house)
    model_file = Path(house.table("models")) / "r" / "model.safetensors"
    written = model_file.stat().st_mtime_ns
    capsys.readouterr()
    assert main([str(house.config_path), "--only-generate"]) == 0
    assert refined(house) == first
    house.write_synthetic({1: 160})
    assert main([str(house.config_path), "--only-generate"]) == 0
    assert "step" not in capsys.readouterr().err
    assert model_file.stat().st_mtime_ns == written
    more = refined(house)
    assert len(more) == 160
    assert set(more["synthetic_row_id"].to_pylist()) == set(delta_rows(house.table("synthetic"))["row_id"].to_pylist())


def test_a_second_time_nothing_changes_and_it_is_said(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse("steps = 5")
    assert main([str(house.config_path)]) == 0
    house.write_synthetic({1: 60})
    assert main([str(house.config_path), "--only-generate"]) == 0
    version = DeltaTable(house.table("refined")).version()
    note = json.loads(DeltaTable(house.table("refined")).history()[0]["userMetadata"])
    runs = delta_rows(house.table("runs")).to_pandas().set_index("fingerprint")
    assert json.loads(runs.loc[note["fingerprint"], "row_counts"]) == {"refined": 60}
    DeltaTable(house.table("runs")).delete()  # as after a crash between the two commits
    capsys.readouterr()
    for door in (main, lambda argv: raresmith(["refine", *argv])):
        assert door([str(house.config_path), "--only-generate"]) == 0
        assert "60 refined · nothing changed" in capsys.readouterr().out
        assert DeltaTable(house.table("refined")).version() == version


def test_two_ranks_make_the_same_rows_as_one_and_classes_may_be_fewer(
    ranks: Callable[[int], Ranks], tmp_path: Path
) -> None:
    houses = [mixed(tmp_path / name) for name in ("one", "two")]
    for house in houses:
        house.configure(SETTINGS.replace("steps = 400", "steps = 20"))
    assert main([str(houses[0].config_path)]) == 0
    shutil.copytree(houses[0].table("models"), houses[1].table("models"))
    for house in houses:
        house.write_synthetic({2: 5000})  # of the two classes that the model makes the second
    assert main([str(houses[0].config_path), "--only-generate"]) == 0
    out = ranks(2).run("raresmith.gan.train", houses[1].config_path, "--only-generate")
    assert "5,000 refined" in out
    assert set(refined(houses[0])["label"].to_pylist()) == {2}
    assert refined(houses[0]) == refined(houses[1])


@pytest.mark.torchrun
def test_what_cannot_be_generated_is_refused_in_a_sentence(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    def said(house: Warehouse) -> str:
        for door in (main, lambda argv: raresmith(["refine", *argv])):
            assert door([str(house.config_path), "--only-generate"]) == 2
            err = capsys.readouterr().err
            (line,) = [line for line in err.splitlines() if line.startswith("raresmith: ")]
        return line

    house = warehouse("steps = 5", classes=("good", "bad", "worse"), real={0: 20, 1: 20, 2: 20})
    assert "there is no model in" in said(house)
    assert not DeltaTable.is_deltatable(house.table("refined"))
    assert main([str(house.config_path)]) == 0
    capsys.readouterr()

    house.write_synthetic({1: 5, 2: 5})
    assert "synthetic has rows of the classes [2] but the model in" in said(house)

    other = warehouse("steps = 5", numeric=4, classes=("good", "bad", "worse"), name="other")
    shutil.copytree(Path(house.table("models")) / "r", Path(other.table("models")) / "r")
    line = said(other)
    assert "was trained on rows that are encoded otherwise than now (columns: ['n3']); run refine" in line

    weights = Path(house.table("models")) / "r" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "is damaged: its digest" in said(house)
    (weights.parent / "model.json").write_text("{")
    assert "is damaged" in said(house)
    assert np.all(delta_rows(house.table("refined"))["label"].to_numpy() == 1)
