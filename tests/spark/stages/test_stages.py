"""A stage is done again where what it reads is another, and only there."""

import json
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.spark.conf import spark_conf

from raresmith.config import Config, parse_config
from raresmith.errors import DataError, EngineError, StorageError
from raresmith.spark.columns import ROW_ID
from raresmith.spark.prepare.prepare import prepare
from raresmith.spark.prepare.rules import passed
from raresmith.spark.source.read import is_unreadable, read_source
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.stages.context import Context
from raresmith.spark.stages.passed import passed_rows, prepared_source
from raresmith.spark.tables import snapshot
from raresmith.tables.row_counts import told_reasons
from raresmith.tables.stage_report import StageReport


def config(folder: Path, **sections: Any) -> Config:
    document = {
        "run": {"name": "r", "warehouse": str(folder / "warehouse")},
        "source": {"path": str(folder / "raw"), "label": "y", "key": ["id"], "timestamp": "at", "ignore": ["card"]},
        "evaluate": {
            "strategies": ["none"],
            "entity": "card",
            "bootstrap": 20,
            "classifiers": {"random_forest": {"num_trees": 3, "max_depth": 3}},
            **sections.pop("evaluate", {}),
        },
        **sections,
    }
    return parse_config(document, folder / "r.toml")


def rows(spark: SparkSession, first: int, last: int) -> DataFrame:
    return spark.range(first, last).selectExpr(
        "id", "id % 20 card", "timestamp_seconds(1.7e9 + id * 600) at", "sin(id) x", "int(id % 5 = 0) y"
    )


@pytest.fixture
def folder(spark: SparkSession, tmp_path: Path) -> Path:
    rows(spark, 0, 300).coalesce(1).write.parquet(str(tmp_path / "raw"))
    return tmp_path


def test_evaluate_is_done_again_where_the_raw_rows_of_its_cards_changed(spark: SparkSession, folder: Path) -> None:
    by_card = config(folder)
    SPARK_STAGES["prepare"](spark, by_card)
    first = SPARK_STAGES["evaluate"](spark, by_card)
    assert not first.unchanged and first.verdict.endswith("report/r.html")
    again = SPARK_STAGES["evaluate"](spark, by_card)
    assert again.unchanged and again.verdict == first.verdict
    without = config(folder, evaluate={"entity": ""})
    assert not SPARK_STAGES["evaluate"](spark, without).unchanged

    rows(spark, 300, 301).write.mode("append").parquet(str(folder / "raw"))
    assert SPARK_STAGES["evaluate"](spark, without).unchanged
    with pytest.raises(DataError, match="raw is not what prepare read: its files have other names"):
        SPARK_STAGES["evaluate"](spark, by_card)
    SPARK_STAGES["prepare"](spark, by_card)
    assert not SPARK_STAGES["evaluate"](spark, by_card).unchanged
    assert SPARK_STAGES["evaluate"](spark, by_card).unchanged
    (note,) = Context(spark=spark, config=by_card).read("runs").where("stage = 'evaluate'").collect()
    assert set(json.loads(note["inputs"])) == {"features", "features committed", "source"}
    assert {"evaluate.entity", "source.timestamp", "source.key"} < set(json.loads(note["settings"]))


def test_rows_that_passed_are_those_of_prepare_whether_they_are_judged_again_or_not(
    spark: SparkSession, folder: Path
) -> None:
    settings = config(folder)

    def found() -> DataFrame:
        ctx = Context(spark=spark, config=settings)
        return passed_rows(ctx, prepared_source(ctx))

    def same_as_judged() -> bool:
        judged = passed(read_source(spark, settings.source), settings)
        return sorted(map(tuple, found().select(*judged.columns).collect())) == sorted(map(tuple, judged.collect()))

    def is_judged() -> bool:
        return "coalesce" in found()._jdf.queryExecution().analyzed().toString()

    with pytest.raises(DataError, match="prepare of the run r is not done; run prepare first"):
        found()
    SPARK_STAGES["prepare"](spark, settings)
    assert not is_judged() and same_as_judged()
    # The same row again, and one without a class: prepare sets both aside.
    rows(spark, 7, 9).withColumn("y", F.when(F.col("id") == 7, F.col("y"))).write.mode("append").parquet(
        str(folder / "raw")
    )
    with pytest.raises(DataError, match="raw is not what prepare read"):
        found()
    report = SPARK_STAGES["prepare"](spark, settings)
    assert report.rows["quarantine"] == 2
    assert is_judged() and same_as_judged()
    assert sorted(row[ROW_ID] for row in found().select(ROW_ID).collect()) == list(range(300))
    ctx = Context(spark=spark, config=settings)
    (note,) = ctx.read("runs").where("stage = 'prepare'").collect()
    noted = json.loads(note["row_counts"])
    assert noted["quarantined"] == {"duplicate_key": 1, "null_label": 1}
    assert report.words == "quarantined: duplicate key (1), null label (1)"
    assert told_reasons({"quarantined": noted["quarantined"]}) == {
        "quarantined": {row["reason"]: 1 for row in ctx.read("quarantine").collect()}
    }


