"""Which train rows are looked at, and what the raw table has of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.gan.conftest import make_encoder

from raresmith.checks.features import Beside, data_warnings
from raresmith.config import parse_config
from raresmith.encoding.encoder import Encoder
from raresmith.spark.prepare import looked_at as module
from raresmith.spark.prepare.looked_at import beside, some_train_rows
from raresmith.spark.prepare.prepare import prepare


def leaks(rows: DataFrame, encoder: Encoder) -> Mapping[str, float]:
    found = some_train_rows(rows, encoder, None)
    warnings = data_warnings(found, Beside(), encoder, n_rows=20_000, split=None, repeated=0)
    return {of["column"]: of["area"] for warning in warnings if warning.kind == "leak" for of in warning.found}


def test_some_rows_of_a_large_table_tell_what_all_do(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only rows past the first tell that n1 is no leak; a rare class and rows of other splits are in between.
    rows = spark.range(20_000).selectExpr(
        "id row_id", "int(id % 100 = 0) label", "if(id % 7 = 0, 'test', 'train') split",
        "label + 0.001 * (id % 10) n0",  # and n4 mistakes one row in 300, another number of them in other rows
        "if(id < 15000, label, 1 - label) + 0D n1", "if(split = 'test', 1 - label, label) + 0D n2",
        "pmod(id * 7919, 1000) / 1000 n3", "if(label = 1, 2, int(id % 2)) c0",
        "label + if(pmod(hash(id), 300) = 0, 2, 0) + 0.0001 * (id % 97) n4",
    )  # fmt: skip
    encoder = make_encoder(5, 1)
    expected = {"n0": 1.0, "n2": 1.0, "c0": 1.0}
    of_all = {**leaks(rows, encoder)}
    assert 0.99 < of_all.pop("n4") < 1 and of_all == expected
    monkeypatch.setattr(module, "_OTHERS", 300)
    of_some = leaks(rows, encoder)
    assert {name: area for name, area in of_some.items() if name != "n4"} == expected
    assert leaks(rows.repartition(7), encoder) == of_some


def test_of_rows_without_a_key_that_repeat_each_train_row_is_found_once(spark: SparkSession) -> None:
    raw = spark.range(400).selectExpr(
        "concat(id, '@example.org') mail", "id / 7 x", "int(id % 4 = 0) y", "concat('text ', id) text", "id count"
    )
    source: dict[str, Any] = {"path": "/data/raw", "label": "y", "ignore": ["mail", "count"]}
    document = {"run": {"name": "r", "warehouse": "w"}, "source": source, "prepare": {"max_categories": 20}}
    config = parse_config(document, Path("/conf/a.toml"))
    twice = raw.union(raw.where("count < 30"))
    prepared = prepare(twice, config)
    assert prepared.repeated == 30
    found = some_train_rows(prepared.features, prepared.encoder, prepared.split)
    of_raw = beside(twice, found, prepared.encoder, config)
    columns = {column.name: [*column.values] for column in of_raw.columns}
    # The texts are too many to be known by their codes; a copy has an id of its own, by which no raw row is found.
    assert {*columns} == {"mail", "text", "count"}
    assert len(columns["count"]) == len({*columns["count"]}) > 200
    train = prepared.features.where("split = 'train'").count()
    assert train - 30 <= len(columns["count"]) <= train
    assert columns["mail"] == [f"{count}@example.org" for count in columns["count"]]
    assert of_raw.is_positive is not None
    assert of_raw.is_positive.tolist() == [count % 4 == 0 for count in columns["count"]]
    assert not of_raw.days
