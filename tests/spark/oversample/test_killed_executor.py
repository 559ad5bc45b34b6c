"""The same rows after an executor was lost: local mode has none to lose, so a cluster of processes is started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.spark.oversample.test_oversample import MIXED, mixed_rows

from raresmith.config import OversampleConfig
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.tables import content_hash

SCRIPT = """
import json, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pyspark import TaskContext
from pyspark.sql import SparkSession
from raresmith.config import OversampleConfig
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.tables import content_hash
from tests.spark.oversample.test_oversample import MIXED, mixed_rows

marker = os.path.abspath("killed")
spark = (
    SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.executor.memory", "512m").config("spark.driver.memory", "512m")
    .config("spark.sql.shuffle.partitions", "2").getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")


def kill_executor(batches):
    # Once, in the sixth of eight tasks: its executor has finished others, whose rows are lost with it.
    for batch in batches:
        time.sleep(0.3)
        if TaskContext.get().partitionId() == 5 and not os.path.exists(marker):
            executor = int(Path(f"/proc/{os.getppid()}/stat").read_text().rsplit(")", 1)[1].split()[1])
            Path(marker).write_text(str(executor))
            os.kill(executor, signal.SIGKILL)
        yield batch


config, rows = OversampleConfig(num_partitions=8, **json.loads(sys.argv[3])), mixed_rows(n_fraud=int(sys.argv[2]))
made = oversample(spark.createDataFrame(rows), MIXED, config, random_state=11, run_id="run-1").rows
if config.removes:
    made = made.repartition(8)  # what joins leave has too few partitions for one to fail among others
made = made.toDF(*[name.replace(".", "_") for name in made.columns])  # mapInArrow refuses dots
made = made.mapInArrow(kill_executor, made.schema)
# The shuffle keeps finished rows on the executor that made them, so what it held must be made again.
print(json.dumps(content_hash(made.repartition(3))))
spark.stop()
"""


@pytest.mark.parametrize(
    ("n_fraud", "settings"),
    [
        pytest.param(60, {"sampling_strategy": {"fraud": 40_060}}, id="from memory"),
        pytest.param(
            27_000,
            {"sampling_strategy": {"fraud": 60_000}, "max_exact_bytes": 2**20, "min_recall": 0.9},
            id="cell by cell",
        ),
        pytest.param(60, {"sampling_strategy": {"fraud": 40_060}, "method": "adasyn"}, id="by surroundings"),
        pytest.param(
            27_000,
            {"sampling_strategy": {"fraud": 60_000}, "max_exact_bytes": 2**20, "min_recall": 0.9, "method": "adasyn"},
            id="by surroundings, cell by cell",
        ),
        pytest.param(
            12_000,
            {"sampling_strategy": {"fraud": 20_000}, "method": "imblearn", "sampler": "SMOTE", "cell_rows": 1000},
            id="by imbalanced-learn",
        ),
        pytest.param(
            60,
            {"sampling_strategy": {"fraud": 4060}, "cleaning": "enn", "undersampling_strategy": {"fraud": 3000}},
            id="less what is taken out",
        ),
    ],
)
def test_the_table_is_the_same_after_an_executor_was_killed(spark, tmp_path, n_fraud, settings):
    config, rows = OversampleConfig(num_partitions=3, **settings), mixed_rows(n_fraud=n_fraud)
    made = oversample(spark.createDataFrame(rows), MIXED, config, random_state=11, run_id="run-1").rows
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parents[3]), str(n_fraud), json.dumps(settings)],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "killed").exists()
    assert json.loads(done.stdout.splitlines()[-1]) == content_hash(made)
