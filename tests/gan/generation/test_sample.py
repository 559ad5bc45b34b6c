import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from deltalake import write_deltalake
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse
from tests.gan.ranks import Ranks
from tests.gan.test_train import mixed

from raresmith.cli import main
from raresmith.gan.artifacts.checkpoint import read_tensors, write_tensors
from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.folder import Disk
from raresmith.gan.generation.generate import BLOCK
from raresmith.gan.generation.output import write_output
from raresmith.gan.generation.sampler import Sampler
from raresmith.gan.train import main as refine
from raresmith.generators.registry import GENERATORS
from raresmith.generators.sample_request import SampleRequest

CPU = torch.device("cpu")
CLASSES = ("good", "bad", "worse")


def trained(warehouse: Callable[..., Warehouse], settings: str, **more: Any) -> Warehouse:
    house = warehouse(f"steps = 10\nbatch_size = 8\n{settings}", **more)
    assert refine([str(house.config_path)]) == 0
    return house


def folder_of(house: Warehouse) -> str:
    return f"{house.table('models')}/r"


def generated(source: object, output: Path, *words: str) -> pa.Table:
    assert main(["generate", str(source), "--num-samples", "300", "--output", str(output), *words]) == 0
    return pq.read_table(output)


@pytest.mark.parametrize(
    ("model", "latent"), [*((model, "noise") for model in GENERATORS), ("redraw", "synthetic"), ("vae", "synthetic")]
)
def test_rows_come_in_the_raw_schema_from_the_folder_alone_and_more_rows_begin_alike(
    model: str, latent: str, warehouse: Callable[..., Warehouse], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = trained(
        warehouse, f'model = "{model}"\nlatent = "{latent}"', categorical=2, classes=CLASSES,
        real={0: 50, 1: 40, 2: 20}, synthetic={1: 60, 2: 30},
    )  # fmt: skip
    folder = shutil.copytree(folder_of(house), tmp_path / "elsewhere")
    shutil.rmtree(house.folder)
    capsys.readouterr()
    rows = generated(folder, tmp_path / "few.parquet")
    assert "generate   300 made" in capsys.readouterr().out
    assert rows.schema.names == ["id", "n0", "n1", "n2", "c0", "c1", "memo", "class"]
    assert [str(rows.schema.field(name).type) for name in ("id", "n0", "c0", "class")] == [
        *("int64", "double", "string", "string")
    ]
    assert rows["id"].null_count == rows["memo"].null_count == 300
    assert set(rows["class"].to_pylist()) == {"bad", "worse"}
    for name in ("c0", "c1"):
        assert set(rows[name].to_pylist()) <= {None, "a", "b", "d"}  # None: the bucket of unseen values
    assert rows["n0"].null_count == 0 and np.abs(rows["n0"].to_numpy()).max() <= 3
    assert len(set(zip(rows["n0"].to_pylist(), rows["n1"].to_pylist(), strict=True))) > 250
    more = generated(folder, tmp_path / "more.parquet", "--num-samples", str(2 * BLOCK + 5))
    assert len(more) == 2 * BLOCK + 5 and more[:300] == rows
    assert generated(folder, tmp_path / "other.parquet", "--seed", "1") != rows


def test_a_model_that_starts_from_synthetic_rows_takes_those_of_the_run_each_once(
    warehouse: Callable[..., Warehouse], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = trained(warehouse, 'model = "gan"', synthetic={1: 350})
    rows = generated(house.config_path, tmp_path / "rows.parquet")
    refined = delta_rows(house.table("refined"))
    assert set(zip(*(rows[f"n{i}"].to_pylist() for i in (0, 1, 2)), strict=True)) < set(
        zip(*(refined[f"n{i}"].to_pylist() for i in (0, 1, 2)), strict=True)
    )
    words = ["--num-samples", "351", "--output", str(tmp_path / "x.csv")]
    assert main(["generate", str(house.config_path), *words]) == 2
    assert "makes one row of each synthetic row, of 1,048,576 at most" in (said := capsys.readouterr().err)
    assert "takes 350 of" in said and "where 351 rows are asked for; ask for fewer, make more of them" in said
    assert main(["generate", str(house.config_path), *words, "--where", "n0=1"]) == 2
    assert "cannot make rows for given columns" in capsys.readouterr().err
    assert main(["generate", folder_of(house), *words]) == 2
    assert "gan, small, from synthetic, needs the synthetic rows of its run" in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()


def test_a_file_in_the_root_is_written_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def opened(place: str) -> Disk:
        asked.append(place)
        return Disk(Path())

    monkeypatch.setattr("raresmith.gan.generation.output.open_folder", opened)
    for output in ("/x.json", "x.json", "a/x.json", "s3://b/x.json"):
        with pytest.raises(ValueError, match="no rows"):
            write_output(output.replace("json", "parquet"), pa.schema([]), raising())
    assert asked == ["/", ".", "a", "s3://b"]


def raising() -> Iterator[pa.RecordBatch]:
    raise ValueError("no rows")
    yield


@pytest.mark.parametrize("model", ["redraw", "vae"])
def test_others_go_through_the_synthetic_rows_again_with_other_draws(
    model: str, warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    house = trained(warehouse, f'model = "{model}"', categorical=1, synthetic={1: 30})
    rows = generated(house.config_path, tmp_path / "rows.parquet")
    from_noise = generated(folder_of(house), tmp_path / "noise.parquet")
    assert rows != from_noise
    assert len({tuple(row.values()) for row in rows.drop("memo").to_pylist()}) > 150
    house.write_synthetic({1: 30}, reverse=True)  # the same rows in another order
    assert generated(house.config_path, tmp_path / "again.parquet") == rows


def test_classes_have_their_shares_of_the_synthetic_rows_or_are_the_one_asked_for(
    warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    house = trained(
        warehouse, 'model = "vae"\nlatent = "noise"', classes=CLASSES, real={0: 20, 1: 20, 2: 20},
        synthetic={1: 80, 2: 20},
    )  # fmt: skip
    labels = generated(house.config_path, tmp_path / "all.parquet", "--num-samples", "10000")["class"].to_pylist()
    assert labels.count("worse") == pytest.approx(2000, abs=150)  # four deviations of a binomial are 160
    for source in (house.config_path, folder_of(house)):
        one = generated(source, tmp_path / "one.parquet", "--class", "worse")
        assert set(one["class"].to_pylist()) == {"worse"}
    house.configure('steps = 10\nmodel = "redraw"')
    assert refine([str(house.config_path)]) == 0
    one = generated(house.config_path, tmp_path / "one.parquet", "--class", "worse")
    assert set(one["class"].to_pylist()) == {"worse"}


def test_the_other_columns_follow_from_those_that_are_given(
    warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    house = warehouse('model = "redraw"\nsteps = 150', categorical=2, real={0: 50, 1: 400})
    features = delta_rows(house.table("features"))
    linked = features.set_column(features.schema.get_field_index("c1"), features.schema.field("c1"), features["c0"])
    n1 = pa.array(features["n0"].to_numpy().astype(np.float64))
    linked = linked.set_column(features.schema.get_field_index("n1"), features.schema.field("n1"), n1)
    write_deltalake(house.table("features"), linked, mode="overwrite")
    assert refine([str(house.config_path)]) == 0
    free = generated(folder_of(house), tmp_path / "free.parquet")
    assert 0.03 < free["c1"].to_pylist().count("b") / 300 < 0.4
    for source in (folder_of(house), house.config_path):
        rows = generated(source, tmp_path / "rows.parquet", "--where", "c0=b", "--where", "n0=1.2345678901234567")
        assert set(rows["c0"].to_pylist()) == {"b"} and set(rows["n0"].to_pylist()) == {1.2345678901234567}
        assert rows["c1"].to_pylist().count("b") / 300 > 0.8
        assert abs(rows["n1"].to_numpy().mean() - 1.23) < 0.3 < free["n1"].to_numpy().std()
        assert len(set(rows["n1"].to_pylist())) > 50


def test_rows_that_equal_a_train_row_are_made_anew_or_left_out_where_the_run_is_known(
    warehouse: Callable[..., Warehouse], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = trained(warehouse, 'model = "redraw"', numeric=0, categorical=3)
    seen = delta_rows(house.table("features")).to_pandas().query("split == 'train' and label == 1")
    values = {0: None, 2: "a", 3: "b", 5: "d"}
    train = {tuple(values[code] for code in row) for row in seen[["c0", "c1", "c2"]].to_numpy()}

    def rows_of(source: object) -> list[tuple[str | None, ...]]:
        rows = generated(source, tmp_path / "rows.parquet", "--where", "c0=a")
        return list(zip(*(rows[name].to_pylist() for name in ("c0", "c1", "c2")), strict=True))

    everything = rows_of(folder_of(house))
    copies = sum(row in train for row in everything)
    assert 0 < copies < 300 == len(everything)
    capsys.readouterr()
    rows = rows_of(house.config_path)
    assert not train & set(rows)
    assert 300 - copies < len(rows) < 300
    assert f"{len(rows)} made, {300 - len(rows)} equal to a train row, left out" in capsys.readouterr().out


def test_a_row_is_a_function_of_the_seed_and_its_number_alone(warehouse: Callable[..., Warehouse]) -> None:
    house = trained(warehouse, 'model = "redraw"', categorical=1)
    sampler = Sampler(load_model(folder_of(house), CPU), SampleRequest(num_samples=3 * BLOCK, seed=5))
    whole = pa.Table.from_batches(sampler.blocks(0, 3 * BLOCK))
    again = Sampler(load_model(folder_of(house), CPU), SampleRequest(num_samples=9, seed=5))
    for first in (2, 0, 1):
        part = pa.Table.from_batches(again.blocks(first * BLOCK, first * BLOCK + 100))
        assert part == whole[first * BLOCK :][:100]


def test_two_processes_make_the_same_file_as_one(ranks: Callable[[int], Ranks], tmp_path: Path) -> None:
    house = mixed(tmp_path / "house")
    house.configure('model = "redraw"\nsteps = 5\nlatent = "noise"\ndevice = "cpu"')
    assert refine([str(house.config_path)]) == 0
    words = ["generate", folder_of(house), "--num-samples", "10000", "--output"]
    assert main([*words, str(tmp_path / "one.csv")]) == 0
    said = ranks(2).run("raresmith.cli", *words, tmp_path / "two.csv")
    assert said.count("10,000 made") == 1
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert not list(tmp_path.glob("*.parts/*"))


def test_every_format_holds_the_same_rows_and_replaces_what_is_there(
    warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    house = trained(warehouse, 'model = "vae"\nlatent = "noise"', categorical=1)
    rows = generated(folder_of(house), tmp_path / "rows.parquet")
    for seed in ("1", "0"):
        for name in ("rows.csv", "table"):
            words = ["--num-samples", "300", "--seed", seed, "--output", str(tmp_path / name)]
            assert main(["generate", folder_of(house), *words]) == 0
    as_text = pyarrow.csv.ConvertOptions(column_types={"memo": pa.string(), "id": pa.int64()}, strings_can_be_null=True)
    text = pyarrow.csv.read_csv(tmp_path / "rows.csv", convert_options=as_text)
    assert text.drop("memo") == rows.drop("memo")
    assert delta_rows(str(tmp_path / "table")).to_pylist() == rows.to_pylist()


def test_rows_that_cannot_be_made_leave_what_is_there(
    warehouse: Callable[..., Warehouse], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = trained(warehouse, 'model = "vae"\nlatent = "noise"')
    generated(folder_of(house), tmp_path / "rows.parquet")
    kept = (tmp_path / "rows.parquet").read_bytes()
    tensors, card = read_tensors(Disk(Path(folder_of(house))), "model")
    tensors = {name: tensor * 1e30 if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    write_tensors(Disk(Path(folder_of(house))), "model", tensors, {k: v for k, v in card.items() if k != "sha256"})
    words = ["--num-samples", "5", "--output", str(tmp_path / "rows.parquet")]
    assert main(["generate", folder_of(house), *words]) == 2
    assert "vae, small, from noise, makes numbers that are not finite" in capsys.readouterr().err
    assert (tmp_path / "rows.parquet").read_bytes() == kept
    assert [path.name for path in tmp_path.glob("*") if path.is_file()] == ["rows.parquet"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--class", "good"), "--class is 'good' but the model makes the classes ['bad'] of 'class'"),
        (
            ("--where", "n0=1"),
            "vae, small, from noise, cannot make rows for given columns; train one of ['redraw'], which can",
        ),
        (("--where", "n9=1"), "the model has no column 'n9' that can be given"),
        (("--where", "n0"), "--where must be COLUMN=VALUE, got 'n0'"),
        (("--where", "n0=1", "--where", "n0=2"), "--where names ['n0'] more than once"),
        (("--num-samples", "0"), "--num-samples must be at least 1, got 0"),
        (("--seed", "-1"), "--seed must be in [0, 2^63), got -1"),
        (("--output", "rows.json"), "--output must end in .csv or .parquet, or name a folder for a Delta table, got"),
        (("--logical-date", "2025-01-01"), "--logical-date goes with a configuration"),
    ],
)
def test_a_request_that_cannot_be_is_refused_in_a_sentence(
    words: tuple[str, ...],
    sentence: str,
    warehouse: Callable[..., Warehouse],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    house = trained(warehouse, 'model = "vae"\nlatent = "noise"')
    capsys.readouterr()
    asked = ["--num-samples", "5", "--output", str(tmp_path / "x.csv"), *words]
    assert main(["generate", folder_of(house), *asked]) == 2
    said = capsys.readouterr().err
    assert said.startswith("raresmith: ") and sentence in said and said.count("\n") == 1
    assert not (tmp_path / "x.csv").exists()


def test_a_model_that_is_not_there_or_does_not_fit_is_refused(
    warehouse: Callable[..., Warehouse], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house, other = (warehouse('model = "redraw"\nsteps = 2', numeric=n, name=str(n)) for n in (2, 3))
    asked = ["--num-samples", "5", "--output", str(tmp_path / "x.csv")]
    for source in (str(house.config_path), str(tmp_path / "nowhere")):
        assert main(["generate", source, *asked]) == 2
        assert "there is no model in" in capsys.readouterr().err
    assert refine([str(house.config_path)]) == 0
    shutil.copytree(house.table("models"), other.table("models"))
    capsys.readouterr()
    assert main(["generate", str(other.config_path), *asked]) == 2
    assert "was trained on rows that are encoded otherwise than now (columns: ['n2'])" in capsys.readouterr().err
    house.write_synthetic({0: 9})
    assert main(["generate", str(house.config_path), *asked]) == 2
    assert "has no rows of the classes [1]; run oversample first" in capsys.readouterr().err


def test_names_that_delta_refuses_are_refused_before_a_row_is_made(
    warehouse: Callable[..., Warehouse], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = trained(warehouse, 'model = "vae"\nlatent = "noise"')
    folder = Path(folder_of(house))
    tensors, card = read_tensors(Disk(folder), "model")
    card = {key: value for key, value in card.items() if key != "sha256"}
    card["encoder"]["raw_schema"] = card["encoder"]["raw_schema"].replace('"memo"', '"a memo"')
    write_tensors(Disk(folder), "model", tensors, card)
    assert main(["generate", str(folder), "--num-samples", "5", "--output", str(tmp_path / "table")]) == 2
    assert "a Delta table cannot have the columns ['a memo']; let --output end in" in capsys.readouterr().err
    assert main(["generate", str(folder), "--num-samples", "5", "--output", str(tmp_path / "rows.csv")]) == 0
