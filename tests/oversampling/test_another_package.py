"""Another distribution adds oversamplers by an entry point, and everything finds them by name."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BY_NAME = """
from tests.spark.oversample.test_oversample import MIXED, collected, mixed_rows

from raresmith.config import OversampleConfig, SparkConfig
from raresmith.spark import Midpoint
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.session import get_spark

spark = get_spark("another package", SparkConfig(master="local[2]", shuffle_partitions=2))
rows = mixed_rows()
for method in ("midpoint", "jitter"):
    for neighbors, partitions in (("exact", 1), ("cells", 5)):
        df = spark.createDataFrame(rows).repartition(partitions)
        made = oversample(df, MIXED, OversampleConfig(method=method, neighbors=neighbors), 11, "run-1")
        found = collected(made.rows)
        print(method, set(found["method"]), len(found), found.drop(columns="run_id").sum(numeric_only=True).to_list())
df = spark.createDataFrame(rows.drop(columns="split").rename(columns={"b.c": "c"}))
stage = Midpoint(share=0.25, inputCols=["a", "c", "wide", "kind"], rowIdCol="row_id", categoricalFeatures=[3])
stage.save("stage")
made = Midpoint.load("stage").fit_resample(df)
print("stage", made.count())
"""

A_RUN = """
[run]
name = "another"
warehouse = "warehouse"

[source]
path = "raw"
label = "y"
key = ["id"]

[oversample]
method = "midpoint"
sampling_strategy = 0.5
share = 0.25

[evaluate]
strategies = ["none", "midpoint"]
bootstrap = 20

[evaluate.classifiers.random_forest]
num_trees = 3
max_depth = 3

[publish]
source = "midpoint"
"""

END_TO_END = """
from pathlib import Path

from raresmith.cli import main
from raresmith.config import SparkConfig
from raresmith.spark.session import get_spark
from raresmith.spark.tables import read_table

spark = get_spark("another package", SparkConfig(master="local[2]", shuffle_partitions=2))
columns = ("id", "sin(id) * 3 + int(id % 9 = 0) x", "cos(id * 0.7) z", "int(id % 9 = 0) y")
spark.range(900).selectExpr(*columns).write.parquet("raw")
for stage in ("plan", "prepare", "oversample", "evaluate", "publish"):
    assert main([stage, "run.toml"]) == 0, stage
print("gaps", {row["gap"] for row in read_table(spark, "warehouse/synthetic").select("gap").collect()})
origins = read_table(spark, "warehouse/augmented").groupBy("origin").count().collect()
print("augmented", sorted((row["origin"], row["count"]) for row in origins))
print("report", "with rows between two rows" in Path("warehouse/report/another.html").read_text())
run = Path("run.toml")
run.write_text(run.read_text().replace("share = 0.25", "share = 2"))
print("exit", main(["oversample", "run.toml"]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the distribution is installed, beside all else."""
    folder = tmp_path_factory.mktemp("another_package")
    shutil.copytree(Path(__file__).parent / "another_package", folder / "source")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", *install, "--target", str(folder / "site"), str(folder / "source")], check=True
    )
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)])}


def test_the_suite_of_all_oversamplers_passes_on_its_own(environment: dict[str, str]) -> None:
    suite = ["tests/oversampling/test_common.py", "-k", "midpoint or jitter", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *suite], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= 40


@pytest.mark.jvm
def test_a_run_goes_from_the_raw_table_to_the_augmented_one_by_its_name(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(A_RUN)
    done = subprocess.run(
        [sys.executable, "-c", END_TO_END], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, gaps, augmented, report, code = done.stdout.splitlines()
    assert gaps == "gaps {0.25}"
    (made,) = re.findall(r"\('midpoint', (\d+)\), \('original', 900\)", augmented)
    assert int(made) > 100
    assert report == "report True"
    assert code == "exit 2"
    assert re.search(r"oversample\.share.*got 2", done.stderr), done.stderr


@pytest.mark.jvm
def test_spark_makes_its_rows_by_name_and_has_a_stage_of_it(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BY_NAME], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    exact, cells, here, there, stage = done.stdout.splitlines()
    assert exact.startswith("midpoint {'midpoint'} 340 ")
    assert exact == cells
    assert here.startswith("jitter {'jitter'} 340 ")
    assert here == there
    assert stage == "stage 800"
