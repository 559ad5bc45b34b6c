"""What the command line refuses, it refuses in one sentence, with exit code 2 and nothing written."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from raresmith.cli import main

CONFIG = """
[run]
name = "r"
warehouse = "warehouse"
[source]
path = "raw"
label = "y"
key = ["id"]
[evaluate]
num_trees = 3
max_depth = 3
bootstrap = 20
strategies = ["none", "smote"]
[publish]
source = "smote"
"""


def folder(tmp_path: Path, spark: SparkSession, sql: str, rows: int = 40, more: str = "") -> Path:
    """A raw table of the SQL columns `sql` and the configuration to run it."""
    spark.range(rows).selectExpr("id", *sql.split(" ; ")).write.parquet(str(tmp_path / "raw"))
    path = tmp_path / "r.toml"
    path.write_text(CONFIG + more)
    return path


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if line.startswith("raresmith: ")]


@pytest.mark.parametrize(
    ("sql", "more", "sentence"),
    [
        ("id * 2.0D x ; 1 z", "", "source.label names the column 'y', which"),
        ("id * 2.0D x ; int(id = 0) y", "[prepare]\ncategorical = ['kind']\n", "prepare.categorical names the column"),
        ("id * 2.0D x ; int(id = 0) y", "[refine]\nstep = 5\n", "[refine] has unknown keys ['step']"),
        ("id * 2.0D x ; int(id = 0) y", "[oversample]\nk_neighbors = 0\n", "oversample.k_neighbors must be at least 1"),
        ("id * 2.0D x ; 1 y", "", "only the class '1'; there must be two classes"),
        (
            "1 Origin ; int(id = 0) y",
            "",
            "has the columns ['Origin'], which the tables quarantine and augmented add to",
        ),
        ("array(id) x ; int(id = 0) y", "", "column 'x' is of type array<bigint>, which cannot be a feature"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, spark: SparkSession, capfd: pytest.CaptureFixture[str], sql: str, more: str, sentence: str
) -> None:
    path = folder(tmp_path, spark, sql, more=more)
    assert main(["run", str(path)]) == 2
    lines = said(capfd)
    assert len(lines) == 1
    assert sentence in lines[0]
    assert not (tmp_path / "warehouse").exists()


def test_an_empty_table_is_refused(tmp_path: Path, spark: SparkSession, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder(tmp_path, spark, "id * 2.0D x ; int(id = 0) y", rows=0)
    assert main(["prepare", str(path)]) == 2
    assert "has no rows" in said(capfd)[0]
    assert not (tmp_path / "warehouse").exists()


@pytest.mark.parametrize(
    ("minority", "settings", "sentence"),
    [
        (3, "", "has 1 train row, and SMOTE needs at least 2"),
        (6, "on_few_neighbors = 'refuse'\n", "oversample.k_neighbors"),
        (6, "sampling_strategy = 0.01\n", "sampling_strategy"),
    ],
)
def test_too_few_rows_or_too_low_a_target_are_refused_with_the_count(
    tmp_path: Path,
    spark: SparkSession,
    capfd: pytest.CaptureFixture[str],
    minority: int,
    settings: str,
    sentence: str,
) -> None:
    path = folder(tmp_path, spark, f"id * 2.0D x ; int(id < {minority}) y", more=f"[oversample]\n{settings}")
    assert main(["prepare", str(path)]) == 0
    assert main(["oversample", str(path)]) == 2
    assert sentence in said(capfd)[0]
    assert not (tmp_path / "warehouse" / "synthetic").exists()


@pytest.mark.parametrize("sql", ["1.0D x ; int(id % 4 = 0) y", "id * 1.0D x ; 'a' s ; 7 c ; int(id % 4 = 0) y"])
def test_constant_columns_and_equal_rows_go_all_the_way_through_smote(
    tmp_path: Path, spark: SparkSession, sql: str
) -> None:
    path = folder(tmp_path, spark, sql, rows=80)
    for stage in ("prepare", "oversample", "publish"):
        assert main([stage, str(path)]) == 0
    synthetic = spark.read.format("delta").load(str(tmp_path / "warehouse" / "synthetic"))
    features = spark.read.format("delta").load(str(tmp_path / "warehouse" / "features"))
    train = {row["label"]: row["count"] for row in features.where("split = 'train'").groupBy("label").count().collect()}
    assert synthetic.count() == train[0] - train[1]


def test_a_stage_before_its_input_is_there_says_which_table_is_missing(
    tmp_path: Path, spark: SparkSession, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path, spark, "id * 2.0D x ; int(id % 4 = 0) y")
    for stage, table in (("oversample", "features"), ("publish", "synthetic"), ("evaluate", "features")):
        assert main([stage, str(path)]) == 2
        assert f"warehouse/{table}; run the stage that writes it first" in said(capfd)[0]


def test_plan_tells_rows_and_steps_and_writes_nothing(
    tmp_path: Path, spark: SparkSession, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path, spark, "id * 2.0D x ; int(id % 4 = 0) y", rows=400)
    assert main(["plan", str(path)]) == 0
    out = capfd.readouterr().out
    assert "400 rows (0: 300, 1: 100; positive '1')" in out
    assert "oversample about 120 rows of class '1' from about 60" in out
    assert not (tmp_path / "warehouse").exists()
