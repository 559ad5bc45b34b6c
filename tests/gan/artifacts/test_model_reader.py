"""A model whose files were changed and signed again is refused in a sentence, or makes rows that its schema allows."""

import copy
import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from tests.gan.conftest import CODES, Warehouse

from raresmith.encoding.decode import encoded_inner
from raresmith.encoding.encoder import CategoricalFeature, Encoder, Label, NumericFeature
from raresmith.errors import RaresmithError
from raresmith.gan.artifacts.checkpoint import _digest
from raresmith.gan.artifacts.model_reader import read_model
from raresmith.gan.folder import Copied
from raresmith.gan.generation.output import write_output
from raresmith.gan.generation.sampler import Sampler
from raresmith.gan.train import main
from raresmith.generators.sample_request import SampleRequest

CPU = torch.device("cpu")
RAW = {
    "id": "long", "x": "double", "cents": "double", "n": "integer", "big": "long", "m": "decimal(10,2)", "d": "date",
    "t": "timestamp", "f": "float", "c": "string", "b": "boolean", "k": "short", "y": "integer",
    "memo": {"type": "array", "elementType": "string", "containsNull": True},
    "odd": {"type": "struct", "fields": [{"name": "a", "type": "string", "nullable": True, "metadata": {}}]},
}  # fmt: skip


def number(name: str, kind: str, low: float, high: float, step: float, **more: Any) -> NumericFeature:
    values: dict[str, Any] = {
        "name": name, "source": name, "type": kind, "transform": "linear", "center": low / 2 + high / 2,
        "scale": high / 6 - low / 6, "low": low, "high": high, "step": step, "impute": low, "storage": "double",
        "encoded_low": 0.0, "encoded_high": 0.0, **more,
    }  # fmt: skip
    feature = NumericFeature(**values)
    ends = [encoded_inner(feature, x) for x in (low, high)]
    return dataclasses.replace(feature, encoded_low=ends[0], encoded_high=ends[1])


def encoder_of_all_kinds() -> Encoder:
    log = {"transform": "log", "center": 2.0, "scale": 1.5}
    quantile = {"transform": "quantile", "knots": (0.0, 10.0, 100.0), "scores": (-3.0, 0.5, 3.0)}
    return Encoder(
        features=(
            number("x", "double", -5.0, 20.0, 0.0, state="x_is_null", outlier=1e12),
            number("cents", "double", 0.0, 99.99, 0.01, **log),
            number("n", "int", 0.0, 100.0, 1.0, **quantile),
            number("big", "bigint", 0.0, 1e6, 1.0, origin=10**17),
            number("m", "decimal(10,2)", 0.5, 1234.5, 0.1),
            number("d", "date", 10_000.0, 20_000.0, 1.0),
            number("t", "timestamp", 3.6e15, 3.6e9 * 1_000_100, 3.6e9),
            number("f", "float", 0.0, 1.0, 0.0, storage="float"),
            number("w", "double", 0.0, 1.0, 0.0, made=True),
            CategoricalFeature(
                name="c", source="c", type="string", categories=("=a", "b", "é", "d"), seen=CODES, other="z"
            ),
            CategoricalFeature(name="b", source="b", type="boolean", categories=("false", "true"), seen=(1, 2, 3)),
            CategoricalFeature(name="k", source="k", type="smallint", categories=("1", "5"), seen=(2, 3)),
            CategoricalFeature(
                name="x_is_null", source="", type="boolean", categories=("false", "true"), seen=(2, 3), made=True
            ),
        ),
        label=Label(name="y", type="int", classes=("3", "7", "9"), positive="9"),
        raw_schema=json.dumps(
            {
                "type": "struct",
                "fields": [{"name": n, "type": kind, "nullable": True, "metadata": {}} for n, kind in RAW.items()],
            }
        ),
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], bytes]]:
    """The card and the weights of small models that make all kinds of columns."""
    made = {}
    for name in ("gan", "redraw"):
        house = Warehouse(
            tmp_path_factory.mktemp(name), encoder_of_all_kinds(), f'model = "{name}"\nlatent = "noise"\nsteps = 2'
        )
        house.write_features({0: 60, 1: 50, 2: 40})
        house.write_synthetic({1: 20, 2: 20})
        assert main([str(house.config_path)]) == 0
        folder = Path(house.table("models")) / "r"
        card = json.loads((folder / "model.json").read_text())
        card["encoder"]["raw_schema"] = json.loads(card["encoder"]["raw_schema"])
        del card["sha256"]
        made[name] = card, (folder / "model.safetensors").read_bytes()
    return made


Place = tuple[str | int, ...]


def places(document: Any, path: Place = ()) -> Iterator[Place]:
    """Where the leaves and the containers of a document are."""
    if path:
        yield path
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield from places(value, (*path, key))


def value_at(document: Any, path: Place) -> Any:
    for key in path:
        document = document[key]
    return document


