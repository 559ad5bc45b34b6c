import html
import io
import json
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse, make_encoder

from raresmith.errors import DataError
from raresmith.gan.artifacts.checkpoint import _digest, write_tensors
from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.data.rows import Rows
from raresmith.gan.data.tables import RowSource, read_table, train_rows
from raresmith.gan.folder import Disk
from raresmith.gan.generation.copies import read_train_rows
from raresmith.gan.generation.generate import blocks
from raresmith.gan.train import main
from raresmith.generators.registry import GENERATORS

CPU = torch.device("cpu")


def trained(warehouse: Callable[..., Warehouse], model: str, latent: str = "synthetic", **more: Any) -> Warehouse:
    house = warehouse(f'model = "{model}"\nlatent = "{latent}"\nsteps = 5\nbatch_size = 8', **more)
    assert main([str(house.config_path)]) == 0
    return house


@pytest.mark.parametrize("latent", ["synthetic", "noise"])
@pytest.mark.parametrize("model", GENERATORS)
def test_the_files_alone_make_the_rows_that_training_made(
    model: str, latent: str, warehouse: Callable[..., Warehouse], tmp_path: Path
) -> None:
    house = trained(
        warehouse, model, latent, categorical=2, real={0: 50, 1: 40, 2: 20}, synthetic={1: 60, 2: 30},
        classes=("good", "bad", "worse"),
    )  # fmt: skip
    expected = delta_rows(house.table("refined"))
    features = read_table(house.table("features"))
    real = train_rows(features, (1, 2))
    known = read_train_rows(real, house.encoder)
    start = RowSource(read_table(house.table("synthetic")))
    start = replace(start, base=real) if GENERATORS[model].starts_from_base else start
    synthetic = start.read(house.encoder.names)
    shutil.copytree(Path(house.table("models")) / "r", tmp_path / "elsewhere")
    shutil.rmtree(house.folder)
    saved = load_model(str(tmp_path / "elsewhere"), CPU)
    assert saved.called == f"{model}, small, from {latent}"
    assert saved.encoder == house.encoder
    representation = saved.model.representation
    numbers, positions = representation.split(synthetic, "t")
    rows = Rows(numbers, positions, torch.from_numpy(synthetic["label"] - 1).long())
    columns: dict[str, list[Any]] = {name: [] for name in representation.names}
    for _, made, *_ in blocks(saved.model, rows, synthetic["row_id"].astype(np.int64), known):
        for name, values in representation.columns(made).items():
            columns[name] += values.tolist()
    made_rows = sorted(zip(*columns.values(), strict=True))
    assert made_rows == sorted(zip(*(expected[name].to_pylist() for name in columns), strict=True))


@pytest.mark.parametrize("model", GENERATORS)
def test_no_train_row_is_in_the_files(model: str, warehouse: Callable[..., Warehouse]) -> None:
    house = trained(warehouse, model, numeric=4, real={0: 300, 1: 200})
    file = Path(house.table("models")) / "r" / "model.safetensors"
    data = file.read_bytes()
    features = delta_rows(house.table("features"))
    rows = np.stack([features[f"n{i}"].to_numpy().astype(np.float32) for i in range(4)], axis=1)
    rows = rows[np.isfinite(rows).all(axis=1)]
    assert len(rows) == 500
    assert not [row for row in rows if row[:2].tobytes() in data]
    # Nor anything else that has as many entries as rows.
    assert not [name for name, tensor in load_file(file).items() if {200, 300, 500} & {*tensor.shape}]


def test_the_page_says_what_the_model_was_made_of_and_what_it_holds(warehouse: Callable[..., Warehouse]) -> None:
    house = trained(warehouse, "redraw", categorical=1)
    page = (Path(house.table("models")) / "r" / "model.md").read_text()
    for text in (
        "# r: redraw, small, from synthetic",
        "| class = bad | 100 synthetic rows |",
        "| features | 0 |",
        "| synthetic | 0 |",
        "| model | redraw |",
        "| steps | 5 |",
        "masked loss, last",
        "No row of any table is inside.",
        "at most 32 real values of each token",
        "torch 2.",
        "raresmith generate FOLDER --num-samples 1000",
    ):
        assert text in page, text


