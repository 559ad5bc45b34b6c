"""What counts as a class, and what only looks like two."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config, parse_config
from raresmith.encoding.encoder import Encoder, Label
from raresmith.errors import ConfigError, DataError
from raresmith.spark.before.plan import plan
from raresmith.spark.prepare.label import class_text, fit_label, known_label
from raresmith.spark.prepare.prepare import prepare


def config(**sections: Any) -> Config:
    document = {"run": {"name": "r", "warehouse": "w"}, "source": {"path": "/data/raw", "label": "y", "key": ["id"]}}
    return parse_config({**document, **sections}, Path("/conf/a.toml"))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "'y' of /data/raw has no class at all"),
        ({"0": 5}, "'y' of /data/raw has only the class '0'"),
        ({"0.5": 5, "1.0": 3}, "'y', which holds 0.5"),
        ({"1.0": 5, "Infinity": 3}, "'y', which holds Infinity"),
        ({str(i): 1 for i in range(200)}, "'y', which has more than 100 different values"),
    ],
)
def test_a_label_that_is_none_is_refused(counts: dict[str | None, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_label(counts, t.DoubleType(), config())


@pytest.mark.parametrize(
    "spellings",
    [
        ("Fraud", "fraud "),
        ("fraud", "\u00a0fraud"),
        ("card fraud", "card  fraud"),
        ("STRASSE", "straße"),
        ("cafe\u0301", "café"),
        ("1", "1.0"),
        ("-0", "0.00"),
        ("1000", "1e3"),
        ("01", "1"),
    ],
)
def test_classes_that_are_one_but_for_how_they_are_written_are_refused(spellings: tuple[str, str]) -> None:
    first, second = sorted(spellings)
    with pytest.raises(DataError) as refused:
        fit_label({first: 1200, "genuine": 9000, second: 3, None: 4}, t.StringType(), config())
    assert f"column 'y' of /data/raw holds {first!r} (1,200 rows) and {second!r} (3 rows), which differ only" in str(
        refused.value
    )


@pytest.mark.parametrize(
    "classes",
    [
        ("a", "b"),
        ("1", "10"),
        ("1", "1.5"),
        ("nan", "inf"),
        ("1_0", "10"),
        ("fraud", "fraud?"),
        ("1" * 40, "1" * 39 + "2"),
    ],
)
def test_classes_that_differ_otherwise_are_classes(classes: tuple[str, str]) -> None:
    found = fit_label(dict.fromkeys(classes, 5), t.StringType(), config())
    assert found.classes == tuple(sorted(classes))


def test_a_later_table_with_another_spelling_of_a_known_class_is_told_so() -> None:
    label = Label(name="y", type="string", classes=("Fraud", "genuine"), positive="Fraud")
    kept = Encoder(features=(), label=label, raw_schema="{}")
    assert known_label({"Fraud": 3, None: 1}, kept, config()) == label
    with pytest.raises(DataError, match=r"holds 'Fraud' \(0 rows\) and 'fraud' \(3 rows\), which differ only in"):
        known_label({"fraud": 3, "genuine": 9}, kept, config())
    with pytest.raises(DataError, match=r"holds the classes \['theft'\], but the encoder of"):
        known_label({"theft": 3, "genuine": 9}, kept, config())


@pytest.mark.parametrize("kind", ["double", "float"])
def test_the_two_zeros_are_one_class(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    """Of 60 rows every fifth is 1, and the others are 0.0 and -0.0 in turn."""
    # Not by IF(..., 0.0D, -0.0D), whose branches Spark's optimizer takes for one.
    rows = [(i, i * 1.5, 1.0 if i % 5 == 0 else (0.0, -0.0)[i % 2]) for i in range(60)]
    df = spark.createDataFrame(rows, "id long, x double, y double").withColumn("y", F.col("y").cast(kind))
    texts = {row[0] for row in df.select(F.col("y").cast("string")).collect()}
    assert texts == {"0.0", "-0.0", "1.0"}  # the case itself
    assert {row[0] for row in df.select(class_text(df.schema["y"])).collect()} == {"0.0", "1.0"}
    done = prepare(df, config())
    assert done.encoder.label.classes == ("0.0", "1.0") and done.encoder.label.positive == "1.0"
    counted = {row["label"]: row["count"] for row in done.features.groupBy("label").count().collect()}
    assert counted == {0: 48, 1: 12}
    df.write.parquet(str(tmp_path / "raw"))
    told = plan(spark, config(source={"path": str(tmp_path / "raw"), "label": "y", "key": ["id"]}))
    assert "60 rows (0.0: 48, 1.0: 12; positive '1.0')" in told


@pytest.mark.parametrize(
    ("missing", "kind"),
    [(["", "  ", "\u00a0\t", None], "string"), ([None, float("nan")], "double"), ([None, float("nan")], "float")],
)
def test_a_label_that_is_null_or_blank_or_not_a_number_is_none(
    spark: SparkSession, tmp_path: Path, missing: list[Any], kind: str
) -> None:
    """Of 60 rows every fifth is 1, and the last ones have no class; alike for `plan`."""
    classes: Any = ["0", "1"] if kind == "string" else [0.0, 1.0]
    rows = [(i, i * 1.5, classes[i % 5 == 0]) for i in range(60)] + [(60 + i, 1.0, y) for i, y in enumerate(missing)]
    df = spark.createDataFrame(rows, f"id long, x double, y {'string' if kind == 'string' else 'double'}")
    df = df.withColumn("y", F.col("y").cast(kind))
    done = prepare(df, config())
    assert done.encoder.label.classes == tuple(map(str, classes)) and done.reasons == {"null_label": len(missing)}
    assert done.features.where("row_id < 60").count() == done.features.count() == 60
    df.write.parquet(str(tmp_path / "raw"))
    told = plan(spark, config(source={"path": str(tmp_path / "raw"), "label": "y", "key": ["id"]}))
    assert f"({classes[0]}: 48, {classes[1]}: 12; positive '{classes[1]}')" in told
    with pytest.raises(ConfigError, match=r"evaluate.positive is ' ', which column 'y' does not hold"):
        prepare(df, config(evaluate={"positive": " "}))


def test_a_positive_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"evaluate.positive is '2', which column 'y' does not hold"):
        fit_label({"0": 5, "1": 2}, t.IntegerType(), config(evaluate={"positive": "2"}))
