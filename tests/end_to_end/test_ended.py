"""A signal ends a run with its JVM and Python workers in ten seconds, and the same command goes on from there."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from tests.deploy.small_run import DAY, noted_stages, write_config
from tests.end_to_end.test_again import SHORT_LIVED
from tests.ended import ended_by, raresmith

from raresmith.cli import main
from raresmith.config import Config

SAID = "raresmith: ended by {} in {}; the same command goes on from there\n"


def test_ctrl_c_among_spark_tasks_ends_all_and_the_same_command_ends_with_the_same_rows(
    finished_run: Config, spark: SparkSession, tmp_path: Path
) -> None:
    path, warehouse = write_config(tmp_path, transactions=Path(finished_run.source.path)), tmp_path / "warehouse"
    path.write_text(path.read_text() + SHORT_LIVED)
    for table in ("features", "encoder", "runs"):
        shutil.copytree(f"{finished_run.run.warehouse}/{table}", warehouse / table)
    DeltaTable.forPath(spark, f"{warehouse}/runs").delete("stage <> 'prepare'")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    words = ("oversample", str(path), "--logical-date", DAY)
    process = raresmith(temporary, *words)
    _, err = ended_by(signal.SIGINT, process, lambda there: any("pyspark.daemon" in words for words in there.values()))
    assert err.endswith(SAID.format("SIGINT", "oversample"))
    assert process.returncode == 130
    assert set(noted_stages(warehouse)) == {"prepare"}
    assert list(temporary.glob("raresmith-*")) == list(warehouse.glob("*_under_way-*")) == []
    assert main(words) == 0
    assert (
        noted_stages(warehouse)["oversample"]["content_hash"]
        == (noted_stages(Path(finished_run.run.warehouse))["oversample"]["content_hash"])
    )


@pytest.mark.jvm
def test_a_jvm_that_has_not_answered_yet_is_ended_too(tmp_path: Path) -> None:
    process = raresmith(tmp_path, "plan", write_config(tmp_path))
    out, err = ended_by(
        signal.SIGTERM, process, lambda there: any("org.apache.spark" in words for words in there.values())
    )
    assert (out, err, process.returncode) == ("", "raresmith: ended by SIGTERM\n", 143)
    assert list(tmp_path.glob("raresmith-*")) == []


WIDE = """
[run]
name = "wide"
warehouse = "warehouse"

[source]
path = "raw"
label = "y"

[spark]
master = "local[2]"
driver_memory = "2g"
"""


@pytest.mark.parametrize("answers", [True, False])
def test_a_jvm_that_plans_is_ended_with_its_driver_and_so_is_one_that_does_not_answer(
    spark: SparkSession, tmp_path: Path, answers: bool
) -> None:
    columns = [f"sin(id * {i}) c{i}" for i in range(400)]
    rows = spark.range(300).selectExpr(*columns, "int(id % 5 = 0) y")
    rows.coalesce(1).write.parquet(str(tmp_path / "raw"))
    (tmp_path / "wide.toml").write_text(WIDE + SHORT_LIVED)
    process = raresmith(tmp_path, "prepare", tmp_path / "wide.toml")
    begins: list[float] = []

    def plans(_: dict[int, str]) -> bool:
        if not begins and list(tmp_path.glob("warehouse/_under_way-*.json")):
            begins.append(time.monotonic())
        return bool(begins) and time.monotonic() > begins[0] + 3

    def command(there: dict[int, str]) -> int:
        (jvm,) = (pid for pid, words in there.items() if "org.apache.spark" in words)
        if not answers:
            os.kill(jvm, signal.SIGSTOP)
        return process.pid

    out, err = ended_by(signal.SIGTERM, process, plans, to=command)
    assert (out, err) == ("", SAID.format("SIGTERM", "prepare"))
    assert process.returncode == 143
    assert (tmp_path / "warehouse").exists() is not answers  # through the JVM the lease is deleted
    assert list(tmp_path.glob("raresmith-*")) == []