def test_a_file_that_proves_broken_while_it_is_read_is_named(spark: SparkSession, folder: Path) -> None:
    (file,) = (folder / "raw").glob("*.parquet")
    whole = bytearray(file.read_bytes())
    # The footer stays: only a task that comes to the values sees it.
    whole[4 : len(whole) // 2] = bytes(len(whole) // 2 - 4)
    (folder / "raw" / f".{file.name}.crc").unlink()
    file.write_bytes(whole)
    with pytest.raises(DataError, match=r"raw cannot be read as parquet: \[FAILED_READ_FILE") as refused:
        SPARK_STAGES["prepare"](spark, config(folder))
    context = refused.value.__context__
    assert isinstance(context, Exception) and is_unreadable(context, config(folder))
    assert not is_unreadable(ValueError("FAILED_READ_FILE"), config(folder))
    assert not is_unreadable(context, config(folder, run={"name": "r", "warehouse": str(folder / "raw")}))


def test_a_place_that_takes_no_table_is_told_in_a_sentence(spark: SparkSession, folder: Path) -> None:
    (folder / "warehouse").touch()
    with pytest.raises(StorageError, match=r"^prepare cannot go on with its tables: [\w.]+Exception: .*warehouse"):
        SPARK_STAGES["prepare"](spark, config(folder))


def test_what_tells_the_class_by_itself_is_said_at_the_door_and_in_the_report(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows(spark, 0, 300).selectExpr(
        "*", "if(y = 1, 3, id % 3) back", "if(y = 1, 'blocked', concat('k', id % 2)) state", "if(y = 1, null, x) lost",
    ).coalesce(1).write.parquet(str(tmp_path / "raw"))  # fmt: skip
    settings = config(tmp_path)
    report = SPARK_STAGES["prepare"](spark, settings)
    says = report.words.splitlines()[-1]
    assert says.startswith(
        "leak? by itself it tells class 1 from all others: back (area under the ROC curve 1.000), state"
    )
    (note,) = Context(spark=spark, config=settings).read("runs").collect()
    (warning,) = json.loads(note["measures"])["warnings"]
    assert warning["kind"] == "leak" and warning["says"] == says
    assert warning["found"] == [{"column": name, "area": 1.0} for name in ("back", "state", "lost_is_null")]
    SPARK_STAGES["evaluate"](spark, settings)
    assert "<li>Leak? by itself it tells class 1 from" in (tmp_path / "warehouse" / "report" / "r.html").read_text()


def test_executors_without_python_are_no_fault_of_the_disk(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "/nowhere/python")
    with pytest.raises(
        EngineError, match=r"^Spark cannot start /nowhere/python where its tasks run; set PYSPARK_PYTHON"
    ):
        SPARK_STAGES["prepare"](spark, config(folder))


def test_another_positive_class_makes_the_features_again(spark: SparkSession, folder: Path) -> None:
    settings = config(folder, evaluate={"positive": "1"})
    ctx = Context(spark=spark, config=settings)
    SPARK_STAGES["prepare"](spark, settings)
    assert SPARK_STAGES["prepare"](spark, settings).unchanged
    assert ctx.encoder().label.positive == "1"
    other = config(folder, evaluate={"positive": "0"})
    assert not SPARK_STAGES["prepare"](spark, other).unchanged
    assert ctx.encoder().label.positive == "0"
    assert SPARK_STAGES["prepare"](spark, other).unchanged


@pytest.mark.parametrize("format", ["parquet", "delta"])
def test_a_source_that_went_on_is_read_as_prepare_read_it_or_refused(
    spark: SparkSession, tmp_path: Path, format: str
) -> None:
    raw, augmented = str(tmp_path / "raw"), str(tmp_path / "warehouse" / "augmented")
    rows(spark, 0, 300).coalesce(1).write.format(format).save(raw)
    of_source = {"path": raw, "label": "y", "key": ["id"], "format": format, "ignore": ["card", "at"]}

    def publish(originals: str) -> StageReport:
        settings = config(tmp_path, source=of_source, publish={"source": "smote", "originals": originals})
        return SPARK_STAGES["publish"](spark, settings)

    for stage in ("prepare", "oversample"):
        SPARK_STAGES[stage](spark, config(tmp_path, source=of_source))
    # A row more, and then all anew; where prepare read files, publish would find other rows than the made ones' bases.
    rows(spark, 300, 301).write.format(format).mode("append").save(raw)
    if format == "parquet":
        with pytest.raises(DataError, match="raw is not what prepare read: its files have other names, sizes or times"):
            publish("all")
        assert not Path(augmented).exists()
        return
    assert publish("all").rows["original"] == 300
    assert publish("all").unchanged
    rows(spark, 0, 400).write.format("delta").mode("overwrite").save(raw)
    assert 0 < publish("train").rows["original"] < 300
    version = snapshot(spark, augmented).changed.version
    at_once = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",  # else it lists the files in 10,000 tasks
    }
    with spark_conf(spark, at_once):
        DeltaTable.forPath(spark, raw).vacuum(0)
    with pytest.raises(DataError, match=r"raw is not there any more as prepare read it: .*; run prepare again"):
        publish("none")
    assert snapshot(spark, augmented).changed.version == version
    assert SPARK_STAGES["prepare"](spark, config(tmp_path, source=of_source)).rows == {"features": 400, "quarantine": 0}


def test_files_that_change_while_prepare_reads_them_are_refused(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """prepare reads them several times, and split and encoder would be of other rows than the features."""

    def and_a_file_more(*given: Any) -> Any:
        prepared = prepare(*given)
        rows(spark, 300, 301).write.mode("append").parquet(str(folder / "raw"))
        return prepared

    monkeypatch.setattr("raresmith.spark.stages.prepare.prepare", and_a_file_more)
    with pytest.raises(DataError, match="raw is not what prepare read: its files have other names, sizes or times"):
        SPARK_STAGES["prepare"](spark, config(folder))
    assert not (folder / "warehouse" / "features").exists()
