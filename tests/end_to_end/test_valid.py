"""Constraints and the least distance, from the raw table to the augmented one."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.deploy.small_run import noted_stages, stale_stages

from raresmith.config import Config, parse_config
from raresmith.errors import ConfigError
from raresmith.spark.before.plan import plan
from raresmith.spark.stages import SPARK_STAGES, check
from raresmith.spark.tables import read_table
from raresmith.tables.row_counts import LEFT_OUT, TOO_CLOSE, UNREPAIRED
from raresmith.tables.stage_report import StageReport

STAGES = ("prepare", "oversample", "publish")
CONSTRAINTS = {
    "not_null": ["city"],
    "ranges": {"net": {"low": 2, "high": 90}},
    "combinations": [{"columns": ["city", "country"]}],
    "orders": [["opened", "closed"]],
    "sums": [{"columns": ["net", "tax"], "total": "gross"}],
}
BROKEN = {
    "city not null": "city IS NULL",
    "net from 2 to 90": "net NOT BETWEEN 2 AND 90",
    "city, country as in train rows": "city != concat('city of ', country)",
    "opened ≤ closed": "opened > closed",
    "net + tax = gross": "abs(net + tax - gross) > 1e-6",
}


def document(folder: Path) -> dict[str, Any]:
    return {
        "run": {"name": "valid", "warehouse": str(folder / "warehouse")},
        "source": {"path": str(folder / "raw"), "label": "y", "key": ["id"]},
        "oversample": {"method": "crossover", "sampling_strategy": 1.0},
        "publish": {"source": "crossover", "min_distance": 0.3, "constraints": CONSTRAINTS},
    }


@pytest.fixture(scope="module")
def finished(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, StageReport]:
    folder = tmp_path_factory.mktemp("valid")
    noise = [f"pmod(xxhash64(id, {salt}), 1009)" for salt in range(6)]
    spark.range(900).selectExpr(
        "id",
        f"round({noise[0]} / 10.0D + 1, 2) AS net",
        f"round({noise[1]} / 50.0D, 2) AS tax",
        f"concat('c', {noise[2]} % 20) AS country",
        f"timestamp_seconds(1.7e9 + {noise[3]} * 3600) AS opened",
        "int(id % 9 = 0) AS y",
    ).selectExpr(
        "*",
        "round(net + tax, 2) AS gross",
        "concat('city of ', country) AS city",
        f"opened + make_dt_interval({noise[4]} % 30 - 2) AS closed",
    ).write.parquet(str(folder / "raw"))
    config = parse_config(document(folder), folder / "valid.toml")
    reports = {stage: SPARK_STAGES[stage](spark, config) for stage in STAGES}
    return config, reports["publish"]


def test_every_made_row_keeps_all_constraints_and_each_is_counted(
    spark: SparkSession, finished: tuple[Config, StageReport]
) -> None:
    config, report = finished
    augmented = read_table(spark, f"{config.run.warehouse}/augmented")
    made = augmented.where("origin = 'crossover'")
    assert made.count() > 200
    for condition in BROKEN.values():
        assert made.where(condition).count() == 0
    (noted,) = read_table(spark, f"{config.run.warehouse}/runs").where("stage = 'publish'").collect()
    counts = json.loads(noted["measures"])["constraints"]
    assert list(counts) == list(BROKEN)
    originals = augmented.where("origin = 'original'")
    for name, condition in BROKEN.items():
        assert counts[name]["originals"] == originals.where(condition).count()
        assert f"{name}: broken by {counts[name]['broken']:,} made rows" in report.words
    assert {name for name, found in counts.items() if found["broken"]} == set(BROKEN) - {"city not null"}
    assert counts["opened ≤ closed"]["originals"] > 0
    assert report.rows[UNREPAIRED] > 0
    assert json.loads(noted["row_counts"])[UNREPAIRED] == report.rows[UNREPAIRED]


def test_the_plan_tells_how_many_distances_are_looked_at(
    spark: SparkSession, finished: tuple[Config, StageReport]
) -> None:
    assert "made rows nearer than 0.3 units to a train row are left out: at most " in plan(spark, finished[0])


def test_made_rows_that_are_left_out_are_all_told(spark: SparkSession, finished: tuple[Config, StageReport]) -> None:
    config, report = finished
    synthetic = read_table(spark, f"{config.run.warehouse}/synthetic").count()
    left_out = sum(rows for name, rows in report.rows.items() if name in LEFT_OUT)
    assert report.rows["crossover"] + left_out == synthetic
    assert report.rows[TOO_CLOSE] > 0


def test_a_second_run_changes_nothing_and_another_constraint_is_another_run(
    spark: SparkSession, finished: tuple[Config, StageReport]
) -> None:
    config, _ = finished
    assert SPARK_STAGES["publish"](spark, config).unchanged
    fewer = config.publish.constraints.replaced(sums=())
    other = config.replaced(publish=config.publish.replaced(constraints=fewer))
    notes = noted_stages(Path(config.run.warehouse))
    assert stale_stages(notes, config) == set()
    assert stale_stages(notes, other) == {"publish"}


def test_a_column_that_is_not_there_is_refused_before_anything_is_done(
    spark: SparkSession, finished: tuple[Config, StageReport]
) -> None:
    config, _ = finished
    wrong = document(Path(config.path).parent)
    wrong["publish"] = {"source": "crossover", "constraints": {"orders": [["opened", "shut"]]}}
    with pytest.raises(ConfigError, match=r"publish.constraints.orders names the column 'shut', which .* lacks"):
        check(spark, parse_config(wrong, config.path))
