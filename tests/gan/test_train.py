import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from safetensors.numpy import load_file
from tests.delta_rows import delta_rows
from tests.gan.conftest import CODES, Warehouse, make_encoder
from tests.gan.ranks import Ranks

from raresmith.errors import ConfigError
from raresmith.gan.artifacts import checkpoint
from raresmith.gan.data.tables import RowSource, last_change, newest_note
from raresmith.gan.ranks import start
from raresmith.gan.train import main
from raresmith.generators.registry import GENERATORS

SETTINGS = 'device = "cpu"\nsteps = 400\nvalidate_every = 90\ncheckpoint_every = 20\nbatch_size = 32'


def refined(warehouse: Warehouse) -> pa.Table:
    return delta_rows(warehouse.table("refined")).sort_by("row_id")


def weights(warehouse: Warehouse) -> dict[str, np.ndarray]:
    return dict(load_file(f"{warehouse.table('models')}/r/model.safetensors"))


def card(warehouse: Warehouse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{warehouse.table('models')}/r/model.json").read_text())
    return found


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, err[-3000:]
    return out, err


def mixed(folder: Path) -> Warehouse:
    """Two made classes, numbers and categories, more rows than a block; the same for every call."""
    made = Warehouse(folder, make_encoder(4, 2, ("a", "b", "c")), SETTINGS)
    made.write_features({0: 300, 1: 41, 2: 2}, validation={0: 400, 1: 150, 2: 50})
    made.write_synthetic({1: 3000, 2: 2500})
    return made


@pytest.fixture(scope="module")
def on_two_ranks(tmp_path_factory: pytest.TempPathFactory, torchrun: Callable[..., subprocess.Popen[str]]) -> Warehouse:
    warehouse = mixed(tmp_path_factory.mktemp("two"))
    out, _ = finished(torchrun(warehouse, 2))
    assert "5,500 refined" in out
    return warehouse


def test_every_synthetic_row_comes_back_valid_with_its_class_and_parent(on_two_ranks: Warehouse) -> None:
    rows, parents = refined(on_two_ranks), delta_rows(on_two_ranks.table("synthetic")).to_pandas()
    assert len(rows) == 5500
    by_parent = rows.to_pandas().set_index("synthetic_row_id")
    assert by_parent.index.is_unique
    assert (by_parent["label"] == parents.set_index("row_id")["label"].loc[by_parent.index]).all()
    assert len(set(rows["row_id"].to_pylist()) - set(parents["row_id"])) == 5500
    for name in ("c0", "c1"):
        assert set(rows[name].to_pylist()) <= set(CODES)
    for name in ("n0", "n1", "n2", "n3"):
        values = rows[name].to_numpy()
        assert np.abs(values).max() <= 3 and values.std() > 0
    assert set(rows["model"].to_pylist()) == {"gan, small, from synthetic"}
    assert set(rows["run_id"].to_pylist()) == {"r"}


@pytest.mark.parametrize(
    ("model", "accumulate", "world_size"),
    [*((model, 1, 2) for model in GENERATORS), ("gan", 3, 2), ("wgan_gp", 3, 2), ("gan", 1, 4), ("redraw", 1, 4)],
)
def test_several_ranks_train_and_choose_as_one_does_on_the_same_batches(
    model: str, accumulate: int, world_size: int, ranks: Callable[[int], Ranks], tmp_path: Path
) -> None:
    # Sums over several ranks round differently, and a GAN enlarges the difference step by step: so not too many.
    settings = SETTINGS.replace("steps = 400", "steps = 40").replace("validate_every = 90", "validate_every = 30")
    houses = [mixed(tmp_path / name) for name in ("one", "several")]
    for house in houses:
        house.configure(f'{settings}\nmodel = "{model}"\naccumulate = {accumulate}')
    assert main([str(houses[0].config_path)]) == 0
    ranks(world_size).run("raresmith.gan.train", houses[1].config_path)
    one, several = (card(house) for house in houses)
    assert one["loss_names"] == several["loss_names"] and len(one["losses"]) == 2
    np.testing.assert_allclose(one["losses"], several["losses"], rtol=1e-4)
    assert one["step"] == several["step"] and [look[0] for look in one["looks"]] == [30, 40]
    np.testing.assert_allclose(one["looks"], several["looks"], atol=0.01)
    for name, tensor in weights(houses[0]).items():
        np.testing.assert_allclose(weights(houses[1])[name], tensor, atol=0.02, err_msg=name)
    rows = refined(houses[1])
    assert len(rows) == 5500 and rows["n0"].to_numpy().std() > 0
    assert rows["row_id"] == refined(houses[0])["row_id"]


def test_a_killed_rank_goes_on_and_ends_with_the_same_weights_to_the_bit(
    on_two_ranks: Warehouse, torchrun: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    warehouse = mixed(tmp_path)
    process = torchrun(warehouse, 2, restarts=3)
    models = Path(warehouse.table("models")) / "r"
    deadline = time.monotonic() + 60
    while not list(models.glob("checkpoint-*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(rank_of(process.pid, 1), signal.SIGKILL)
    _, err = finished(process)
    assert "goes on from the checkpoint at step" in err
    expected = weights(on_two_ranks)
    for name, tensor in weights(warehouse).items():
        assert np.array_equal(tensor, expected[name]), name
    assert refined(warehouse) == refined(on_two_ranks)
    for noted in ("losses", "looks", "kept"):
        assert card(warehouse)[noted] == card(on_two_ranks)[noted]
    assert sorted(path.name for path in models.iterdir()) == ["model.json", "model.md", "model.safetensors", "staging"]
    assert list((models / "staging").iterdir()) == []


@pytest.mark.parametrize("validate_every", [0, 4, 5])
@pytest.mark.parametrize("model", GENERATORS)
def test_a_run_that_dies_after_each_checkpoint_ends_with_the_same_weights_and_looks(
    model: str,
    validate_every: int,
    warehouse: Callable[..., Warehouse],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = f'model = "{model}"\nsteps = 15\ncheckpoint_every = 5\nvalidate_every = {validate_every}'
    houses = [warehouse(settings, categorical=1, validation={0: 30, 1: 25}, name=name) for name in ("whole", "broken")]
    write_deltalake(houses[1].table("features"), delta_rows(houses[0].table("features")), mode="overwrite")
    save = checkpoint.save_checkpoint

    def save_and_die(*arguments: Any) -> NoReturn:
        save(*arguments)
        raise KeyboardInterrupt

    assert main([str(houses[0].config_path)]) == 0
    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkpoint, "save_checkpoint", save_and_die)
            main([str(houses[1].config_path)])
    assert main([str(houses[1].config_path)]) == 0
    said = capsys.readouterr().err
    assert "goes on from the checkpoint at step 5" in said and "goes on from the checkpoint at step 10" in said
    whole, broken = (weights(house) for house in houses)
    assert whole.keys() == broken.keys()
    for name, tensor in whole.items():
        assert np.array_equal(tensor, broken[name]), name
    whole, broken = (card(house) for house in houses)
    assert whole["losses"] == broken["losses"]
    assert [look[0] for look in whole.get("looks", [])] == {0: [], 4: [4, 8, 12, 15], 5: [5, 10, 15]}[validate_every]
    assert whole.get("looks") == broken.get("looks") and whole["step"] == broken["step"]


def rank_of(torchrun: int, rank: int) -> int:
    """Process id of a rank that a torchrun started."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == torchrun and f"\0RANK={rank}\0" in "\0" + (path / "environ").read_text():
                return int(path.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"torchrun {torchrun} has no rank {rank}")


def test_the_order_of_rows_in_files_changes_nothing(warehouse: Callable[..., Warehouse]) -> None:
    first, second = (warehouse(synthetic={1: 200}, name=name) for name in ("first", "second"))
    second.write_synthetic({1: 200}, reverse=True)
    write_deltalake(second.table("features"), delta_rows(first.table("features"))[::-1], mode="overwrite")
    for house in (first, second):
        assert main([str(house.config_path)]) == 0
    assert refined(first) == refined(second)


def test_the_table_is_one_commit_with_comments_constraints_and_the_run(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse()
    assert main([str(house.config_path)]) == 0
    table = DeltaTable(house.table("refined"))
    writes = [commit for commit in table.history() if commit["operation"] == "WRITE"]
    assert len(writes) == 1
    note = json.loads(writes[0]["userMetadata"])
    assert (note["run_id"], note["stage"]) == ("r", "refine")
    assert note["notes"]["numbers"] == 300
    fields = {field.name: field for field in table.schema().fields}
    assert [name for name, field in fields.items() if field.nullable] == ["synthetic_row_id"]
    assert all(field.metadata["comment"] for field in fields.values())
    assert str(fields["n0"].type.type) == "float" and str(fields["n1"].type.type) == "double"
    settings = table.metadata().configuration
    assert settings["delta.constraints.score_is_a_probability"] == "score >= 0 AND score <= 1"
    assert settings["raresmith.run_id"] == "r"
    bad = delta_rows(house.table("refined"))[:1].drop("score").append_column("score", pa.array([2.0]))
    with pytest.raises(Exception, match=r"violated|validation check"):  # as old and new delta-rs say
        write_deltalake(table, bad.select(list(fields)), mode="append")
    runs = delta_rows(house.table("runs")).to_pandas().iloc[0]
    assert (runs["stage"], json.loads(runs["row_counts"])) == ("refine", {"refined": 100})
    assert runs["fingerprint"] == note["fingerprint"]
    assert runs["content_hash"].endswith("-100")


def test_a_second_run_changes_nothing_and_says_so(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse()
    assert main([str(house.config_path)]) == 0
    versions = {name: DeltaTable(house.table(name)).version() for name in ("refined", "runs")}
    capsys.readouterr()
    assert main([str(house.config_path)]) == 0
    assert "100 refined · nothing changed" in capsys.readouterr().out
    assert versions == {name: DeltaTable(house.table(name)).version() for name in ("refined", "runs")}


def test_compaction_and_vacuum_of_the_tables_change_nothing_and_their_rows_are_still_read(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse()
    assert main([str(house.config_path)]) == 0
    for name in ("features", "synthetic"):
        half = delta_rows(house.table(name))
        write_deltalake(house.table(name), half[:50], mode="overwrite")
        write_deltalake(house.table(name), half[50:], mode="append")
    assert main([str(house.config_path)]) == 0
    version = DeltaTable(house.table("refined")).version()
    for name in ("features", "synthetic"):
        table = DeltaTable(house.table(name))
        assert table.optimize.compact()["numFilesRemoved"] == 2
        assert table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    capsys.readouterr()
    assert main([str(house.config_path)]) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert DeltaTable(house.table("refined")).version() == version
    house.configure("steps = 31")
    assert main([str(house.config_path)]) == 0
    assert len(refined(house)) == 100


def test_synthetic_rows_without_a_train_row_to_start_from_are_refused(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse('model = "redraw"\nsteps = 5')
    features = delta_rows(house.table("features"))
    is_parent = pa.array(features["row_id"].to_numpy() == house.train_ids[1][0])
    moved = pc.if_else(is_parent, "validation", features["split"])
    write_deltalake(house.table("features"), features.set_column(1, "split", moved), mode="overwrite")
    assert features.schema.names[1] == "split"
    assert main([str(house.config_path)]) == 2
    assert "has 3 rows whose base_row_id is no train row of their class in" in capsys.readouterr().err


def test_shards_that_another_run_of_the_same_name_left_are_not_taken(warehouse: Callable[..., Warehouse]) -> None:
    houses = [warehouse(name=name) for name in ("clean", "littered")]
    staging = Path(houses[1].table("models")) / "r" / "staging"
    staging.mkdir(parents=True)
    (staging / "00000000-rows-000000000000.parquet").write_bytes(b"another's")
    for house in houses:
        assert main([str(house.config_path)]) == 0
    assert refined(houses[0]) == refined(houses[1])
    assert list(staging.iterdir()) == []


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"2 processes were started on a machine of 1 GPUs.*nproc_per_node.* to 1"):
        start("auto")
    assert start("cpu").device.type == "cpu"


def test_new_synthetic_rows_are_refined_again(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse()
    assert main([str(house.config_path)]) == 0
    house.write_synthetic({1: 60})
    assert main([str(house.config_path)]) == 0
    assert len(refined(house)) == 60


def test_a_table_of_other_features_gets_the_new_columns_in_the_same_commit(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse(numeric=2)
    assert main([str(house.config_path)]) == 0
    version = DeltaTable(house.table("refined")).version()
    other = warehouse(numeric=3, categorical=1, name="other")
    for name in ("features", "synthetic", "encoder"):
        table = delta_rows(other.table(name))
        write_deltalake(house.table(name), table, mode="overwrite", schema_mode="overwrite")
    assert main([str(house.config_path)]) == 0
    table = DeltaTable(house.table("refined"))
    assert table.version() == version + 1
    fields = {field.name: field for field in table.schema().fields}
    assert {"n2", "c0"} <= fields.keys()
    assert [name for name, field in fields.items() if field.nullable] == ["synthetic_row_id"]
    assert fields["c0"].metadata["comment"]
    assert "delta.constraints.label_is_a_class" in table.metadata().configuration


def test_a_run_that_died_before_it_noted_itself_notes_the_same_and_makes_no_row_again(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse()
    assert main([str(house.config_path)]) == 0
    said = capsys.readouterr().out.split("\n")[1:]
    assert "numbers lay outside" in said[0]
    noted = delta_rows(house.table("runs")).drop(["seconds", "outputs"]).to_pylist()
    DeltaTable(house.table("runs")).delete()
    other = {"raresmith.run_id": "before"}
    DeltaTable(house.table("refined")).alter.set_table_properties(other, raise_if_not_exists=False)
    staging = Path(house.table("models")) / "r" / "staging"
    (staging / "rows-000000000000.parquet").touch()
    version = last_change(DeltaTable(house.table("refined"))).version
    assert main([str(house.config_path)]) == 0
    first, *others = capsys.readouterr().out.split("\n")
    assert "nothing changed" in first and others == said
    refined_table = DeltaTable(house.table("refined"))
    assert last_change(refined_table).version == version
    assert refined_table.metadata().configuration["raresmith.run_id"] == "r"
    assert list(staging.iterdir()) == []
    assert delta_rows(house.table("runs")).drop(["seconds", "outputs"]).to_pylist() == noted


def test_rows_that_the_saved_model_makes_name_the_settings_that_it_was_trained_by(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse("steps = 5")

    def trace() -> dict[str, Any]:
        note = newest_note(house.table("refined"))
        return {name: note[name] for name in ("fingerprint", "settings")}

    def trained() -> int:
        return (Path(house.table("models")) / "r" / "model.json").stat().st_mtime_ns

    assert main([str(house.config_path)]) == 0
    first, at = trace(), trained()
    assert {"refine.steps", "refine.model", "source.key"} < set(first["settings"])
    # As after a crash between the model and the commit of its rows.
    shutil.rmtree(house.table("refined"))
    DeltaTable(house.table("runs")).delete()
    assert main([str(house.config_path)]) == 0
    assert trace() == first and trained() == at
    house.configure("steps = 5\nmax_restarts = 0")
    assert main([str(house.config_path)]) == 0
    assert "nothing changed" in capsys.readouterr().out and trained() == at
    shutil.copytree(house.folder / "tables", house.folder / "before", ignore=shutil.ignore_patterns("models"))
    house.configure("steps = 6")
    assert main([str(house.config_path)]) == 0
    assert "nothing changed" not in capsys.readouterr().out and trained() > at
    # As after a crash between that model and its rows: those that are there were made by another one.
    for name in ("refined", "runs"):
        shutil.rmtree(house.table(name))
        shutil.move(house.folder / "before" / name, house.table(name))
    house.configure("steps = 5")
    at = trained()
    assert main([str(house.config_path)]) == 0
    assert "nothing changed" not in capsys.readouterr().out and trained() > at
    assert main([str(house.config_path)]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_noise_makes_rows_without_a_parent(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse('steps = 20\nlatent = "noise"')
    assert main([str(house.config_path)]) == 0
    rows = refined(house)
    assert len(rows) == 100
    assert rows["synthetic_row_id"].null_count == 100
    assert set(rows["model"].to_pylist()) == {"gan, small, from noise"}
    assert len(set(rows["n0"].to_pylist())) > 50


@pytest.mark.parametrize("settings", ['model = "redraw"', 'model = "vae"\nlatent = "noise"', 'latent = "noise"'])
def test_models_that_learn_nothing_from_synthetic_rows_do_not_read_their_features(
    settings: str, warehouse: Callable[..., Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = warehouse(f"{settings}\nsteps = 5\nvalidate_every = 0")
    read = []

    def batches(source: RowSource, names: Iterable[str], condition: str = "true") -> pa.RecordBatchReader:
        if source.base is None and "synthetic" in source.table.table_uri:
            read.append(list(names))
        return of_source(source, names, condition)

    of_source = RowSource.batches
    monkeypatch.setattr(RowSource, "batches", batches)
    assert main([str(house.config_path)]) == 0
    assert len(refined(house)) == 100
    assert read[0] == [] and len(read) == (1 if "redraw" in settings else 2)  # to count them, and to make rows of them


@pytest.mark.parametrize("model", GENERATORS)
def test_two_minority_rows_are_enough(model: str, warehouse: Callable[..., Warehouse]) -> None:
    comes_large = "architecture" in vars(GENERATORS[model].Parameters())
    settings = f'model = "{model}"\nsteps = 10\n' + 'architecture = "smotified"' * comes_large
    house = warehouse(settings, real={0: 10, 1: 2}, synthetic={1: 8})
    assert main([str(house.config_path)]) == 0
    assert len(refined(house)) == 8


@pytest.mark.parametrize("model", GENERATORS)
def test_no_synthetic_rows_make_an_empty_table_and_it_is_said(
    model: str, warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse(f'model = "{model}"', categorical=1, synthetic={})
    assert main([str(house.config_path)]) == 0
    assert "synthetic holds no rows, so there was nothing to refine" in capsys.readouterr().out
    assert len(refined(house)) == 0


def test_a_learning_rate_that_blows_up_is_refused_with_the_step(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse("steps = 300\nlearning_rate = 0.99\nbatch_size = 4", numeric=1)
    columns = delta_rows(house.table("features"))
    big = pa.array(np.where(columns["split"].to_numpy(zero_copy_only=False) == "train", 3e38, np.nan), pa.float32())
    write_deltalake(house.table("features"), columns.drop("n0").append_column("n0", big), mode="overwrite")
    assert main([str(house.config_path)]) == 2
    assert "no longer finite at step" in (said := capsys.readouterr().err)
    assert "refine.learning_rate, now 0.99" in said
    assert not DeltaTable.is_deltatable(house.table("refined"))


def test_a_class_without_train_rows_is_refused(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse(real={0: 30}, synthetic={1: 5})
    assert main([str(house.config_path)]) == 2
    assert "rows of the classes [1] but features has no train row of them" in capsys.readouterr().err


def test_a_missing_table_is_named(warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]) -> None:
    house = warehouse()
    (Path(house.table("synthetic")) / "_delta_log" / "00000000000000000000.json").unlink()
    assert main([str(house.config_path)]) == 2
    assert f"there is no Delta table at {house.table('synthetic')}" in capsys.readouterr().err
