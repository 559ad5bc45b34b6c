"""Two runs that write to one warehouse: none takes the other's rows for its own."""

import functools
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from raresmith.config import Config, parse_config
from raresmith.errors import DataError
from raresmith.spark.stages import SPARK_STAGES, ledger
from raresmith.spark.stages.context import Context
from raresmith.spark.tables import write_table
from raresmith.tables.contracts import Column, Table
from raresmith.tables.stage_run import StageRun

WRITES = {"prepare": "features", "oversample": "synthetic"}
FOREIGN = (
    r"^{table} in .*warehouse was written by {stage} of the run q, not of the run p; give each run a run.warehouse"
)


def config(folder: Path, name: str = "p", day: str = "", **sections: Any) -> Config:
    document = {
        "run": {"name": name, "warehouse": str(folder / "warehouse"), "incremental": bool(day)},
        "source": {"path": str(folder / f"raw-{name}"), "label": "y", "key": ["id"]},
        "split": {"strategy": "hash"},
        "evaluate": {"strategies": ["none", "smote"], "bootstrap": 20},
        "publish": {"source": "smote"},
        **sections,
    }
    return parse_config(document, folder / "a.toml", day)


def write(spark: SparkSession, of: Config, table: str) -> None:
    """One row of `of` in `table`, instead of what was there, and the note of its stage."""
    columns = tuple(Column(name=name, type="string", comment="c") for name in ("run_id", "x"))
    contract = Table(name=table, comment="c", columns=columns)
    stage = next(stage for stage, written in WRITES.items() if written == table)
    row = spark.range(1).selectExpr(f"'{of.run_id}' run_id", "'1' x")
    run = StageRun(config=of.recording(), stage=stage, inputs={"source": "s"})
    written = write_table(row, contract, f"{of.run.warehouse}/{table}", run)
    ledger.finish(Context(spark=spark, config=of), run, written, {table: 1})


def test_of_all_interleavings_of_two_runs_those_end_well_that_do_not_mix(spark: SparkSession, tmp_path: Path) -> None:
    for name, table in itertools.product("pq", WRITES.values()):
        write(spark, config(tmp_path / name, name), table)
    folders = {}
    for features, synthetic in itertools.product("pq", repeat=2):
        folder = folders[features, synthetic] = tmp_path / f"{features}-{synthetic}"
        for table, name in (("features", features), ("synthetic", synthetic), ("runs", "p")):
            shutil.copytree(tmp_path / name / "warehouse" / table, folder / "warehouse" / table)

    @functools.cache
    def refusal(stage: str, features: str, synthetic: str) -> str:
        """What `stage` of the run p says where these runs wrote the newest rows."""
        with pytest.raises(DataError) as refused:  # for there is nothing else in the warehouse
            SPARK_STAGES[stage](spark, config(folders[features, synthetic]))
        return str(refused.value)

    def ends(order: tuple[str, ...]) -> list[str]:
        """The runs that publish, where their stages come in `order`; one that is refused does not go on."""
        newest = {"features": "", "synthetic": ""}
        stages = {name: iter(("prepare", "oversample", "evaluate", "publish")) for name in "pq"}
        going = {"p", "q"}
        for name in order:
            stage = next(stages[name])
            if name not in going:
                continue
            ours = {table: "p" if by == name else "q" for table, by in newest.items()}  # as if it were p
            if stage != "prepare" and "was written by" in refusal(stage, **ours):
                going.remove(name)
            elif stage == "publish":
                assert ours == {"features": "p", "synthetic": "p"}
            elif stage in WRITES:
                newest[WRITES[stage]] = name
        return sorted(going)

    orders = sorted(set(itertools.permutations("ppppqqqq")))
    ended = {order: ends(order) for order in orders}
    assert len(orders) == 70
    assert {"".join(order) for order, runs in ended.items() if len(runs) == 2} == {"ppppqqqq", "qqqqpppp"}
    assert all(len(runs) == 1 for order, runs in ended.items() if "".join(order) not in ("ppppqqqq", "qqqqpppp"))


