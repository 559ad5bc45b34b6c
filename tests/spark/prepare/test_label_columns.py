"""A column that tells the label is taken for one, whatever it is called."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from raresmith.config import Config, parse_config
from raresmith.encoding.encoder import Label
from raresmith.errors import ConfigError
from raresmith.spark.columns import LABEL
from raresmith.spark.prepare.label_columns import label_columns

KINDS = Label(name="y", type="int", classes=("fair", "fraud", "theft"), positive="theft")


def config(delay_days: int = 0, entity: str = "card", **source: Any) -> Config:
    window = {"entity": entity, "mean": MEANS, "delay_days": delay_days}
    return parse_config(
        {
            "run": {"name": "r", "warehouse": "w"},
            "source": {"path": "raw", "label": "y", "timestamp": "t", **source},
            "prepare": {"windows": [window]},
        },
        Path("/a.toml"),
    )


MEANS = ["amount", "copy", "loss", "refund", "decline", "noise", "same", "none"]


def table(spark: SparkSession, classes: int = 2, rows: int = 120) -> DataFrame:
    """Rows of class 0 and, one in five or ten, of others."""
    label = "int(id % 5 = 0) + int(id % 10 = 0)" if classes == 3 else "int(id % 5 = 0)"
    return spark.range(rows).selectExpr(
        f"{label} AS {LABEL}",
        "id * 1.5D + 1 AS amount",
        f"1 - {label} AS copy",
        f"decimal(IF({label} = 0, 0, 5 + id)) AS loss",
        f"IF({label} = 0, double('NaN'), 0.5D * id) AS refund",
        f"IF({label} = 0, id, NULL) AS decline",
        "id % 4 AS noise",
        "1 AS same",
        "CAST(NULL AS double) AS none",
        "concat('c', id % 7) AS card",
        f"concat('s', {label}) AS scenario",
        f"IF({label} = 0, NULL, concat('b', id)) AS dispute",
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_columns_whose_values_are_apart_in_the_classes_are_found(spark: SparkSession, classes: int) -> None:
    found = label_columns(table(spark, classes), KINDS, config(delay_days=1))
    assert found == {"y", "copy", "loss", "refund", "decline"}


def test_values_that_both_classes_have_and_a_single_class_tell_nothing(spark: SparkSession) -> None:
    df = table(spark)
    both = df.unionByName(df.withColumn(LABEL, 1 - df[LABEL]))
    for rows in (both, df.where(f"{LABEL} = 0"), df.limit(0)):
        assert label_columns(rows, KINDS, config()) == {"y"}


def test_classes_are_told_apart_by_groups_and_by_enough_rows(spark: SparkSession) -> None:
    df = spark.range(120).selectExpr(
        f"int(id % 4) AS {LABEL}", "double(id) AS amount", "int(id % 4 > 1) AS copy", "id % 4 AS loss",
        "0 AS refund", "1 AS decline", "2 AS noise", "1 AS same", "CAST(NULL AS double) AS none", "'c' AS card",
    )  # fmt: skip
    assert label_columns(df, KINDS, config(delay_days=1)) == {"y", "copy", "loss"}
    few = df.where(f"{LABEL} = 0 OR amount = 119").withColumn("noise", df["amount"])
    assert label_columns(few, KINDS, config()) == {"y"}


def test_such_a_column_needs_the_delay_of_labels(spark: SparkSession) -> None:
    message = "prepare.windows.mean of card names 'copy', which tells the classes of 'y' apart"
    with pytest.raises(ConfigError, match=rf"{message}, and so needs delay_days of at least 1: without a delay a row"):
        label_columns(table(spark), KINDS, config())
    with pytest.raises(ConfigError, match=rf"{message}, and so ends delay_days = 1 days .* only after 7 days"):
        label_columns(table(spark), KINDS, config(delay_days=1, label_delay_days=7))


@pytest.mark.parametrize("entity", ["scenario", "dispute", "copy"])
def test_an_entity_that_is_the_label_by_another_name_is_refused_whatever_the_delay(
    spark: SparkSession, entity: str
) -> None:
    with pytest.raises(ConfigError, match=f"prepare.windows.entity names '{entity}', which has one value in a class"):
        label_columns(table(spark), KINDS, config(delay_days=7, entity=entity))
