"""A job of spark-submit, whose JVM is the parent of its Python, is ended by a signal as the command line is."""

import signal
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.deploy.standalone import ROOT, SPARK_HOME
from tests.ended import begun, ended_by

CONFIG = """
[run]
name = "submitted"
warehouse = "warehouse"

[source]
path = "raw"
label = "y"
"""
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
}


@pytest.mark.parametrize("group", [True, False], ids=["group", "python"])
def test_a_signal_to_the_group_or_to_python_ends_the_job_and_its_jvm(
    spark: SparkSession, delta_jars: list[Path], tmp_path: Path, group: bool
) -> None:
    rows = spark.range(300).selectExpr(*(f"sin(id * {i}) c{i}" for i in range(300)), "int(id % 5 = 0) y")
    rows.coalesce(1).write.parquet(str(tmp_path / "raw"))
    (tmp_path / "run.toml").write_text(CONFIG)
    settings = [word for key, value in SETTINGS.items() for word in ("--conf", f"{key}={value}")]
    jars = ",".join(map(str, delta_jars))
    submit = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[2]", "--jars", jars, *settings]
    job = [str(ROOT / "jobs" / "prepare.py"), "--config", str(tmp_path / "run.toml")]
    process = begun(tmp_path, *submit, *job, PYSPARK_PYTHON=sys.executable)
    begins: list[float] = []

    def works(_: dict[int, str]) -> bool:
        if not begins and list(tmp_path.glob("warehouse/_under_way-*.json")):
            begins.append(time.monotonic())
        return bool(begins) and time.monotonic() > begins[0] + 3

    def python(there: dict[int, str]) -> int:
        return next(pid for pid, words in there.items() if words.startswith(f"{sys.executable} {ROOT}/jobs/"))

    out, _ = ended_by(signal.SIGTERM, process, works, to=None if group else python)
    assert "raresmith: ended by SIGTERM in prepare; the same command goes on from there" in out
    assert process.returncode == 143
    assert not (tmp_path / "warehouse").exists()
