"""Two that do the same at the same moment end as one."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from raresmith.config import load_config
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.tables import read_table
from raresmith.tables.commits import ROWS_STAY

STAGES = ("prepare", "oversample", "evaluate", "publish")
CONFIG = """
[run]
name = "r"
warehouse = "warehouse"

[source]
path = "raw"
label = "y"
key = ["id"]

[evaluate]
strategies = ["none", "smote"]
seeds = [1]
bootstrap = 20

[evaluate.classifiers.random_forest]
num_trees = 3
max_depth = 3

[publish]
source = "smote"

[spark]
master = "local[2]"
driver_memory = "1g"
shuffle_partitions = 4

[spark.conf]
"spark.ui.enabled" = "false"
"""
OTHER = """
import json, sys
from raresmith.config import load_config
from raresmith.spark.session import get_spark
from raresmith.spark.stages import SPARK_STAGES
config = load_config(sys.argv[1])
spark = get_spark("other", config.spark)
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(SPARK_STAGES["prepare"](spark, config).rows), flush=True)
"""
"""A process that prepares when it is told to, and says what it counted."""


def test_two_that_do_the_same_stages_at_once_end_as_one(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes where there is no table yet; then two sessions, whose Java is warm already."""
    rows = spark.range(300).selectExpr("id", "IF(id % 50 = 3, NULL, sin(id)) x", "int(id % 5 = 0) y")
    rows.coalesce(1).write.parquet(str(tmp_path / "raw"))
    (tmp_path / "r.toml").write_text(CONFIG)
    config = load_config(tmp_path / "r.toml")
    command = [sys.executable, "-c", OTHER, str(tmp_path / "r.toml")]
    with (tmp_path / "other.log").open("w") as log:
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "ready\n", (tmp_path / "other.log").read_text()
        print(file=other.stdin, flush=True)
        ours = SPARK_STAGES["prepare"](spark, config)
        counted = other.stdout.readline()
        assert counted, (tmp_path / "other.log").read_text()
        assert ours.rows == json.loads(counted)
        assert other.wait(60) == 0
        said = caplog.text + (tmp_path / "other.log").read_text()
        assert re.search(r"run r is under way on \S+, process \d+, in prepare since .* and does the work twice", said)
        assert not list((tmp_path / "warehouse").glob("*_under_way-*"))
    finally:
        other.kill()
        other.wait()
    with ThreadPoolExecutor(2) as pool:
        for stage in STAGES[1:]:
            begun = [pool.submit(SPARK_STAGES[stage], session, config) for session in (spark, spark.newSession())]
            first, second = (report.result() for report in begun)
            assert (first.rows, first.words, first.verdict) == (second.rows, second.words, second.verdict), stage
    for table in ("quarantine", "encoder", "features", "synthetic", "metrics", "augmented"):
        history = DeltaTable.forPath(spark, f"{config.run.warehouse}/{table}").history().collect()
        changes = [row["operation"] for row in history if row["operation"] not in ROWS_STAY]
        assert changes == ["WRITE", "CREATE TABLE"], table
    noted = read_table(spark, f"{config.run.warehouse}/runs").collect()
    notes = {row["stage"]: json.loads(row["row_counts"]) for row in noted}
    assert len(noted) == len(STAGES)
    assert sorted(notes) == sorted(STAGES)
    assert notes["prepare"] == {"features": 300, "quarantine": 0, "imputed": {"null:x": 6}}
    assert notes["publish"]["augmented"] == 300 + notes["oversample"]["synthetic"] - notes["publish"]["copies"]
    assert all(SPARK_STAGES[stage](spark, config).unchanged for stage in STAGES)
