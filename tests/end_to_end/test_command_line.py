"""What the command line refuses, it refuses in one sentence, with exit code 2 and nothing written."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from raresmith import cli
from raresmith.cli import main
from raresmith.config import Config

CONFIG = """
[run]
name = "r"
warehouse = "warehouse"
[source]
path = "raw"
label = "y"
key = ["id"]
[evaluate]
bootstrap = 20
strategies = ["none", "smote"]

[evaluate.classifiers.random_forest]
num_trees = 3
max_depth = 3

[publish]
source = "smote"
"""


def folder(
    tmp_path: Path, spark: SparkSession, sql: str, rows: int = 40, more: str = "", method: str = "smote"
) -> Path:
    """A raw table of the SQL columns `sql` and the configuration to run it."""
    spark.range(rows).selectExpr("id", *sql.split(" ; ")).write.parquet(str(tmp_path / "raw"))
    path = tmp_path / "r.toml"
    path.write_text(CONFIG.replace('"smote"', f'"{method}"') + more)
    return path


@pytest.fixture(scope="module")
def prepared(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Like `folder`, where `prepare` has been; what several tests begin with is prepared once and copied."""
    finished: dict[tuple[str, int], Path] = {}

    def copy(tmp_path: Path, sql: str, rows: int = 40, more: str = "", method: str = "smote") -> Path:
        if (sql, rows) not in finished:
            path = folder(tmp_path_factory.mktemp("prepared"), spark, sql, rows)
            assert main(["prepare", str(path)]) == 0
            finished[sql, rows] = path
        path = shutil.copytree(finished[sql, rows].parent, tmp_path / "copy") / "r.toml"
        path.write_text(CONFIG.replace('"smote"', f'"{method}"') + more)
        return path

    return copy


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if line.startswith("raresmith: ")]


@pytest.mark.parametrize(
    ("sql", "more", "sentence"),
    [
        ("id * 2.0D x ; 1 z", "", "source.label names the column 'y', which"),
        ("id * 2.0D x ; int(id = 0) y", "[prepare]\ncategorical = ['kind']\n", "prepare.categorical names the column"),
        ("id * 2.0D x ; int(id = 0) y", "[refine]\nstep = 5\n", "[refine] has no key 'step'; did you mean 'steps'?"),
        ("id * 2.0D x ; int(id = 0) y", "[oversample]\nk_neighbors = 0\n", "oversample.k_neighbors must be at least 1"),
        ("id * 2.0D x ; 1 y", "", "only the class '1'; there must be two classes"),
        (
            "1 Origin ; int(id = 0) y",
            "",
            "has columns whose names are taken: 'Origin' (quarantine and augmented add one)",
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
    prepared: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
    minority: int,
    settings: str,
    sentence: str,
) -> None:
    path = prepared(tmp_path, f"id * 2.0D x ; int(id < {minority}) y", more=f"[oversample]\n{settings}")
    assert main(["oversample", str(path)]) == 2
    assert sentence in said(capfd)[0]
    assert (path.parent / "warehouse" / "features").exists()
    assert not (path.parent / "warehouse" / "synthetic").exists()


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


def test_an_unknown_sampler_is_refused_before_anything_is_written(
    tmp_path: Path, spark: SparkSession, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = "[oversample]\nmethod = 'imblearn'\nsampler = 'SVMSMOT'\n"
    path = folder(tmp_path, spark, "id * 2.0D x ; int(id = 0) y", more=settings, method="imblearn")
    for command in ("run", "plan"):
        assert main([command, str(path)]) == 2
        assert "oversample.sampler must be one of ['ADASYN', " in said(capfd)[0]
    assert not (tmp_path / "warehouse").exists()


@pytest.mark.parametrize(
    ("sampler", "told"),
    [
        ("SVMSMOTE", "class 1: SVMSMOTE in one cell\n"),
        # No part of the table is half of the class.
        (
            "KMeansSMOTE",
            "class 1: KMeansSMOTE in one cell; 120 rows are smote's, where it refused a cell or made too few",
        ),
    ],
)
def test_a_sampler_of_imbalanced_learn_goes_all_the_way_through_and_tells_what_it_refused(
    tmp_path: Path,
    prepared: Callable[..., Path],
    spark: SparkSession,
    capfd: pytest.CaptureFixture[str],
    sampler: str,
    told: str,
) -> None:
    settings = f"[oversample]\nmethod = 'imblearn'\nsampler = '{sampler}'\nsampling_strategy = {{ 1 = 180 }}\n"
    sql = "sin(id) x ; cos(3 * id) z ; int(id % 4 = 0) y"
    path = prepared(tmp_path, sql, rows=400, more=settings, method="imblearn")
    capfd.readouterr()
    assert main(["plan", str(path)]) == 0
    assert f"; {sampler} of imbalanced-learn in at most about 1 cells of 240 rows or fewer" in capfd.readouterr().out
    for stage in ("oversample", "publish"):
        assert main([stage, str(path)]) == 0
    out = capfd.readouterr().out
    assert "120 synthetic" in out
    assert told in out
    synthetic = spark.read.format("delta").load(str(path.parent / "warehouse" / "synthetic"))
    method = "smote" if "smote's" in told else "imblearn"
    assert [row[:] for row in synthetic.groupBy("method").count().collect()] == [(method, 120)]
    augmented = spark.read.format("delta").load(str(path.parent / "warehouse" / "augmented"))
    assert augmented.where("origin = 'imblearn'").count() > 100
    capfd.readouterr()
    assert main(["oversample", str(path)]) == 0
    assert "nothing changed" in capfd.readouterr().out


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


@pytest.mark.jvm
def test_java_that_does_not_start_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(CONFIG + '[spark]\ndriver_memory = "9000000g"\n')
    (tmp_path / "raw").mkdir()
    ended = subprocess.run(
        [sys.executable, "-m", "raresmith", "prepare", path], capture_output=True, text=True, check=False
    )
    told = "raresmith: Java cannot have as much memory as spark.driver_memory says; lower it\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)


def test_what_spark_alone_can_tell_is_told_in_a_line_and_kept_in_full(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stumbles(config: Config) -> None:
        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            raise ZeroDivisionError("in a task")

        spark.range(1).mapInArrow(work, "id bigint").collect()

    monkeypatch.setattr(cli, "_run", stumbles)
    monkeypatch.setattr(cli, "SPARK_LOG", tmp_path / "spark.log")
    (tmp_path / "spark.log").write_text("what Java said\n")
    assert main(["run", str(folder(tmp_path, spark, "int(id % 2) y"))]) == 1
    (kept,) = tmp_path.glob("raresmith-crash-*.log")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("raresmith: Spark failed: ") and line.endswith(f"; all that it says stands in {kept}")
    assert kept.read_text().startswith("what Java said\nTraceback ") and "in a task" in kept.read_text()
    assert not (tmp_path / "spark.log").exists()
