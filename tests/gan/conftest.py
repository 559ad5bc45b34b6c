"""Small warehouses as prepare and oversample leave them, made by delta-rs: no JVM."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake
from numpy.typing import NDArray
from tests.gan.ranks import Ranks

from raresmith.config import Config, load_config
from raresmith.encoding.encoder import CategoricalFeature, Encoder, Feature, Label, NumericFeature
from raresmith.gan.data.tables import schema_of
from raresmith.gan.launch import environment
from raresmith.tables import contracts

CODES = (0, 2, 3, 5)
"""Codes that the train rows of a categorical feature have: a hole, and the bucket of unseen values."""


def make_encoder(numeric: int, categorical: int = 0, classes: tuple[str, ...] = ("good", "bad")) -> Encoder:
    numbers: list[Feature] = [
        NumericFeature(
            name=f"n{i}", source=f"n{i}", type="double", transform="linear", center=0.0, scale=1.0, low=-3.0, high=3.0,
            impute=0.0, step=0.0, storage="double" if i == 1 else "float", encoded_low=-3.0, encoded_high=3.0,
        )
        for i in range(numeric)
    ]  # fmt: skip
    codes: list[Feature] = [
        CategoricalFeature(name=f"c{i}", source=f"c{i}", type="string", categories=("a", "b", "c", "d"), seen=CODES)
        for i in range(categorical)
    ]
    label = Label(name="class", type="string", classes=classes, positive=classes[-1])
    memo = {"type": "array", "elementType": "string", "containsNull": True}
    raw = {"id": "long", **{f.name: f.type for f in (*numbers, *codes)}, "memo": memo, "class": "string"}
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in raw.items()]
    schema = json.dumps({"type": "struct", "fields": fields})
    return Encoder(features=(*numbers, *codes), label=label, raw_schema=schema)


def draw(encoder: Encoder, label: int, rows: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Feature values of `rows` rows of a class."""
    columns: dict[str, NDArray[Any]] = {}
    for i, feature in enumerate(encoder.features):
        if feature.kind == "numeric":
            values = np.clip(rng.normal(0.5 * label + 0.1 * i, 0.7, rows), feature.encoded_low, feature.encoded_high)
            columns[feature.name] = values.astype(np.float64 if feature.storage == "double" else np.float32)
        else:
            shares = (0.1, 0.6, 0.2, 0.1) if feature.seen == CODES else None
            columns[feature.name] = rng.choice(feature.seen, rows, p=shares).astype(np.float32)
    return columns


class Warehouse:
    """The tables that refine reads, and the configuration that reads them."""

    def __init__(self, folder: Path, encoder: Encoder, refine: str) -> None:
        self.folder, self.encoder = folder, encoder
        self.rng = np.random.default_rng(0)
        self.train_ids: dict[int, NDArray[np.int64]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.config_path = folder / "run.toml"
        self.configure(refine)
        self.write(
            "encoder", contracts.encoder(), {"run_id": ["r"], "document": [encoder.to_json()], "settings": ["{}"]}
        )

    def configure(self, refine: str) -> None:
        text = '[run]\nname = "r"\nwarehouse = "tables"\nrandom_state = 7\n[source]\npath = "x"\n'
        text += 'label = "class"\nkey = ["id"]\n'
        # The networks that learn from rows of every kind, and not what only counts them, unless a test says so.
        model = "" if "model" in refine else 'model = "gan"\n'
        self.config_path.write_text(f"{text}[refine]\n{model}{refine}\n")

    @property
    def config(self) -> Config:
        return load_config(self.config_path)

    def table(self, name: str) -> str:
        return str(self.folder / "tables" / name)

    def write(self, name: str, contract: contracts.Table, columns: dict[str, Any]) -> None:
        note = json.dumps({"fingerprint": "made by the test"})
        write_deltalake(
            self.table(name),
            pa.table(columns, schema=schema_of(contract)),
            mode="overwrite",
            commit_properties=CommitProperties(custom_metadata={"userMetadata": note}),
        )

    def write_features(self, rows: dict[int, int], validation: dict[int, int] | None = None) -> None:
        """`rows` train rows of each class, half as many of the test split, which nothing may read, and `validation`."""
        parts: list[dict[str, Any]] = []
        for label, n in rows.items():
            for split, count in (("train", n), ("test", n // 2), ("validation", (validation or {}).get(label, 0))):
                columns = draw(self.encoder, label, count, self.rng)
                if split == "test":
                    columns = {name: np.full_like(values, np.nan) for name, values in columns.items()}
                ids = self.rng.integers(-(2**62), 2**62, count)
                if split == "train":
                    self.train_ids[label] = ids
                parts.append({"row_id": ids, "split": np.full(count, split), "label": np.full(count, label), **columns})
        names = parts[0].keys()
        columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
        columns["run_id"] = np.full(len(columns["row_id"]), "r")
        self.write("features", contracts.features(self.encoder), columns)

    def write_synthetic(self, rows: dict[int, int], reverse: bool = False) -> None:
        """`rows` made rows of each class; `reverse` stores the same rows in another order."""
        rng = np.random.default_rng(1)
        parts: list[dict[str, Any]] = []
        for label, n in rows.items():
            ids = rng.integers(-(2**62), 2**62, n)
            base = {"base_row_id": np.resize(self.train_ids[label], n)} if label in self.train_ids else {}
            parts.append({"row_id": ids, "label": np.full(n, label), **base, **draw(self.encoder, label, n, rng)})
        total = sum(rows.values())
        columns: dict[str, Any] = {
            "base_row_id": np.arange(total),
            "neighbor_row_id": np.arange(total),
            "gap": np.full(total, 0.5),
            "method": np.full(total, "smote"),
            "run_id": np.full(total, "r"),
        }
        for name in parts[0] if parts else ("row_id", "label", *self.encoder.names):
            columns[name] = np.concatenate([part[name] for part in parts]) if parts else []
        if reverse:
            columns = {name: values[::-1] for name, values in columns.items()}
        self.write("synthetic", contracts.synthetic(self.encoder), columns)


@pytest.fixture
def warehouse(tmp_path: Path) -> Callable[..., Warehouse]:
    """Make a warehouse of `numeric` and `categorical` features with rows of each class."""

    def make(
        refine: str = "steps = 30",
        *,
        numeric: int = 3,
        categorical: int = 0,
        real: dict[int, int] | None = None,
        synthetic: dict[int, int] | None = None,
        validation: dict[int, int] | None = None,
        classes: tuple[str, ...] = ("good", "bad"),
        name: str = "house",
    ) -> Warehouse:
        made = Warehouse(tmp_path / name, make_encoder(numeric, categorical, classes), refine)
        made.write_features(real if real is not None else {0: 50, 1: 40}, validation)
        made.write_synthetic(synthetic if synthetic is not None else {1: 100})
        return made

    return make


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Ranks]]:
    """As many processes as are asked for, that do one job after another."""
    started: dict[int, Ranks] = {}

    def of(world_size: int) -> Ranks:
        if world_size not in started:
            started[world_size] = Ranks(world_size, tmp_path_factory.mktemp("ranks"))
        return started[world_size]

    yield of
    for group in started.values():
        group.stop()


@pytest.fixture(scope="session")
def torchrun() -> Callable[..., subprocess.Popen[str]]:
    """Start the trainer under a torchrun of its own."""

    def start(warehouse: Warehouse, processes: int, restarts: int = 0) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)),
                *("--max-restarts", str(restarts), "-m", "raresmith.gan.train", str(warehouse.config_path)),
            ],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
