"""What leaves is valid: raw schema and units, real categories, whole integers, no copy of a real row."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.spark.evaluate.encoders import encoder_of, numeric

from raresmith.config import Config, parse_config
from raresmith.spark.incremental import with_earlier_originals
from raresmith.spark.prepare.prepare import Prepared, prepare
from raresmith.spark.prepare.rules import passed
from raresmith.spark.publish.publish import (
    ValidRows,
    as_originals,
    decode_made,
    valid_rows,
    without_copies,
)
from raresmith.tables.row_counts import TOO_CLOSE, UNREPAIRED

SCHEMA = "id bigint, card int, t timestamp_ntz, amount double, n int, kind string, `a.b` boolean, label string"


@pytest.fixture(scope="module")
def raw(spark: SparkSession) -> DataFrame:
    rows = [
        (
            i,
            i % 9,
            dt.datetime(2025, 1, 1) + dt.timedelta(hours=i),
            (i * 37 % 1000) / 100,
            i % 13,
            None if i % 11 == 0 else f"k{i % 4}",
            i % 2 == 0,
            "bad" if i % 5 == 0 else "good",
        )
        for i in range(200)
    ]
    return spark.createDataFrame(rows, SCHEMA)


@pytest.fixture(scope="module")
def config() -> Config:
    source = {"path": "/data/raw", "label": "label", "key": ["id"], "timestamp": "t", "ignore": ["card"]}
    return parse_config({"run": {"name": "r", "warehouse": "w"}, "source": source}, Path("/conf/a.toml"))


@pytest.fixture(scope="module")
def prepared(raw: DataFrame, config: Config) -> Prepared:
    return prepare(raw, config)


def made_from(prepared: Prepared, shift: float) -> DataFrame:
    """Feature rows of the minority with every number moved by `shift`, as a generator may move it."""
    code = prepared.encoder.label.classes.index("bad")
    numbers = [f.name for f in prepared.encoder.features if f.kind == "numeric"]
    rows = prepared.features.where((F.col("split") == "train") & (F.col("label") == code))
    moved = rows.withColumns({name: (F.col(name) + shift).cast("float") for name in numbers})
    return moved.withColumn("base_row_id", F.col("row_id")).withColumn("run_id", F.lit("r"))


def decoded(prepared: Prepared, raw: DataFrame, config: Config, shift: float) -> list[dict[str, Any]]:
    rows = decode_made(made_from(prepared, shift), passed(raw, config), prepared.encoder, config, "smote")
    assert rows.dtypes[: len(raw.columns)] == raw.dtypes
    return [row.asDict() for row in rows.collect()]


@pytest.mark.parametrize("shift", [0.3, 1e6, -1e6])
def test_made_rows_have_real_categories_whole_numbers_cents_and_train_ranges(
    prepared: Prepared, raw: DataFrame, config: Config, shift: float
) -> None:
    real = {row["id"]: row for row in raw.collect()}
    rows = decoded(prepared, raw, config, shift)
    assert len(rows) > 10
    for row in rows:
        parent = real[row["parent_row_id"]]
        assert row["id"] is None
        assert (row["card"], row["t"]) == (parent["card"], parent["t"])
        assert row["label"] == "bad"
        assert row["kind"] in (None, "k0", "k1", "k2", "k3")
        assert row["n"] in range(13)
        assert 0 <= row["amount"] <= 9.99
        assert round(row["amount"], 2) == row["amount"]


def test_a_made_row_that_did_not_move_is_left_out_as_a_copy(prepared: Prepared, raw: DataFrame, config: Config) -> None:
    originals = passed(raw, config)
    for shift, copies in ((0.0, True), (0.3, False)):
        rows = decode_made(made_from(prepared, shift), originals, prepared.encoder, config, "smote")
        assert (without_copies(rows, originals, prepared.encoder, config).count() == 0) is copies


def test_copies_are_found_among_thousands_of_columns(spark: SparkSession, config: Config) -> None:
    names = [f"v{i}" for i in range(2000)]
    fields = [{"name": name, "type": "double", "nullable": True, "metadata": {}} for name in names]
    raw_schema = json.dumps({"type": "struct", "fields": fields})
    encoder = replace(encoder_of(*map(numeric, names)), raw_schema=raw_schema)
    last = ", ".join(f"CAST(id AS DOUBLE) AS {name}" for name in names[2:])

    def rows(first: str) -> DataFrame:
        """Rows of v0, v1, and a number that all other columns have."""
        return spark.sql(f"SELECT v0, v1, {last} FROM VALUES {first} AS t(v0, v1, id)")

    originals = rows("(-0.0D, NULL, 0), (double('NaN'), 7.0D, 1)")
    copies = rows("(0.0D, CAST(NULL AS DOUBLE), 0), (double('NaN'), 7.0D, 1)")
    others = rows("(NULL, 0.0D, 0), (double('NaN'), 7.0D, 2)")
    assert without_copies(copies, originals, encoder, config).count() == 0
    assert without_copies(others, originals, encoder, config).count() == 2


def test_a_made_row_that_equals_one_of_an_earlier_day_is_a_copy_too(prepared: Prepared, raw: DataFrame) -> None:
    document = {
        "run": {"name": "r", "warehouse": "w", "incremental": True},
        "source": {"path": "/data/raw", "label": "label", "key": ["id"], "timestamp": "t", "ignore": ["card"]},
    }
    config = parse_config(document, Path("/conf/a.toml"), "2025-03-02")
    made = decode_made(made_from(prepared, 0.0), passed(raw, config), prepared.encoder, config, "smote")
    none_today = passed(raw, config).limit(0)
    for day, copies in (("2025-03-01", True), ("2025-03-03", False)):
        features = prepared.features.withColumn("run_id", F.lit(f"r-{day}"))
        originals = with_earlier_originals(none_today, features, prepared.encoder, config)
        assert (without_copies(made, originals, prepared.encoder, config).count() == 0) is copies


def configured(**publish: Any) -> Config:
    source = {"path": "/data/raw", "label": "label", "key": ["id"], "timestamp": "t", "ignore": ["card"]}
    document = {"run": {"name": "r", "warehouse": "w"}, "source": source, "publish": {"source": "smote", **publish}}
    return parse_config(document, Path("/conf/a.toml"))


def valid(prepared: Prepared, raw: DataFrame, config: Config, made: DataFrame) -> ValidRows:
    return valid_rows(made, passed(raw, config), prepared.features, prepared.encoder, config)


def test_a_row_that_repair_makes_a_copy_is_left_out_as_one(prepared: Prepared, raw: DataFrame, config: Config) -> None:
    # Every made row breaks it, and the base row's amount and n are all that tells it from the base row.
    made = made_from(prepared, 0.3)
    orders = configured(constraints={"orders": [["n", "amount"]]})
    as_made = decode_made(made, passed(raw, config), prepared.encoder, config, "smote")
    broken = as_made.where("n > amount").count()
    assert 0 < broken < as_made.count()
    kept_by_base = raw.where("n <= amount").select("id")
    copies = as_made.where("n > amount").join(kept_by_base, as_made["parent_row_id"] == kept_by_base["id"]).count()
    assert copies > 0
    found = valid(prepared, raw, orders, made)
    assert found.rows.where("n > amount").count() == 0
    assert found.rows.count() == found.n_made - broken
    assert found.left_out == {UNREPAIRED: broken - copies}
    counts = found.constraints["n ≤ amount"]
    assert (counts.broken, counts.repaired, counts.left_out) == (broken, copies, broken - copies)
    assert counts.originals == raw.where("n > amount").count()
    assert found.measures["constraints"]["n ≤ amount"]["broken"] == broken
    assert found.words() == (
        f"n ≤ amount: broken by {broken} made rows, {copies} repaired, {broken - copies} left out; "
        f"broken by {counts.originals} original rows\n"
        "columns carried from base rows: 't'; left empty in made rows: 'card'"
    )


def test_carried_columns_and_the_class_can_be_part_of_a_constraint(
    prepared: Prepared, raw: DataFrame, config: Config
) -> None:
    listed = [["k1", "bad"], ["k2", "bad"], ["k3", "bad"], ["k0", "bad"]]
    constrained = configured(
        constraints={
            "ranges": {"card": {"low": 5}, "t": {"low": "2025-01-03"}},
            "combinations": [{"columns": ["kind", "label"], "values": listed}],
        },
    )
    rows = valid(prepared, raw, constrained, made_from(prepared, 0.3)).rows
    found = rows.agg(F.min("card"), F.min("t"), F.count_if(F.col("kind").isNull()), F.count("*")).first()
    assert found is not None
    assert tuple(found)[:3] == (5, dt.datetime(2025, 1, 3), 0)
    assert found[3] > 10
    assert rows.columns == [*raw.columns, "origin", "parent_row_id", "run_id"]


@pytest.mark.parametrize(("given", "empty"), [({}, ["card"]), ({"carried": "base"}, [])])
def test_a_made_row_has_nothing_of_its_base_row_but_the_moment_and_what_is_asked_for(
    prepared: Prepared, raw: DataFrame, given: dict[str, str], empty: list[str]
) -> None:
    made = made_from(prepared, 0.3)
    found = valid(prepared, raw, configured(**given), made)
    parents = {row["id"]: row for row in raw.collect()}
    rows = found.rows.collect()
    assert len(rows) == made.count()
    for row in rows:
        parent = parents[row["parent_row_id"]]
        assert (row["id"], row["t"]) == (None, parent["t"])
        assert row["card"] == (None if empty else parent["card"])
    kept = ["t"] if empty else ["card", "t"]
    assert (found.carried, found.emptied) == (kept, empty)
    told = "columns carried from base rows: 't'; left empty in made rows: 'card'"
    assert found.words() == (told if empty else "columns carried from base rows: 'card', 't'")
    assert found.measures == ({"carried": kept, "emptied": empty} if empty else {"carried": kept})


def test_a_copy_is_one_whatever_it_is_let_out_with(raw: DataFrame) -> None:
    # Windows of the card make it part of what a copy is told by.
    source = {"path": "/data/raw", "label": "label", "key": ["id"], "timestamp": "t", "ignore": ["card"]}
    windows = {"windows": [{"entity": "card", "days": [1]}]}
    document = {"run": {"name": "r", "warehouse": "w"}, "source": source, "prepare": windows}
    config = parse_config({**document, "publish": {"source": "smote"}}, Path("/conf/a.toml"))
    windowed = prepare(raw, config)
    assert valid(windowed, raw, config, made_from(windowed, 0.0)).rows.count() == 0
    windowed.release()


def test_the_closer_ones_are_left_out_by_their_distance_as_decoded(
    prepared: Prepared, raw: DataFrame, config: Config
) -> None:
    made = made_from(prepared, 0.3)
    found = {share: valid(prepared, raw, configured(min_distance=share), made) for share in (0.5, 2.0)}
    left = {share: each.left_out[TOO_CLOSE] for share, each in found.items()}
    assert 0 <= left[0.5] < left[2.0] <= made.count()
    for share, each in found.items():
        assert each.rows.count() == made.count() - left[share]
        assert each.measures["min_distance"]["bad"]["neighbors"] == "exact"
        each.release()


def test_a_class_whose_rows_mostly_repeat_is_told() -> None:
    searched = {"bad": {"unit": 0.0}, "worse": {"unit": 0.5}}
    rows: Any = None
    found = ValidRows(rows=rows, n_made=0, left_out={}, constraints={}, searched=searched, kept=())
    assert found.words() == "class bad: most train rows equal another, so no made row is too close to them"


def test_originals_keep_their_values_and_have_no_parent(prepared: Prepared, raw: DataFrame, config: Config) -> None:
    rows = as_originals(passed(raw, config), prepared.encoder, "r")
    assert rows.select(*[f"`{name}`" for name in raw.columns]).exceptAll(raw).count() == 0
    assert {tuple(row) for row in rows.select("origin", "parent_row_id", "run_id").collect()} == {
        ("original", None, "r")
    }


def test_rows_made_from_noise_carry_nothing_and_are_left_out_where_they_break_a_constraint(
    prepared: Prepared, raw: DataFrame, config: Config
) -> None:
    made = made_from(prepared, 0.3)
    noise = made.withColumn("base_row_id", F.lit(None).cast("bigint"))
    rows = valid(prepared, raw, configured(), noise).rows.collect()
    assert len(rows) == made.count()
    assert {(row["parent_row_id"], row["card"], row["t"]) for row in rows} == {(None, None, None)}
    orders = configured(constraints={"orders": [["n", "amount"]]})
    broken = decode_made(noise, passed(raw, config), prepared.encoder, config, "smote").where("n > amount").count()
    found = valid(prepared, raw, orders, noise)
    assert 0 < broken < len(rows)
    assert found.left_out[UNREPAIRED] == broken
    assert found.rows.where("n > amount").count() == 0
    assert found.rows.count() == len(rows) - broken
