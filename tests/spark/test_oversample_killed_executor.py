"""The same rows after an executor was lost: local mode has none to lose, so a cluster of processes is started."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.spark.test_oversample import MIXED, mixed_rows

from raresmith.config import OversampleConfig
from raresmith.spark.oversample import oversample
from raresmith.spark.tables import content_hash

SCRIPT = """
import json, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pyspark import TaskContext
from pyspark.sql import SparkSession
from raresmith.config import OversampleConfig
from raresmith.spark.oversample import oversample
from raresmith.spark.tables import content_hash
from tests.spark.test_oversample import MIXED, mixed_rows

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


config = OversampleConfig(sampling_strategy={"fraud": 40_060}, num_partitions=8)
made = oversample(spark.createDataFrame(mixed_rows()), MIXED, config, random_state=11, run_id="run-1").rows
made = made.toDF(*[name.replace(".", "_") for name in made.columns])  # mapInArrow refuses dots
made = made.mapInArrow(kill_executor, made.schema)
# The shuffle keeps finished rows on the executor that made them, so what it held must be made again.
print(json.dumps(content_hash(made.repartition(3))))
spark.stop()
"""


def test_the_table_is_the_same_after_an_executor_was_killed(spark, tmp_path):
    config = OversampleConfig(sampling_strategy={"fraud": 40_060}, num_partitions=3)
    made = oversample(spark.createDataFrame(mixed_rows()), MIXED, config, random_state=11, run_id="run-1").rows
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parents[2])],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "killed").exists()
    assert json.loads(done.stdout.splitlines()[-1]) == content_hash(made)