def test_the_page_shows_names_and_classes_as_they_are_and_makes_nothing_of_them(
    warehouse: Callable[..., Warehouse],
) -> None:
    hostile = ["<img src=x onerror=alert(1)>", "[a](http://b)", "*b*|`c`", "_d_\n# e", "www.f.g", "is_fraud"]
    house = trained(
        warehouse, "redraw", classes=("good", *hostile), real=dict.fromkeys(range(7), 20),
        synthetic=dict.fromkeys(range(1, 7), 9),
    )  # fmt: skip
    page = (Path(house.table("models")) / "r" / "model.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| class = ")]
    shown = [row.removeprefix("| class = ").removesuffix(" | 9 synthetic rows |") for row in rows]
    assert [html.unescape(text) for text in shown] == hostile
    assert not re.findall(r"[^\w &#;]", "".join(shown)) and shown[-1] == "is_fraud"
    assert "&#95;d&#95;" in shown[3]


Damage = Callable[[Path, dict[str, Any], dict[str, torch.Tensor]], None]


def tensors_are(bytes_of: Callable[[dict[str, torch.Tensor]], bytes]) -> Damage:
    """Other bytes in place of the tensors, under a digest that vouches for them."""

    def damage(folder: Path, card: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        data = bytes_of(tensors)
        write_tensors(Disk(folder), "model", {}, card)
        document = json.loads((folder / "model.json").read_text())
        notes = {key: value for key, value in document.items() if key != "sha256"}
        (folder / "model.safetensors").write_bytes(data)
        (folder / "model.json").write_text(json.dumps({**notes, "sha256": _digest(notes, data)}))

    return damage


def card_has(**changes: Any) -> Damage:
    def damage(folder: Path, card: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        write_tensors(Disk(folder), "model", tensors, {**card, **changes})

    return damage


def feature_has(place: int, **changes: Any) -> Damage:
    def damage(folder: Path, card: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        card["encoder"]["features"][place].update(changes)
        write_tensors(Disk(folder), "model", tensors, card)

    return damage


def tensor_is(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Damage:
    def damage(folder: Path, card: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        changed = change(tensors.pop(name))
        more = {} if changed is None else {name: changed}
        write_tensors(Disk(folder), "model", {**tensors, **more}, card)

    return damage


def file_is(name: str, change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path, card: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def is_folder(name: str) -> Damage:
    def damage(folder: Path, *_: object) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def is_a_file(folder: Path, *_: object) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def pickled(tensors: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


SMALL = {"architecture": "small"}
PLACES, CODES = "conditionals.tokens.n_places", "conditionals.tokens.of_code"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder, *_: (folder / "model.json").unlink(), r"there is no model in .*model.json.* run refine"),
        (lambda folder, *_: (folder / "model.safetensors").unlink(), r"there is no model in .*model.safetensors"),
        (lambda folder, *_: shutil.rmtree(folder), "there is no model in"),
        (is_folder("model.json"), r"cannot be read \(.*Is a directory.*; name a folder that holds the files"),
        (is_folder("model.safetensors"), r"cannot be read \(.*Is a directory"),
        (is_a_file, r"cannot be read \(.*Not a directory"),
        (file_is("model.safetensors", lambda data: data[:-1]), "is damaged: its digest"),
        (file_is("model.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])), "is damaged: its digest"),
        (file_is("model.json", lambda data: data.replace(b'"high": 3.0', b'"high": 4.0', 1)), "is damaged: its digest"),
        (file_is("model.json", lambda data: data[:-9]), "is damaged: its JSON cannot be read"),
        (file_is("model.json", lambda data: b"[1, 2]"), "is damaged: its JSON cannot be read"),
        (file_is("model.json", lambda data: b"[" * 10**5), "is damaged: its JSON cannot be read"),
        (file_is("model.json", lambda data: b"\xff"), "is damaged: its JSON cannot be read"),
        (tensors_are(pickle.dumps), "holds no safetensors"),
        (tensors_are(pickled), "holds no safetensors"),
        (tensors_are(lambda _: b""), "holds no safetensors"),
        (tensors_are(lambda _: struct.pack("<Q", 2**62) + b"{}"), "holds no safetensors"),
        (tensors_are(lambda t: save(t).replace(b'"shape":[', b'"shape":[9', 1)), "holds no safetensors"),
        (card_has(format=3), "is of format 3 where 2 is expected"),
        (card_has(model="os.system"), r"has wrong values in model: 'os.system' is none of \['gan', 'redraw'"),
        (card_has(model=["redraw"]), r"has \['redraw'\] as model where a valid string is expected"),
        (card_has(model="gan", refine=SMALL), "lacks the tensors .* or has .*, which its card does not ask for"),
        (card_has(model="gan", refine={}), "has None as architecture where one of"),
        (card_has(model="gan", refine={"architecture": "huge"}), "has 'huge' as architecture where one of"),
        (card_has(refine=None), "has None as refine"),
        (card_has(latent=None), "has None as latent"),
        (card_has(token_sizes=[3]), "has tokens of 1 columns where its encoder has 4"),
        (card_has(token_sizes=[2**20] * 4), r"has the tensor conditionals.* where its card asks for"),
        (card_has(token_sizes=[2**30] * 4), "has sizes that no tensor can have"),
        (card_has(token_sizes=[2**62] * 4), "has 4611686018427387904 as token_sizes.0 where less than 2147483648"),
        (card_has(token_sizes=["3"]), "has '3' as token_sizes.0 where a valid integer is expected"),
        (card_has(classes=[0, 10**9], class_rows=[1, 1]), "has wrong values in its card: classes and class_rows"),
        (card_has(classes=[1, 0], class_rows=[1, 1]), "has wrong values in its card: classes and class_rows"),
        (card_has(random_state=-1), "has -1 as random_state where greater than or equal to 0"),
        (card_has(key="id"), "has 'id' as key where a valid array is expected"),
        (card_has(encoder={}), "has no encoder.features;"),
        (card_has(encoder=[7]), r"has \[7\] as encoder where an object is expected"),
        (feature_has(0, scale=0.0), "feature 'n0': scale must be above 0"),
        (feature_has(0, low="x"), "has 'x' as encoder.features.0.low where a valid number is expected"),
        (feature_has(0, name="n1"), "has wrong values in encoder: features must not be called alike"),
        (feature_has(0, encoded_high=-9.0), "ranges must not end below their start"),
        (feature_has(0, transform="eval"), "has 'eval' as encoder.features.0.transform where 'linear', 'log'"),
        (feature_has(0, transform="quantile", knots=[0, 1], scores=[1, 0]), "must rise in pairs"),
        (feature_has(3, seen=[0, 10**9]), "feature 'c0': seen must be rising codes"),
        (feature_has(3, seen=[]), "feature 'c0': seen must be rising codes"),
        (feature_has(3, kind="object"), r"has {.*} as encoder.features.3 \(Input tag 'object'"),
        (feature_has(3, seen=[0, 2, 3]), "has the tensor conditionals.tokens.of_code of"),
        (tensor_is("conditionals.pairs", lambda _: None), r"lacks the tensors \['conditionals.pairs'\]"),
        (tensor_is("conditionals.pairs", lambda t: t[1:]), r"has the tensor conditionals.pairs of \("),
        (tensor_is("conditionals.pairs", lambda t: t.double()), r"has the tensor conditionals.pairs of \("),
        (tensor_is("conditionals.gates", lambda t: t * torch.inf), "numbers that are not finite in the tensor cond"),
        (tensor_is("conditionals.first.bias", lambda t: t * torch.nan), "not finite in the tensor con"),
        (tensor_is("conditionals.tokens.edges", lambda t: t * torch.nan), "has tokens without a value"),
        (tensor_is(PLACES, lambda t: t + 99), "has tokens without a value"),
        (tensor_is(PLACES, lambda t: 0 * t), "has tokens without a value"),
        (tensor_is(CODES, lambda t: t + 999), "has tokens without a value"),
        (tensor_is(CODES, lambda t: t - 1), "has tokens without a value"),
        (tensor_is("conditionals.tokens.first", lambda t: t + 1), "has tokens without a value"),
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_model_is_refused_in_a_sentence(
    damage: Callable[[Path, dict[str, Any], dict[str, Any]], object], sentence: str, saved_redraw: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved_redraw, folder)
    load_model(str(folder), CPU)
    card = json.loads((folder / "model.json").read_text())
    card.pop("sha256")
    damage(folder, card, dict(load_file(folder / "model.safetensors")))
    with pytest.raises(DataError, match=sentence) as refused:
        load_model(str(folder), CPU)
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def saved_redraw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model; leave it as it is."""
    house = Warehouse(tmp_path_factory.mktemp("redraw"), make_encoder(3, 1), 'model = "redraw"\nsteps = 2')
    house.write_features({0: 50, 1: 40})
    house.write_synthetic({1: 20})
    assert main([str(house.config_path)]) == 0
    return Path(house.table("models")) / "r"
