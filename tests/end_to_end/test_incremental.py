"""Day by day: a day's raw rows in, that day's synthetic rows out, and the rows of other days as they were."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.cli import main, run_stages
from raresmith.config import load_config
from raresmith.errors import ConfigError, DataError
from raresmith.spark.tables import read_table
from raresmith.tables.stage_report import StageReport

CONFIG = """
[run]
name = "cards"
warehouse = "warehouse"
incremental = true
[source]
path = "raw/{logical_date}"
label = "fraud"
key = ["id"]
ignore = ["card"]
[oversample]
sampling_strategy = 0.5
[evaluate]
strategies = ["none", "smote"]
bootstrap = 20

[evaluate.classifiers.random_forest]
num_trees = 3
max_depth = 3

[publish]
min_distance = 0.2
[publish.constraints]
ranges = { age = { low = 2, high = 8 } }
"""
COMBINATIONS = 'combinations = [{ columns = ["card", "kind"] }]\n'
CONFIG += COMBINATIONS
DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")
STAGES = ("prepare", "oversample", "publish")
JUDGED = (*STAGES, "evaluate")
DAILY = ("features", "quarantine", "synthetic", "augmented")
Days = dict[tuple[str, str], list[str]]
"""Rows by table and day."""


class Series:
    """A configuration in a folder of its own, and a raw table for each day."""

    def __init__(self, spark: SparkSession, folder: Path, text: str = CONFIG) -> None:
        self.spark, self.folder, self.path = spark, folder, folder / "cards.toml"
        folder.mkdir(exist_ok=True)
        self.path.write_text(text)

    def bring(self, day: str, rows: DataFrame | None = None) -> None:
        """The raw table of a day; without `rows` 200 transactions, 40 of them fraud."""
        rows = transactions(self.spark, 1000 * DAYS.index(day)) if rows is None else rows
        rows.coalesce(1).write.mode("overwrite").parquet(str(self.folder / "raw" / day))

    def raw(self, day: str) -> DataFrame:
        return self.spark.read.parquet(str(self.folder / "raw" / day))

    def run(self, day: str, stages: Sequence[str] = STAGES) -> list[StageReport]:
        return run_stages(load_config(self.path, day), stages)

    def table(self, name: str) -> DataFrame:
        return read_table(self.spark, str(self.folder / "warehouse" / name))

    def rows(self, name: str, day: str = "") -> list[str]:
        """All rows of a table, or a day's, as sorted text."""
        df = self.table(name)
        return texts(df.where(f"run_id = 'cards-{day}'") if day else df)

    def of_days(self, *days: str) -> Days:
        return {(name, day): self.rows(name, day) for name in DAILY for day in days}


def transactions(spark: SparkSession, first: int, fraud: str = "id % 5 = 0") -> DataFrame:
    noise = [f"pmod(xxhash64(id, {salt}), 10007) / 997.0D" for salt in (1, 2)]
    return spark.range(first, first + 200).selectExpr(
        "id",
        "id % 37 AS card",
        f"round({noise[0]} + IF({fraud}, 8, 0), 2) AS amount",
        f"{noise[1]} AS age",
        "concat('c', pmod(xxhash64(id, 3), 4)) AS kind",
        f"int({fraud}) AS fraud",
    )


def texts(df: DataFrame) -> list[str]:
    return sorted(map(repr, df.toArrow().to_pylist()))


@pytest.fixture
def series(spark: SparkSession, tmp_path: Path) -> Callable[..., Series]:
    return lambda name="one", text=CONFIG: Series(spark, tmp_path / name, text)


@pytest.fixture(scope="module")
def first_day(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, str]:
    """The first day, done by the command line, and what that said; a copy of its folder lies beside it."""
    days = Series(spark, tmp_path_factory.mktemp("first") / "days")
    days.bring(DAYS[0])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["run", str(days.path), "--logical-date", DAYS[0]]) == 0
    shutil.copytree(days.folder, days.folder.with_name("after one day"))
    return days, out.getvalue()


