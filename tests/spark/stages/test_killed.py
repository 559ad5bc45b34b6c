"""A stage that was killed anywhere and is begun again leaves and says what it would have left and said without."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from tests.deploy.small_run import noted_stages

from raresmith.config import Config, parse_config
from raresmith.errors import DataError
from raresmith.gan.ranks import start
from raresmith.gan.train import refine
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.stages.context import Context
from raresmith.spark.tables import Written
from raresmith.tables.contracts import Table
from raresmith.tables.stage_report import StageReport

STAGES = ("prepare", "oversample", "refine", "evaluate", "publish")
SEEN = ("*/_delta_log/*.json", "models/*/model.json", "report/*.html")
"""What a run leaves for others to see, one after the other: commits, the model, the page."""


def config(raw: Path, warehouse: Path) -> Config:
    """A run that has something to count and to say in every stage."""
    document: dict[str, Any] = {
        "run": {"name": "r", "warehouse": str(warehouse)},
        "source": {"path": str(raw), "label": "y", "key": ["id"], "timestamp": "at", "ignore": ["card"]},
        "oversample": {"sampling_strategy": 0.5, "neighbors": "cells", "cleaning": "tomek"},
        "refine": {"steps": 20, "device": "cpu"},
        "evaluate": {
            "strategies": ["none", "refined"],
            "entity": "card",
            "bootstrap": 20,
            "classifiers": {"random_forest": {"num_trees": 3, "max_depth": 3}},
        },
        "publish": {"min_distance": 0.3, "constraints": {"ranges": {"x": {"low": -1, "high": 8}}}},
    }
    return parse_config(document, raw.with_name("r.toml"))


def work(spark: SparkSession, stage: str, of: Config) -> StageReport:
    return refine(of, start("cpu")) if stage == "refine" else SPARK_STAGES[stage](spark, of)


def told(report: StageReport) -> tuple[dict[str, int], str, str]:
    return report.rows, report.words, report.verdict.partition("\nReport: ")[0]  # which lies in the warehouse


def noted(warehouse: Path) -> dict[str, dict[str, Any]]:
    notes = noted_stages(warehouse)
    return {stage: {key: said for key, said in note.items() if key != "seconds"} for stage, note in notes.items()}


def changes(warehouse: Path) -> list[Path]:
    """The files of SEEN in the order in which they came."""
    found = sorted((path.stat().st_mtime_ns, path) for pattern in SEEN for path in warehouse.glob(pattern))
    return [path.relative_to(warehouse) for _, path in found]


@dataclass(frozen=True)
class Run:
    """A run that nothing disturbed."""

    raw: Path
    warehouse: Path
    reports: dict[str, StageReport]
    ends: dict[str, int]
    """How many changes there were after each stage."""

    def places(self, stage: str) -> list[int]:
        """After how many changes `stage` may have been killed: after the first of its own, before the last.

        A table that is there and empty is left to the cheapest of the stages: the others meet it in the same way.
        """
        before = self.ends[STAGES[STAGES.index(stage) - 1]] if stage != "prepare" else 0
        came = dict(enumerate(changes(self.warehouse), start=1))
        every = range(before + 1, self.ends[stage])
        return [n for n in every if stage in ("refine", "publish") or came[n].stem != f"{0:020}"]

    def killed_after(self, place: int, warehouse: Path) -> Config:
        """The run in `warehouse` as it was after that many changes."""
        shutil.copytree(self.warehouse, warehouse)
        for path in changes(self.warehouse)[place:]:
            for file in (warehouse / path.parent).glob(f"*{path.stem}*"):  # a commit's checksums as well
                file.unlink()
        for log in warehouse.glob("*/_delta_log"):
            if not any(log.glob("*.json")):
                shutil.rmtree(log.parent)
        return config(self.raw, warehouse)


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("undisturbed")
    rows = spark.range(400).selectExpr(
        "IF(id = 399, 7, id) id",
        "pmod(xxhash64(id, 1), 40) card",
        "timestamp_seconds(1.7e9 + id * 600) at",
        "IF(id % 50 = 3, NULL, IF(id IN (31, 62, 93), 1e30, pmod(xxhash64(id, 2), 1009) / 100)) x",
        "IF(id % 60 = 7, NULL, concat('k', pmod(xxhash64(id, 3), 3))) kind",
        "pmod(xxhash64(id, 4), 1009) / 100 + IF(id % 5 = 0, 4, 0) z",
        "IF(id = 11, NULL, int(id % 5 = 0)) y",
    )
    rows.coalesce(1).write.parquet(str(folder / "raw"))
    settings, reports, ends = config(folder / "raw", folder / "warehouse"), {}, {}
    for stage in STAGES:
        reports[stage] = work(spark, stage, settings)
        ends[stage] = len(changes(folder / "warehouse"))
    return Run(raw=folder / "raw", warehouse=folder / "warehouse", reports=reports, ends=ends)


def test_every_stage_has_something_to_count_and_to_say(undisturbed: Run) -> None:
    """Else the tests below would see nothing that is lost."""
    said = {stage: str(report) for stage, report in undisturbed.reports.items()}
    for stage, parts in {
        "prepare": ("duplicate key", "null label", "imputed", "a category of its own", "out of all proportion"),
        "oversample": ("removed", "of the true neighbours found"),
        "refine": ("refined", "numbers lay outside"),
        "evaluate": ("metrics", "\nReport: "),
        "publish": ("original", "refined", "too close", "x from -1 to 8: broken by"),
    }.items():
        assert not [part for part in parts if part not in said[stage]], said[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_killed_anywhere_a_stage_leaves_and_says_the_same_in_the_end(
    spark: SparkSession, undisturbed: Run, tmp_path: Path, stage: str
) -> None:
    page = "report/r.html"
    for place in undisturbed.places(stage):
        warehouse = tmp_path / str(place)
        killed = undisturbed.killed_after(place, warehouse)
        assert told(work(spark, stage, killed)) == told(undisturbed.reports[stage]), place
        assert noted(warehouse)[stage] == noted(undisturbed.warehouse)[stage], place
        if stage == "evaluate":
            assert (warehouse / page).read_text() == (undisturbed.warehouse / page).read_text(), place
        assert sorted(changes(warehouse)) == sorted(changes(undisturbed.warehouse)[: undisturbed.ends[stage]]), place


def test_a_stage_that_was_done_before_says_again_what_it_said(spark: SparkSession, undisturbed: Run) -> None:
    settings, before = config(undisturbed.raw, undisturbed.warehouse), changes(undisturbed.warehouse)
    for stage, report in undisturbed.reports.items():
        again = work(spark, stage, settings)
        assert again.unchanged and told(again) == told(report)
    assert changes(undisturbed.warehouse) == before


LATER = {"prepare": "oversample evaluate publish", "oversample": "evaluate publish", "refine": "evaluate publish"}


def test_rows_that_runs_does_not_tell_of_are_no_input(spark: SparkSession, undisturbed: Run, tmp_path: Path) -> None:
    for stage, later in LATER.items():
        ended = undisturbed.killed_after(undisturbed.ends["publish"], tmp_path / stage)
        DeltaTable(tmp_path / stage / "runs").delete(f"stage = '{stage}'")
        for next_one in later.split():
            with pytest.raises(DataError, match=rf"^{stage} was ended between its rows in .* and its note in runs"):
                work(spark, next_one, ended)


def test_rows_taken_out_under_other_settings_are_no_input_and_are_taken_out_anew(
    spark: SparkSession, undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between two tables of one stage."""
    ours = undisturbed.killed_after(undisturbed.ends["publish"], tmp_path / "w")
    written = Context.write

    def killed(self: Context, rows: DataFrame, contract: Table, *more: Any) -> Written:
        if contract.name == "synthetic":
            raise KeyboardInterrupt
        return written(self, rows, contract, *more)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Context, "write", killed)
        work(spark, "oversample", ours.replaced(oversample=ours.oversample.replaced(cleaning="enn")))
    with pytest.raises(DataError, match=r"^oversample was ended between its rows in removed of "):
        work(spark, "publish", ours)
    assert told(work(spark, "oversample", ours)) == told(undisturbed.reports["oversample"])
    assert work(spark, "oversample", ours).unchanged


def test_figures_that_a_run_of_other_settings_left_are_made_again(
    spark: SparkSession, undisturbed: Run, tmp_path: Path
) -> None:
    ours = undisturbed.killed_after(undisturbed.ends["publish"], tmp_path / "w")
    assert work(spark, "evaluate", ours).unchanged
    DeltaTable(tmp_path / "w" / "metrics").update(updates={"value": "0"}, predicate="split = 'test'")
    again = work(spark, "evaluate", ours)
    assert not again.unchanged and told(again) == told(undisturbed.reports["evaluate"])
    assert noted(tmp_path / "w")["evaluate"]["content_hash"] == noted(undisturbed.warehouse)["evaluate"]["content_hash"]
