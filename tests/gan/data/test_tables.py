"""The trainer's tables: several processes that write one, and what other runs wrote."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, TableFeatures, write_deltalake

from raresmith.config import Config, parse_config
from raresmith.encoding.encoder import Encoder, Label
from raresmith.errors import DataError
from raresmith.gan.data.tables import (
    location,
    newest_note,
    query,
    read_encoder,
    read_own,
    read_table,
    refine_run,
    schema_of,
    write_table,
)
from raresmith.tables import contracts
from raresmith.tables.concurrency import Overtaken, despite_others
from raresmith.tables.contracts import Column, Table
from raresmith.tables.stage_run import StageRun

TABLE = Table(
    name="things",
    comment="some things",
    columns=(
        Column(name="run_id", type="string", comment="the run"),
        Column(name="gap", type="double", comment="a gap"),
    ),
    checks={"gap_in_unit_interval": "gap >= 0 AND gap < 1"},
)


def config(folder: Path, name: str = "p") -> Config:
    document = {"run": {"name": name, "warehouse": str(folder)}, "source": {"path": "raw", "label": "y"}}
    return parse_config(document, folder / "a.toml")


def run(name: str = "p", stage: str = "refine", features: int = 1) -> StageRun:
    return StageRun(config=config(Path("/conf"), name).recording(), stage=stage, inputs={"features": features})


def batches(run_id: str, rows: int, between: Callable[[], object] = lambda: None) -> pa.RecordBatchReader:
    """Rows to write, and what happens when the first is asked for."""

    def made() -> Iterator[pa.RecordBatch]:
        # In a thread of its own, for this one is Rust's.
        other = threading.Thread(target=between)
        other.start()
        other.join()
        yield from pa.Table.from_pylist(rows * [{"run_id": run_id, "gap": 0.5}], schema_of(TABLE)).to_batches()

    return pa.RecordBatchReader.from_batches(schema_of(TABLE), made())


def rows_of(path: str) -> dict[str, int]:
    found = query(read_table(path), "SELECT run_id, count(*) AS n FROM t GROUP BY run_id").read_all()
    return dict(zip(found["run_id"].to_pylist(), found["n"].to_pylist(), strict=True))


IN_BETWEEN: dict[str, Callable[[str], object]] = {
    "rows": lambda path: write_table(TABLE, path, batches("r", 2), run("r")),
    "a deletion": lambda path: DeltaTable(path).delete(),
    "a property": lambda path: DeltaTable(path).alter.set_table_properties({"a.b": "c"}, raise_if_not_exists=False),
    "a feature": lambda path: DeltaTable(path).alter.add_feature(TableFeatures.AppendOnly, True),
}


@pytest.mark.parametrize("what", IN_BETWEEN)
def test_a_commit_in_between_is_said_in_a_sentence_and_kept(tmp_path: Path, what: str) -> None:
    path = str(tmp_path / "t")
    write_table(TABLE, path, batches("q", 1), run("q"))
    before = newest_note(path)["commit"]
    with pytest.raises(Overtaken, match=r"another process writes to .*/t at the same time; run refine again"):
        write_table(TABLE, path, batches("p", 3, lambda: IN_BETWEEN[what](path)), run())
    assert "p" not in rows_of(path) and (newest_note(path)["commit"] == before) is (what != "rows")
    assert write_table(TABLE, path, batches("p", 3), run()) == 3
    assert rows_of(path) == {"p": 3}


def test_an_equal_run_in_between_or_before_has_done_the_work(tmp_path: Path) -> None:
    path = str(tmp_path / "t")
    write_table(TABLE, path, batches("q", 1), run("q"))
    twin = []
    between = lambda: twin.append(write_table(TABLE, path, batches("p", 3), run()))  # noqa: E731
    assert write_table(TABLE, path, batches("p", 3, between), run()) == 3
    version = DeltaTable(path).version()
    assert write_table(TABLE, path, batches("p", 3), run()) == 3
    assert twin == [3] and rows_of(path) == {"p": 3} and DeltaTable(path).version() == version
    # Not where somebody changed the rows since.
    write_deltalake(path, batches("p", 1), mode="append")
    assert write_table(TABLE, path, batches("p", 3), run()) == 3 and rows_of(path) == {"p": 3}


def write_own(path: str, name: str, start: Barrier) -> None:
    """Replace the rows of the run called `name`, from all processes at once."""
    start.wait()
    despite_others(lambda: write_table(TABLE, path, batches(name, 2), run(name), predicate=f"run_id = '{name}'"))


def test_runs_that_begin_a_table_at_once_end_with_the_rows_of_all(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    path = str(tmp_path / "t")
    processes = [context.Process(target=write_own, args=(path, name, start)) for name in "ppq"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert rows_of(path) == {"p": 2, "q": 2}
    assert "delta.constraints.gap_in_unit_interval" in DeltaTable(path).metadata().configuration


@pytest.mark.parametrize("features", "pq")
@pytest.mark.parametrize("synthetic", "pq")
def test_what_another_run_wrote_is_refused(tmp_path: Path, features: str, synthetic: str) -> None:
    ours = config(tmp_path)
    for table, stage, name in (("features", "prepare", features), ("synthetic", "oversample", synthetic)):
        for first in {"p", "q"} - {name}:
            write_table(TABLE, location(ours, table), batches(first, 1), run(first, stage))
        write_table(TABLE, location(ours, table), batches(name, 1), run(name, stage))
    strange = {"features": features, "synthetic": synthetic}
    if found := [table for table, name in strange.items() if name != "p"]:
        with pytest.raises(
            DataError, match=rf"^{found[0]} in .* was written by \w+ of the run q, not of the run p; give "
        ):
            refine_run(ours)
    else:
        inputs = refine_run(ours).inputs
        assert inputs == refine_run(ours, int(inputs["features"]), int(inputs["synthetic"])).inputs
        for table in strange:
            times = {info["version"]: info["timestamp"] for info in DeltaTable(location(ours, table)).history()}
            assert inputs[f"{table} committed"] == times[inputs[table]]
    for table, name in strange.items():
        if name == "q":
            with pytest.raises(DataError, match=r"go on with those rows by its run\.name and logical date, or run"):
                read_own(ours, table)


def test_an_encoder_that_is_not_that_of_the_features_is_refused(tmp_path: Path) -> None:
    ours = config(tmp_path)
    label = Label(name="y", type="int", classes=("0", "1"), positive="1")
    encoder = Encoder(features=(), label=label, raw_schema="{}")
    document = {"run_id": "p", "document": encoder.to_json(), "settings": "{}"}

    def write(name: str, features: int) -> None:
        rows = pa.Table.from_pylist([document], schema_of(contracts.encoder())).to_reader()
        of = run(name, "prepare", features)
        write_table(contracts.encoder(), location(ours, "encoder"), rows, of)

    write_table(TABLE, location(ours, "features"), batches("p", 1), run("p", "prepare"))
    write("q", 1)
    with pytest.raises(DataError, match=r"^encoder in .* was written by prepare of the run q, not of the run p"):
        read_encoder(ours)
    write("p", 2)
    with pytest.raises(DataError, match=r"were not encoded by the encoder there, .*; run prepare again"):
        read_encoder(ours)
    write("p", 1)
    assert read_encoder(ours) == encoder


def test_a_store_that_does_not_answer_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "ENDPOINT_URL": "http://127.0.0.1:9", "ALLOW_HTTP": "true"}
    for key, value in told.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    with pytest.raises(DataError) as refused:
        read_table("s3a://bucket/warehouse/features")
    assert "Connection refused" in str(refused.value) and "set AWS_ACCESS_KEY_ID" in str(refused.value)
    assert "\n" not in str(refused.value) and "\x1b" not in str(refused.value)