def changed(document: dict[str, Any], path: Place, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(document)
    value_at(other, path[:-1])[path[-1]] = value
    return other


FACTORS = (-1, 7, 0.1, 10, 1e9)
DEEP: Any = "string"
for _ in range(300):
    DEEP = {"type": "array", "elementType": DEEP, "containsNull": True}
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 10, 2**31, 2**53, 2**63, -(2**63), 10**17, 10**32, 10**400, 0.5, 0.01, 1e-7,
    1e-320, 3.6e9, 1e18, 1e30, 1e308, -1e308, math.nan, math.inf, -math.inf, "", "x", "id", "y", "1", "=cmd()", "a\nb",
    "a\x00b", "\ud800", "é", "double", "decimal(38,30)", "decimal(2,1)", "decimal(99,1)", "date", "binary", "variant",
    "numeric", "categorical", "quantile", "log", "x" * 5000, [], [1], ["a"], [[]], {}, {"a": 1}, DEEP,
)  # fmt: skip
CHANGES: tuple[Callable[[Any], Any], ...] = (
    *(partial(lambda value, _: value, value) for value in VALUES),
    *(partial(lambda factor, old: old * factor if type(old) in (int, float) else str(old), x) for x in FACTORS),
    lambda old: [old, old],
    lambda old: old[:-1] if isinstance(old, (str, list)) else {"was": old},
    lambda old: old[::-1] if isinstance(old, (str, list)) else old,
)


def made(card: dict[str, Any], weights: bytes, output: Path) -> pa.Table | None:
    """The rows of the model, or None where it is refused in a sentence; whatever else is raised is a fault."""
    card = copy.deepcopy(card)
    if isinstance(card["encoder"], dict) and isinstance(card["encoder"].get("raw_schema"), dict):
        card["encoder"]["raw_schema"] = json.dumps(card["encoder"]["raw_schema"])
    document = json.dumps({**card, "sha256": _digest(json.loads(json.dumps(card)), weights)})
    files = Copied({"model.json": document.encode(), "model.safetensors": weights})
    try:
        sampler = Sampler(read_model(files, "somewhere", CPU), SampleRequest(num_samples=200))
        write_output(str(output), sampler.schema, sampler.blocks(0, 200))
    except RaresmithError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, error
        return None
    return pq.read_table(output)


def check(rows: pa.Table, card: dict[str, Any]) -> None:
    """Hold the rows against what the card says of its columns, by no code of ours."""
    encoder = card["encoder"]
    features = {feature["source"]: feature for feature in encoder["features"] if not feature.get("made", False)}
    fields = encoder["raw_schema"]["fields"]
    assert rows.column_names == [field["name"] for field in fields] and len(rows) == 200
    rows.validate(full=True)
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        label, classes = encoder["label"], [encoder["label"]["classes"][code] for code in card["classes"]]
        if name in card["key"] or name not in {*features, label["name"]}:
            assert column.null_count == len(rows)
        elif name == label["name"]:
            assert column.null_count == 0
            assert {*column.to_pylist()} <= {*as_type(column.type, classes)}
        elif (feature := features[name])["kind"] == "categorical":
            known = as_type(column.type, [*feature["categories"], feature["other"] or None])
            assert {*column.to_pylist()} <= {None, *known}
        else:
            assert feature["state"] or column.null_count == 0
            check_numbers(column.drop_null(), feature)


def as_type(kind: pa.DataType, texts: list[str | None]) -> list[Any]:
    values: list[Any] = pa.array(texts, pa.string()).cast(kind).to_pylist()
    return values


def check_numbers(column: pa.Array, feature: dict[str, Any]) -> None:
    low, high, step, origin = (feature[name] for name in ("low", "high", "step", "origin"))
    if pa.types.is_floating(column.type):
        assert all(map(math.isfinite, column.to_pylist()))
        slack = 1e-6 * max(abs(low), abs(high))
        assert all(low - slack <= x <= high + slack for x in column.to_pylist())
        return
    if pa.types.is_temporal(column.type):
        column = column.view(pa.int32() if pa.types.is_date(column.type) else pa.int64())
    grid = Fraction(step) if step >= 1 else Fraction(1, round(1 / Fraction(step)))
    ends = [(Fraction(end) + origin) * grid if origin is not None else Fraction(end) for end in (low, high)]
    slack = grid / 1000 + max(map(abs, ends)) / 2**50
    for x in {Fraction(x) for x in column.to_pylist()}:
        assert ends[0] - slack <= x <= ends[1] + slack and (x / grid).denominator == 1


def test_the_models_as_they_are_make_rows_of_every_kind(
    models: dict[str, tuple[dict[str, Any], bytes]], tmp_path: Path
) -> None:
    for card, weights in models.values():
        rows = made(card, weights, tmp_path / "rows.parquet")
        assert rows is not None
        check(rows, card)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_card_is_refused_in_a_sentence_or_makes_rows_that_are_valid(
    data: st.DataObject, models: dict[str, tuple[dict[str, Any], bytes]], tmp_path: Path
) -> None:
    card, weights = models[data.draw(st.sampled_from([*models]))]
    path = data.draw(st.sampled_from([*places(card)]))
    other = changed(card, path, data.draw(st.sampled_from(CHANGES))(value_at(card, path)))
    rows = made(other, weights, tmp_path / "rows.parquet")
    if rows is not None:
        check(rows, other)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_weights_are_refused_in_a_sentence_or_make_rows_that_are_valid(
    data: st.DataObject, models: dict[str, tuple[dict[str, Any], bytes]], tmp_path: Path
) -> None:
    card, weights = models[data.draw(st.sampled_from([*models]))]
    tensors = load(weights)
    name = data.draw(st.sampled_from([*tensors]))
    factor = data.draw(st.sampled_from([math.nan, math.inf, 1e38, 1e15, -1e15, -1.0, 0.0]))
    tensors[name] = (tensors[name].double() * factor).to(tensors[name].dtype)
    rows = made(card, save(tensors), tmp_path / "rows.parquet")
    if rows is not None:
        check(rows, card)
