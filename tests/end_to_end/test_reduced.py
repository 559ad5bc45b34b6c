"""Undersampling and cleaning, from the raw table to the augmented one."""

import json
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.deploy.small_run import noted_stages, stale_stages

from raresmith.config import Config, parse_config
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.tables import read_table
from raresmith.tables.row_counts import TAKEN_OUT
from raresmith.tables.stage_report import StageReport

STAGES = ("prepare", "oversample", "evaluate", "publish")


@pytest.fixture(scope="module")
def config(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, StageReport]]:
    folder = tmp_path_factory.mktemp("reduced")
    df = spark.range(900).selectExpr("id", "sin(id) * 3 + int(id % 9 = 0) x", "cos(id * 0.7) z", "int(id % 9 = 0) y")
    df.write.parquet(str(folder / "raw"))
    document = {
        "run": {"name": "reduced", "warehouse": "warehouse"},
        "source": {"path": "raw", "label": "y", "key": ["id"]},
        "oversample": {
            "method": "random", "sampling_strategy": 0.5, "undersampling_strategy": 0.9, "cleaning": "enn",
        },
        "evaluate": {
            "strategies": ["none", "reduced", "random"], "bootstrap": 20,
            "classifiers": {"random_forest": {"num_trees": 3, "max_depth": 3}},
        },
        "publish": {"source": "random"},
    }  # fmt: skip
    config = parse_config(document, Path(folder / "reduced.toml"))
    reports = {stage: SPARK_STAGES[stage](spark, config) for stage in STAGES}
    return config, reports


@pytest.fixture(scope="module")
def tables(spark: SparkSession, config: tuple[Config, dict[str, StageReport]]) -> dict[str, pd.DataFrame]:
    names = ("features", "synthetic", "removed", "augmented", "metrics", "runs")
    return {name: read_table(spark, f"{config[0].run.warehouse}/{name}").toPandas() for name in names}


def test_what_is_left_is_what_was_asked_for(
    tables: dict[str, pd.DataFrame], config: tuple[Config, dict[str, StageReport]]
) -> None:
    train = tables["features"].query("split == 'train'")
    synthetic, removed = tables["synthetic"], tables["removed"]
    assert set(removed["row_id"]) <= set(train["row_id"])
    n_fine = (train["label"] == 0).sum()
    undersampled = removed.query("reason == 'undersampled'")
    assert n_fine - len(undersampled) == int((n_fine // 2) / 0.9)
    assert set(removed["reason"]) == {"undersampled", "enn"}
    assert config[1]["oversample"].rows == {"synthetic": len(synthetic), "removed": len(removed)}
    noted = tables["runs"].query("stage == 'oversample'").iloc[0]
    assert json.loads(noted["measures"])["cleaning"] == {"neighbors": "exact", "recall": 1.0}


def test_the_augmented_table_has_the_rows_that_are_left_and_the_copies_that_random_made(
    tables: dict[str, pd.DataFrame], config: tuple[Config, dict[str, StageReport]]
) -> None:
    augmented, removed = tables["augmented"], set(tables["removed"]["row_id"])
    originals = augmented.query("origin == 'original'")
    assert set(originals["id"]) == set(tables["features"]["row_id"]) - removed
    assert config[1]["publish"].rows[TAKEN_OUT] == len(removed)
    made = augmented.query("origin == 'random'")
    assert len(made) == len(tables["synthetic"])
    assert made["id"].isna().all()


def test_the_forests_without_and_with_made_rows_leave_out_what_was_removed(
    tables: dict[str, pd.DataFrame], config: tuple[Config, dict[str, StageReport]]
) -> None:
    metrics = tables["metrics"]
    assert set(metrics["strategy"]) == {"none", "reduced", "random"}
    on_test = metrics.query("split == 'test'").groupby("strategy")["value"].apply(list)
    assert on_test["none"] != on_test["reduced"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_run_changes_nothing(
    spark: SparkSession, config: tuple[Config, dict[str, StageReport]], stage: str
) -> None:
    assert SPARK_STAGES[stage](spark, config[0]).unchanged


def test_taking_out_other_rows_is_another_run(config: tuple[Config, dict[str, StageReport]]) -> None:
    less = config[0].oversample.replaced(cleaning="none")
    notes = noted_stages(Path(config[0].run.warehouse))
    assert stale_stages(notes, config[0]) == set()
    assert stale_stages(notes, config[0].replaced(oversample=less)) == {"oversample"}
