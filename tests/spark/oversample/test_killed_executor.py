"""The same rows after an executor was lost: local mode has none to lose, so a cluster of processes is started."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.spark.oversample.test_oversample import MIXED, mixed_rows

from raresmith.config import OversampleConfig
from raresmith.spark.content_hash import content_hash
from raresmith.spark.oversample.oversample import oversample

CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "from memory": (60, {"sampling_strategy": {"fraud": 40_060}}),
    "cell by cell": (
        27_000,
        {"sampling_strategy": {"fraud": 60_000}, "max_exact_bytes": 2**20, "min_recall": 0.9},
    ),
    "by surroundings": (60, {"sampling_strategy": {"fraud": 40_060}, "method": "adasyn"}),
    "by surroundings, cell by cell": (
        27_000,
        {"sampling_strategy": {"fraud": 60_000}, "max_exact_bytes": 2**20, "min_recall": 0.9, "method": "adasyn"},
    ),
    "by imbalanced-learn": (
        12_000,
        {"sampling_strategy": {"fraud": 20_000}, "method": "imblearn", "sampler": "SMOTE", "cell_rows": 1000},
    ),
    "less what is taken out": (
        60,
        {"sampling_strategy": {"fraud": 4060}, "cleaning": "enn", "undersampling_strategy": {"fraud": 3000}},
    ),
}
"""Rows of the class, and the settings that differ from the defaults."""

SCRIPT = """
import json, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pyspark import TaskContext
from pyspark.sql import SparkSession
from raresmith.config import OversampleConfig
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.content_hash import content_hash
from tests.spark.oversample.test_oversample import MIXED, mixed_rows

spark = (
    SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.executor.memory", "512m").config("spark.driver.memory", "512m")
    .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    .config("spark.executor.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    .config("spark.sql.shuffle.partitions", "2").getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")


def killing_once(marker):
    def kill_executor(batches):
        # Once, in the sixth of eight tasks: its executor has finished others, whose rows are lost with it.
        for batch in batches:
            time.sleep(0.3)
            if TaskContext.get().partitionId() == 5 and not os.path.exists(marker):
                executor = int(Path(f"/proc/{os.getppid()}/stat").read_text().rsplit(")", 1)[1].split()[1])
                Path(marker).write_text(str(executor))
                os.kill(executor, signal.SIGKILL)
            yield batch

    return kill_executor


for name, (n_fraud, settings) in json.loads(sys.argv[2]).items():
    config, rows = OversampleConfig(num_partitions=8, **settings), mixed_rows(n_fraud=n_fraud)
    made = oversample(spark.createDataFrame(rows), MIXED, config, random_state=11, run_id="run-1").rows
    if config.removes:
        made = made.repartition(8)  # what joins leave has too few partitions for one to fail among others
    made = made.toDF(*[column.replace(".", "_") for column in made.columns])  # mapInArrow refuses dots
    made = made.mapInArrow(killing_once(os.path.abspath(f"killed {name}")), made.schema)
    # The shuffle keeps finished rows on the executor that made them, so what it held must be made again.
    print(json.dumps({name: content_hash(made.repartition(3))}), flush=True)
spark.stop()
"""


@pytest.fixture(scope="module")
def after_a_kill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The content hash of each case, on a cluster that loses an executor in each."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", str(Path(__file__).parents[3]), json.dumps(CASES)],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.name for path in folder.glob("killed *")} == {f"killed {name}" for name in CASES}
    hashes: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        hashes |= json.loads(line)
    return hashes


@pytest.mark.parametrize("case", CASES)
def test_the_table_is_the_same_after_an_executor_was_killed(
    spark: SparkSession, after_a_kill: dict[str, Any], case: str
) -> None:
    n_fraud, settings = CASES[case]
    config, rows = OversampleConfig(num_partitions=3, **settings), mixed_rows(n_fraud=n_fraud)
    made = oversample(spark.createDataFrame(rows), MIXED, config, random_state=11, run_id="run-1").rows
    assert after_a_kill[case] == content_hash(made)