@pytest.fixture
def after_one_day(first_day: tuple[Series, str], spark: SparkSession, tmp_path: Path) -> Series:
    """The first day, done; to go on with."""
    folder = first_day[0].folder.with_name("after one day")
    return Series(spark, shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def three_days(first_day: tuple[Series, str]) -> tuple[Series, list[Days]]:
    """Three days one after the other, and the rows of each day as they were when it was done."""
    days, _ = first_day
    seen = [days.of_days(DAYS[0])]
    for day, stages in zip(DAYS[1:], (STAGES, JUDGED), strict=True):
        days.bring(day)
        days.run(day, stages)
        seen.append(days.of_days(day))
    return days, seen


def test_each_day_adds_its_own_rows_and_leaves_those_of_other_days_alone(
    three_days: tuple[Series, list[Days]],
) -> None:
    days, seen = three_days
    for found in seen:
        for (name, day), rows in found.items():
            assert days.rows(name, day) == rows
            assert (len(rows) > 0) is (name != "quarantine")
    assert len(days.rows("features")) == 600
    originals = days.table("augmented").where("origin = 'original'").groupBy("run_id").count().collect()
    assert {row["run_id"]: row["count"] for row in originals} == {f"cards-{day}": 200 for day in DAYS}


def test_as_many_rows_are_made_as_the_day_itself_wants(three_days: tuple[Series, list[Days]]) -> None:
    days, _ = three_days
    train = days.table("features").where("split = 'train'").groupBy("run_id", "label").count().collect()
    counts = {(row["run_id"], row["label"]): row["count"] for row in train}
    made = {row["run_id"]: row["count"] for row in days.table("synthetic").groupBy("run_id").count().collect()}
    assert made == {run: counts[run, 0] // 2 - counts[run, 1] for run in (f"cards-{day}" for day in DAYS)}


def test_bases_are_the_days_own_and_neighbors_come_from_all_days_so_far(three_days: tuple[Series, list[Days]]) -> None:
    days, _ = three_days
    train = days.table("features").where("split = 'train' AND label = 1").select("row_id", "run_id")
    of = {row["row_id"]: row["run_id"] for row in train.collect()}
    parents = days.table("synthetic").select("run_id", "base_row_id", "neighbor_row_id").collect()
    assert {(row["run_id"], of[row["base_row_id"]]) for row in parents} == {(f"cards-{d}",) * 2 for d in DAYS}
    pairs = {(row["run_id"][-2:], of[row["neighbor_row_id"]][-2:]) for row in parents}
    assert pairs == {("20", "20"), ("21", "20"), ("21", "21"), ("22", "20"), ("22", "21"), ("22", "22")}


def test_every_day_is_encoded_by_the_encoder_of_the_first(three_days: tuple[Series, list[Days]]) -> None:
    days, _ = three_days
    assert [row["run_id"] for row in days.table("encoder").collect()] == [f"cards-{DAYS[0]}"]


def test_an_old_day_run_again_changes_nothing_and_says_so(three_days: tuple[Series, list[Days]]) -> None:
    days, _ = three_days
    names = (*DAILY, "metrics", "runs", "encoder")
    before = {name: (days.table(name).inputFiles(), days.rows(name)) for name in names}
    for day in DAYS:
        assert all(report.unchanged for report in days.run(day, JUDGED if day != DAYS[1] else STAGES))
    assert {name: (days.table(name).inputFiles(), days.rows(name)) for name in names} == before


def test_an_old_day_made_again_gives_the_rows_that_it_gave(
    three_days: tuple[Series, list[Days]], spark: SparkSession, tmp_path: Path
) -> None:
    days, seen = three_days
    copied = Series(spark, tmp_path / "copy")
    shutil.copytree(days.folder, copied.folder, dirs_exist_ok=True)
    # Other files with the same rows, and no note of the stages, as where the process ended before they were written.
    copied.bring(DAYS[1], days.raw(DAYS[1]))
    DeltaTable.forPath(spark, str(copied.folder / "warehouse" / "runs")).delete(f"run_id = 'cards-{DAYS[1]}'")
    assert not any(report.unchanged for report in copied.run(DAYS[1]))
    assert all(report.unchanged for report in copied.run(DAYS[1]))
    for found in seen:
        for (name, day), rows in found.items():
            assert copied.rows(name, day) == rows


def test_rows_that_come_again_on_another_day_are_set_aside(after_one_day: Series, spark: SparkSession) -> None:
    days = after_one_day
    before = days.of_days(DAYS[0])
    # As a version noted them that had fewer keys; those cannot be set back.
    (encoder,) = days.table("encoder").collect()
    settings = {key: value for key, value in json.loads(encoder["settings"]).items() if key != "prepare.on_nan"}
    fitted = DeltaTable.forPath(spark, str(days.folder / "warehouse" / "encoder"))
    fitted.update(set={"settings": F.lit(json.dumps(settings))})
    again = days.raw(DAYS[0]).where("id < 30")
    corrected = days.raw(DAYS[0]).where("id = 30").withColumn("amount", F.lit(99.5))
    days.bring(DAYS[1], transactions(spark, 1000).union(again).union(corrected))
    days.run(DAYS[1])
    quarantine = days.table("quarantine").where(f"run_id = 'cards-{DAYS[1]}'")
    assert [row.asDict() for row in quarantine.groupBy("reason").count().collect()] == [
        {"reason": "row of an earlier run", "count": 31}
    ]
    features, augmented = days.table("features"), days.table("augmented").where("origin = 'original'")
    assert features.count() == features.select("row_id").distinct().count() == 400
    assert augmented.count() == augmented.select("id").distinct().count() == 400
    # A day that brings nothing else still goes through, and the first, run again, sees no row of its own as known.
    days.bring(DAYS[2], again)
    assert days.run(DAYS[2])[0].rows == {"features": 0, "quarantine": 30}
    days.bring(DAYS[0], transactions(spark, 0))
    assert days.run(DAYS[0])[0].rows == {"features": 200, "quarantine": 0}
    assert days.of_days(DAYS[0]) == before


def test_a_day_without_the_minority_makes_none_and_says_so(
    after_one_day: Series, spark: SparkSession, capfd: pytest.CaptureFixture[str]
) -> None:
    days = after_one_day
    days.bring(DAYS[1], transactions(spark, 1000, fraud="false"))
    assert main(["plan", str(days.path), "--logical-date", DAYS[1]]) == 0
    planned = capfd.readouterr().out
    assert "200 rows (0: 200, 1: 0; positive '1')" in planned
    assert "oversample no rows: the train rows hold only class '0'" in planned
    reports = days.run(DAYS[1])
    assert [report.rows.get("synthetic", 0) for report in reports] == [0, 0, 0]
    assert "no rows made: the train rows hold only class '0'" in reports[1].words
    assert len(days.rows("synthetic", DAYS[0])) > 0
    assert {row["origin"] for row in days.table("augmented").where(f"run_id = 'cards-{DAYS[1]}'").collect()} == {
        "original"
    }


def test_the_first_day_is_fitted_again_while_nothing_hangs_on_it(
    series: Callable[..., Series], spark: SparkSession
) -> None:
    days = series()
    for text, rows in (
        (CONFIG, transactions(spark, 0)),
        (CONFIG + "[prepare]\nnormalise = 'minmax'\n", transactions(spark, 0).withColumn("more", F.rand(1))),
    ):
        days.path.write_text(text)
        days.bring(DAYS[0], rows)
        days.run(DAYS[0], ["prepare", "oversample"])
    for name in ("features", "synthetic"):
        assert "more" in days.table(name).columns
        assert len(days.rows(name)) == len(days.rows(name, DAYS[0]))
    assert days.table("features").agg(F.max("amount")).collect()[0][0] <= 2


def test_a_day_that_does_not_fit_the_encoder_is_refused_in_one_sentence(
    after_one_day: Series, spark: SparkSession
) -> None:
    days = after_one_day
    before = {name: days.rows(name) for name in ("features", "quarantine", "encoder", "runs")}
    days.path.write_text(CONFIG.replace(COMBINATIONS, ""))  # which name a column that the first of these lacks
    rows = transactions(spark, 1000)
    wrong = {
        "'kind' is missing; 'sort' is not expected; mend": rows.withColumnRenamed("kind", "sort"),
        "'age' is int instead of double": rows.withColumn("age", F.col("age").cast("int")),
        r"holds the classes \['2'\], but the encoder .* knows only \['0', '1'\]": rows.replace(1, 2, ["fraud"]),
    }
    for sentence, changed in wrong.items():
        days.bring(DAYS[1], changed)
        with pytest.raises(DataError, match=sentence):
            days.run(DAYS[1])
    days.bring(DAYS[1])
    for old, new, sentence in (
        ("[oversample]", "[prepare]\nmax_categories = 9\n[oversample]", "prepare.max_categories was 1000 and is 9"),
        ("[oversample]", "[split]\nfractions = [0.5, 0.3, 0.2]\n[oversample]", "split.fractions was .* and is"),
        ('name = "cards"', 'name = "cards"\nrandom_state = 1', "run.random_state was 0 and is 1; set"),
        ('name = "cards"', 'name = "other"', "run.name was 'cards' and is 'other'; set"),
        ('ignore = ["card"]', "", "source.ignore was"),
    ):
        days.path.write_text(CONFIG.replace(old, new))
        with pytest.raises(ConfigError, match=f"fitted by the run cards-{DAYS[0]} under other settings: {sentence}"):
            days.run(DAYS[1])
    days.path.write_text(CONFIG)
    with pytest.raises(DataError, match=f"prepare of the run cards-{DAYS[1]} is not done; run prepare for that day"):
        days.run(DAYS[1], ["oversample"])
    assert {name: days.rows(name) for name in before} == before


def test_a_warehouse_of_runs_that_replace_each_other_is_refused(series: Callable[..., Series]) -> None:
    days = series(text=CONFIG.replace("incremental = true", ""))
    for day in DAYS[:2]:
        days.bring(day)
    days.run(DAYS[0], ["prepare"])
    days.path.write_text(CONFIG)
    with pytest.raises(ConfigError, match=r"run.incremental was False and is True"):
        days.run(DAYS[1], ["prepare"])


def test_an_incremental_run_without_its_day_is_refused(
    series: Callable[..., Series], capfd: pytest.CaptureFixture[str]
) -> None:
    path = series().path
    assert main(["run", str(path)]) == 2
    sentence = "run.incremental needs the day that it is run for; name it by --logical-date YYYY-MM-DD"
    assert capfd.readouterr().err.splitlines() == [f"raresmith: {path}: {sentence}"]


def test_an_entity_stays_on_its_side_over_the_days(series: Callable[..., Series], spark: SparkSession) -> None:
    days = series(text=CONFIG + '[split]\nstrategy = "entity"\nentity = "card"\n')
    for day in DAYS[:2]:
        # Days of different sizes, so that cuts which are learnt would differ.
        rows = transactions(spark, 1000 * DAYS.index(day))
        days.bring(day, rows.where("card < 20 OR card % 2 = 1") if day == DAYS[0] else rows.where("card > 4"))
        days.run(day, ["prepare"])
    raw = days.raw(DAYS[0]).union(days.raw(DAYS[1]))
    placed = days.table("features").join(raw, F.col("row_id") == F.col("id")).groupBy("card")
    sides = placed.agg(F.count_distinct("split").alias("sides"), F.count_distinct("run_id").alias("days")).collect()
    assert {row["sides"] for row in sides} == {1}
    assert sum(row["days"] == 2 for row in sides) > 10
    assert days.table("features").select("split").distinct().count() == 3


def test_a_whole_run_leaves_refine_out(first_day: tuple[Series, str]) -> None:
    day, said = first_day
    assert "left out: refine makes all its rows anew" in said
    assert not (day.folder / "warehouse" / "refined").exists()
    assert {row["origin"] for row in day.table("augmented").collect()} == {"original", "smote"}


def test_each_day_keeps_the_constraints(three_days: tuple[Series, list[Days]]) -> None:
    days, _ = three_days
    made = days.table("augmented").where("origin = 'smote'")
    assert made.groupBy("run_id").count().count() == 3
    assert made.where("age NOT BETWEEN 2 AND 8").count() == 0
    for day in DAYS:
        train = days.table("features").where(f"run_id = 'cards-{day}' AND split = 'train'").selectExpr("row_id AS id")
        real = days.raw(day).join(train, "id").select("card", "kind")
        assert made.where(f"run_id = 'cards-{day}'").join(real, ["card", "kind"], "left_anti").count() == 0
