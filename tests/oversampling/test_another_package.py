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