def test_inputs_are_read_as_they_were_when_the_stage_began(spark: SparkSession, tmp_path: Path) -> None:
    ours, other = config(tmp_path), config(tmp_path, "q")
    write(spark, ours, "features")
    ctx = Context(spark=spark, config=ours)
    inputs = ctx.inputs("features")
    write(spark, other, "features")
    assert [row["run_id"] for row in ctx.read("features").collect()] == ["p"]
    with pytest.raises(DataError, match=FOREIGN.format(table="features", stage="prepare")):
        Context(spark=spark, config=ours).inputs("features")
    write(spark, ours, "features")
    assert Context(spark=spark, config=ours).inputs("features") != inputs


def test_a_table_that_was_deleted_and_made_again_is_another_input(spark: SparkSession, tmp_path: Path) -> None:
    ours, inputs = config(tmp_path), []
    for _ in range(2):
        write(spark, ours, "features")
        inputs.append(Context(spark=spark, config=ours).inputs("features"))
        shutil.rmtree(Path(ours.run.warehouse) / "features")
    assert inputs[0]["features"] == inputs[1]["features"]  # the version
    assert Context(spark=spark, config=ours).run("evaluate", **inputs[0]).fingerprint != (
        Context(spark=spark, config=ours).run("evaluate", **inputs[1]).fingerprint
    )


def raw(spark: SparkSession, folder: Path, name: str) -> None:
    rows = spark.range(120).selectExpr("id", f"sin(id + {len(folder.name)} + ascii('{name}')) x", "int(id % 5 = 0) y")
    rows.coalesce(1).write.parquet(str(folder / f"raw-{name}"))


def test_a_stage_refuses_what_another_run_or_half_a_prepare_left(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "pq":
        raw(spark, tmp_path, name)
    ours, changed = config(tmp_path), config(tmp_path, prepare={"normalise": "robust"})
    SPARK_STAGES["prepare"](spark, ours)

    # Ended between the encoder and the features.
    written = Context.write

    def killed(self: Context, rows: DataFrame, contract: Table, *more: Any, **notes: Any) -> Any:
        if contract.name == "features":
            raise KeyboardInterrupt
        return written(self, rows, contract, *more, **notes)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Context, "write", killed)
        SPARK_STAGES["prepare"](spark, changed)
    for settings in (ours, changed):
        with pytest.raises(DataError, match=r"were not encoded by the encoder there, .*; run prepare again"):
            SPARK_STAGES["oversample"](spark, settings)
    assert not SPARK_STAGES["prepare"](spark, ours).unchanged  # though the features are those already
    assert SPARK_STAGES["prepare"](spark, ours).unchanged
    assert SPARK_STAGES["oversample"](spark, ours).rows["synthetic"] > 0

    SPARK_STAGES["prepare"](spark, config(tmp_path, "q"))
    for stage in ("oversample", "evaluate"):
        with pytest.raises(DataError, match=FOREIGN.format(table="features", stage="prepare")):
            SPARK_STAGES[stage](spark, ours)
    with pytest.raises(
        DataError, match=r"^synthetic in .* written by oversample of the run p, not of the run q; .*again$"
    ):
        SPARK_STAGES["publish"](spark, config(tmp_path, "q"))


def test_a_day_whose_rows_are_gone_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    raw(spark, tmp_path, "p")
    day = config(tmp_path, day="2026-01-01")
    SPARK_STAGES["prepare"](spark, day)
    assert SPARK_STAGES["prepare"](spark, day).unchanged
    features = DeltaTable.forPath(spark, f"{day.run.warehouse}/features")
    features.delete("row_id = 7")
    with pytest.raises(
        DataError, match=r"features does not hold the rows that prepare of the run p-2026-01-01 wrote; "
    ):
        SPARK_STAGES["oversample"](spark, day)
    assert not SPARK_STAGES["prepare"](spark, day).unchanged
    assert features.toDF().count() == 120
