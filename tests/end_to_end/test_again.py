"""A second run changes nothing and says so; a run that was killed goes on where it was."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from tests.deploy.small_run import DAY, TABLES, write_config

from raresmith.cli import main, run_stages
from raresmith.config import Config
from raresmith.spark.tables import read_table
from raresmith.tables.stage_report import STAGES

SHORT_LIVED = """conf = { "spark.ui.enabled" = "false", "spark.driver.extraJavaOptions" = "-XX:TieredStopAtLevel=1" }
"""


def content_hashes(spark: SparkSession, warehouse: Path) -> dict[str, str]:
    runs = read_table(spark, str(warehouse / "runs")).select("stage", "content_hash").collect()
    return {row["stage"]: row["content_hash"] for row in runs}


def test_a_second_run_changes_no_table_and_says_so(finished_run: Config, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Path(finished_run.run.warehouse)
    before = {name: DeltaTable(warehouse / name).version() for name in TABLES}
    capsys.readouterr()
    reports = run_stages(finished_run, STAGES)
    assert all(report.unchanged for report in reports)
    assert capsys.readouterr().out.count("nothing changed, made before from the same inputs") == len(STAGES)
    assert {name: DeltaTable(warehouse / name).version() for name in TABLES} == before


def test_every_parent_is_a_train_row_and_no_made_row_is_a_train_row(finished_run: Config, spark: SparkSession) -> None:
    tables = {
        name: read_table(spark, f"{finished_run.run.warehouse}/{name}")
        for name in ("features", "synthetic", "augmented")
    }
    for name, df in tables.items():
        df.createOrReplaceTempView(name)
    strangers = spark.sql(
        """
        SELECT parent FROM (
          SELECT base_row_id AS parent FROM synthetic UNION ALL SELECT neighbor_row_id FROM synthetic
          UNION ALL SELECT parent_row_id FROM augmented WHERE origin <> 'original')
        WHERE parent NOT IN (SELECT row_id FROM features WHERE split = 'train')
        """
    )
    assert tables["synthetic"].count() > 0
    assert strangers.count() == 0
    raw = [c for c in tables["augmented"].columns if c not in ("origin", "parent_row_id", "run_id", "transaction_id")]
    made, original = (tables["augmented"].where(f"origin {sign} 'original'").select(raw) for sign in ("<>", "="))
    assert made.count() > 0
    assert made.intersect(original).count() == 0


def test_a_driver_killed_between_two_stages_loses_nothing(
    finished_run: Config, tmp_path: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, transactions=Path(finished_run.source.path))
    path.write_text(path.read_text() + SHORT_LIVED)
    run = ("run", str(path), "--logical-date", DAY)
    killed = subprocess.Popen(
        [sys.executable, "-m", "raresmith", *run], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("oversample"):
            break
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert main(run) == 0
    said = capsys.readouterr().out
    assert re.findall(r"^(\w+) .* nothing changed", said, re.MULTILINE) == ["simulate", "prepare", "oversample"]
    hashes = content_hashes(spark, tmp_path / "warehouse")
    assert hashes == content_hashes(spark, Path(finished_run.run.warehouse))
    assert set(hashes) == {"prepare", "oversample", "refine", "evaluate", "publish"}
