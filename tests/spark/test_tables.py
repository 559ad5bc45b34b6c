"""A table changes in one commit that names its run, and keeps its constraints."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from deltalake import CommitProperties, QueryBuilder, TableFeatures, Transaction, write_deltalake
from deltalake import DeltaTable as DeltaRsTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from tests.readers import misread

from raresmith.config import parse_config
from raresmith.errors import DataError
from raresmith.gan.data.tables import schema_of
from raresmith.gan.data.tables import write_table as write_with_delta_rs
from raresmith.spark import tables
from raresmith.spark.columns import raw_columns
from raresmith.spark.content_hash import HashedOnTheWay, content_hash
from raresmith.spark.tables import Written, newest_note, read_table, snapshot, write_table
from raresmith.tables.concurrency import Overtaken, despite_others
from raresmith.tables.contracts import Column, Table
from raresmith.tables.stage_run import StageRun

TABLE = Table(
    name="things",
    comment="some things",
    columns=(
        Column(name="id", type="bigint", comment="the id"),
        Column(name="gap", type="double", comment="a gap", nullable=True),
    ),
    checks={"gap_in_unit_interval": "gap >= 0 AND gap < 1"},
)


def run(run_id: str = "r", **inputs: int) -> StageRun:
    document = {"run": {"name": run_id, "warehouse": "w"}, "source": {"path": "raw", "label": "y"}}
    config = parse_config(document, Path("/conf/a.toml")).recording()
    return StageRun(config=config, stage="s", inputs={"a": 1, **inputs})


def operations(spark: SparkSession, location: str) -> list[str]:
    history = DeltaTable.forPath(spark, location).history().orderBy("version").collect()
    return [row["operation"] for row in history]


def while_written(
    df: DataFrame, folder: Path, between: Callable[[], object], write: Callable[[DataFrame], object]
) -> None:
    """`write` the rows of `df`, the first of which comes after `between`."""
    folder.mkdir()
    asked, done = str(folder / "asked"), str(folder / "done")

    def passed_on(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        Path(asked).touch()
        while not Path(done).exists():
            time.sleep(0.01)
        yield from batches

    def other() -> None:
        while not Path(asked).exists():
            time.sleep(0.01)
        try:
            between()
        finally:
            Path(done).touch()

    with ThreadPoolExecutor() as pool:
        others = pool.submit(other)
        try:
            write(df.coalesce(1).mapInArrow(passed_on, df.schema))
        finally:
            Path(asked).touch()
            others.result()


def test_compaction_and_new_properties_make_no_other_version_of_the_rows(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    version = write_table(spark.range(3).selectExpr("id", "0.5D gap").repartition(2), TABLE, location, run()).version
    DeltaTable.forPath(spark, location).optimize().executeCompaction()
    for i in range(20):  # as many commits as are looked at first
        spark.sql(f"ALTER TABLE delta.`{location}` SET TBLPROPERTIES ('seen.by' = '{i}')")
    assert operations(spark, location)[-21:] == ["OPTIMIZE"] + 20 * ["SET TBLPROPERTIES"]
    assert snapshot(spark, location).changed.version == version
    assert run().made(newest_note(spark, location))
    DeltaTable.forPath(spark, location).delete("id = 1")
    assert snapshot(spark, location).changed.version > version


def test_a_table_keeps_its_comments_constraints_and_the_name_of_its_run(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    assert write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run()).rows == 3
    schema = read_table(spark, location).schema
    assert [(f.name, f.nullable, f.metadata["comment"]) for f in schema] == [
        ("id", False, "the id"),
        ("gap", True, "a gap"),
    ]
    detail = DeltaTable.forPath(spark, location).detail().first()
    assert detail is not None
    assert detail["description"] == "some things"
    assert detail["properties"]["delta.constraints.gap_in_unit_interval"] == "gap >= 0 AND gap < 1"
    assert detail["properties"]["raresmith.run_id"] == "r"
    newest = next(row for row in DeltaTable.forPath(spark, location).history().collect() if row["userMetadata"])
    assert json.loads(newest["userMetadata"])["stage"] == "s"
    assert run().made(newest_note(spark, location))
    # As where the process was ended between the rows and the name.
    spark.sql(f"ALTER TABLE delta.`{location}` SET TBLPROPERTIES ('raresmith.run_id' = 'before')")
    write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run())
    assert operations(spark, location).count("WRITE") == 1
    detail = DeltaTable.forPath(spark, location).detail().first()
    assert detail is not None and detail["properties"]["raresmith.run_id"] == "r"


@pytest.mark.parametrize("row", ["id, 1.0D gap", "CAST(NULL AS BIGINT) id, 0.5D gap"])
def test_a_row_that_breaks_a_constraint_leaves_the_old_version(spark: SparkSession, tmp_path: Path, row: str) -> None:
    location = str(tmp_path / "t")
    write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run())
    with pytest.raises(Py4JJavaError, match=r"CHECK constraint|NOT NULL constraint"):
        write_table(spark.range(2).selectExpr(*row.split(", ")), TABLE, location, run("other"))
    assert read_table(spark, location).count() == 3
    assert run().made(newest_note(spark, location))


def test_new_rows_of_the_same_columns_come_in_one_commit(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run())
    before = len(operations(spark, location))
    write_table(spark.range(5).selectExpr("id", "0.25D gap"), TABLE, location, run(a=2))
    assert operations(spark, location)[before:] == ["WRITE"]
    assert read_table(spark, location).count() == 5


def test_new_columns_come_in_the_same_commit_as_their_rows(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run())
    before = len(operations(spark, location))
    wider = Table(
        name="things",
        comment="wider",
        columns=(*TABLE.columns, Column(name="extra", type="string", comment="more")),
        checks=TABLE.checks,
    )
    write_table(spark.range(2).selectExpr("id", "0.5D gap", "'x' extra"), wider, location, run(b=1))
    new = operations(spark, location)[before:]
    assert len([operation for operation in new if operation != "SET TBLPROPERTIES"]) == 1
    assert read_table(spark, location).columns == ["id", "gap", "extra"]
    with pytest.raises(Py4JJavaError, match=r"CHECK constraint|NOT NULL constraint"):
        write_table(
            spark.range(2).selectExpr("CAST(NULL AS BIGINT) id", "0.5D gap", "'x' extra"), wider, location, run()
        )


def test_replacing_the_rows_of_one_run_keeps_the_others(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    write_table(spark.range(4).selectExpr("id", "0.5D gap"), TABLE, location, run())
    one = spark.range(3, 4).selectExpr("id", "0.25D gap")
    assert write_table(one, TABLE, location, run(a=0), replace_where="id = 3").rows == 1
    rows = sorted(tuple(row) for row in read_table(spark, location).collect())
    assert rows == [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.25)]


@pytest.mark.parametrize("condition", ["", "id = 9"])
def test_a_constraint_that_changed_holds_from_the_next_write_on(
    spark: SparkSession, tmp_path: Path, condition: str
) -> None:
    location = str(tmp_path / "t")
    write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run())
    wider = replace(TABLE, checks={"gap_in_unit_interval": "gap >= 0 AND gap < 2"})
    late = spark.range(9, 10).selectExpr("id", "1.5D gap")
    write_table(late, wider, location, run(b=2), replace_where=condition)
    assert read_table(spark, location).where("gap > 1").count() == 1
    assert read_table(spark, location).count() == (4 if condition else 1)
    with pytest.raises((Py4JJavaError, PySparkException), match="gap_in_unit_interval"):
        write_table(spark.range(1).selectExpr("id", "2.5D gap"), wider, location, run(b=3))


def test_files_hold_ranges_and_dictionaries_only_where_they_are_of_use(spark: SparkSession, tmp_path: Path) -> None:
    names = ("id", "gap", "kind")
    columns = tuple(Column(name=n, type="bigint", comment="c", repeats=n == "kind") for n in names)
    table = Table(name="numbers", comment="numbers", columns=columns, ranged_columns=1)
    write_table(spark.range(1000).selectExpr("id", "id gap", "id % 2 kind"), table, str(tmp_path), run())
    assert not [key for key in spark.conf.getAll if "dictionary" in key]
    (file,) = [f for f in tmp_path.glob("*.parquet") if pq.read_metadata(f).num_rows][:1]
    chunks = [pq.read_metadata(file).row_group(0).column(i) for i in range(3)]
    assert [c.has_dictionary_page for c in chunks] == [False, False, True]
    commits = [json.loads(line) for log in (tmp_path / "_delta_log").glob("*.json") for line in log.open()]
    stats = [json.loads(commit["add"]["stats"]) for commit in commits if "add" in commit]
    assert {name for s in stats for name in s.get("maxValues", {})} == {"id"}


def test_names_with_spaces_and_dots_survive(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    names = ["a b", "c.d", "e`f", "select", "g-h", "i;j"]
    table = Table(
        name="odd", comment="odd names", columns=tuple(Column(name=n, type="int", comment="c") for n in names)
    )
    df = spark.createDataFrame([tuple(range(6))], ", ".join(f"`{n.replace('`', '``')}` int" for n in names))
    write_table(df, table, location, run())
    assert read_table(spark, location).columns == names


def test_the_content_hash_is_blind_to_order_but_not_to_a_changed_or_doubled_row(spark: SparkSession) -> None:
    df = spark.range(100).selectExpr("id", "id * 0.5D x")
    assert content_hash(df) == content_hash(df.repartition(7).orderBy("x", ascending=False))
    assert content_hash(df) != content_hash(df.selectExpr("id", "IF(id = 5, 0D, x) x"))
    assert content_hash(df.limit(0)) != content_hash(df.union(df).where("id = 5"))


def test_rows_are_hashed_on_their_way_and_read_back_where_that_cannot_be_trusted(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_back, asked = tables._read_back, []

    def noted(*given: Any) -> Written:
        asked.append(given[2])
        return read_back(*given)

    monkeypatch.setattr(tables, "_read_back", noted)
    kinds = "id bigint, m map<string,int>, a array<double>, v variant, t timestamp, x double, run_id string"
    columns = [Column(name=name, type=kind, comment=name, nullable=True) for name, kind in
               (field.split(" ") for field in kinds.split(", "))]  # fmt: skip
    table = Table(name="things", comment="some things", columns=tuple(columns))
    rows = spark.range(40).selectExpr(
        "id", "map('k', id) m", "array(id, null, -0.0D) a", "parse_json('{\"a\": 1}') v", "timestamp_micros(id) t",
        "IF(id % 3 = 0, NULL, DOUBLE('NaN')) x", "string(id) run_id",
    )  # fmt: skip
    location = str(tmp_path)

    def check(df: DataFrame, of: StageRun, kind: Table = table, condition: str = "", n_read_back: int = 0) -> None:
        written = write_table(df, kind, location, of, replace_where=condition)
        lies_there = read_table(spark, location).where(condition or "true").drop("run_id")
        assert written.content_hash == content_hash(lies_there) and written.rows == lies_there.count()
        assert asked == n_read_back * [of]
        asked.clear()

    check(rows.repartition(3), run("first"))
    check(rows.where("id < 7"), run("some"), condition="id < 9")
    check(rows.where("false"), run("none"), condition="id < 9")
    check(rows.repartition(2), run("again"))
    check(rows, run("again"), n_read_back=1)  # an equal run's rows are left as they are
    wider = replace(table, columns=(*table.columns, Column(name="y", type="int", comment="y", nullable=True)))
    check(rows.selectExpr("*", "1 y"), run("wider"), wider, n_read_back=1)  # Spark does not tell
    monkeypatch.setattr(HashedOnTheWay, "digest", lambda self: "00000000075bcd15-41")  # a task was counted twice
    check(rows.selectExpr("*", "1 y"), run("twice"), wider, n_read_back=1)


def test_values_within_maps_and_arrays_count_in_the_content_hash(spark: SparkSession) -> None:
    one, other = (
        spark.sql(f"SELECT map('k', {value}) m, array(1, {value}) a, named_struct('x', {value}) s")
        for value in ("CAST(NULL AS INT)", "2")
    )
    for name in ("m", "a", "s"):
        assert content_hash(one.select(name)) != content_hash(other.select(name))


def test_a_missing_table_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no Delta table at .*nothing; run the stage"):
        read_table(spark, str(tmp_path / "nothing"))


@pytest.mark.parametrize("writer", ["Spark", "delta-rs"])
def test_a_column_that_came_later_is_null_in_the_rows_that_stay(
    spark: SparkSession, tmp_path: Path, writer: str
) -> None:
    location = str(tmp_path / "t")
    write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run())
    wider = replace(TABLE, columns=(*TABLE.columns, Column(name="note", type="string", comment="new", nullable=True)))
    later = run("r2")
    if writer == "Spark":
        one = spark.sql("SELECT 2L id, 0.25D gap, 'later' note")
        assert write_table(one, wider, location, later, replace_where="id = 2").rows == 1
    else:
        note = pa.Table.from_pylist([{"id": 2, "gap": 0.25, "note": "later"}], schema_of(wider))
        assert write_with_delta_rs(wider, location, note.to_reader(), later, predicate="id = 2") == 1
    spark.catalog.clearCache()
    rows = [tuple(row) for row in read_table(spark, location).orderBy("id").collect()]
    assert rows == [(0, 0.5, None), (1, 0.5, None), (2, 0.25, "later")]
    with pytest.raises(PySparkException, match="CHECK constraint"):
        write_table(spark.sql("SELECT 2L id, 7D gap, '' note"), wider, location, run("r3"), replace_where="id = 2")


def test_fields_within_a_column_may_be_called_anything(spark: SparkSession, tmp_path: Path) -> None:
    inner = "named_struct('a b', id, 'c-d', map('x', array(named_struct('e`f, (g)', id))))"
    df = spark.range(3).selectExpr("id", f"{inner} AS odd")
    location = str(tmp_path / "t")
    table = Table(name="things", comment="some things", columns=raw_columns(df.schema))
    for other in (run(), run(run_id="other")):
        assert write_table(df, table, location, other).rows == 3
    assert sorted(read_table(spark, location).collect()) == sorted(df.collect())
    found = pa.table(QueryBuilder().register("t", DeltaRsTable(location)).execute("SELECT odd FROM t ORDER BY id"))
    assert found.column("odd").to_pylist() == df.orderBy("id").toArrow().column("odd").to_pylist()


def test_a_commit_in_between_is_said_in_a_sentence_whatever_delta_calls_it(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    few = pa.Table.from_pylist([{"id": 7, "gap": 0.5}], schema_of(TABLE))
    commit = CommitProperties(app_transactions=[Transaction(run().app_id(TABLE.name), 1)])
    wider = replace(TABLE, columns=(*TABLE.columns, Column(name="note", type="string", comment="new", nullable=True)))
    asked: dict[str, Callable[[], object]] = {
        "ConcurrentTransactionException": lambda: write_deltalake(
            location, few, mode="append", commit_properties=commit
        ),
        "ConcurrentAppendException": lambda: write_deltalake(location, few, mode="overwrite"),
        "ConcurrentDeleteReadException": lambda: DeltaRsTable(location).delete(),
        "MetadataChangedException": lambda: DeltaRsTable(location).alter.set_table_properties(
            {"a.b": "c"}, raise_if_not_exists=False
        ),
    }
    found = {}
    for kind, between in asked.items():
        write_table(spark.range(3).selectExpr("id", "0.5D gap"), TABLE, location, run("other"))
        with pytest.raises(Overtaken, match=r"another process writes to .*/t at the same time; run s again") as refused:
            while_written(
                spark.range(9).selectExpr("id", "0.25D gap"),
                tmp_path / kind,
                between,
                lambda df: write_table(df, TABLE, location, run()),
            )
        found[kind] = type(refused.value.__cause__).__name__
        assert read_table(spark, location).where("gap = 0.25").isEmpty()
    assert found == {kind: kind for kind in asked}
    with pytest.raises(Overtaken):  # new columns, which come by another of Delta's commands
        while_written(
            spark.range(9).selectExpr("id", "0.25D gap", "'x' note"),
            tmp_path / "wider",
            asked["ConcurrentAppendException"],
            lambda df: write_table(df, wider, location, run()),
        )
    # New features change no row, so that Delta lets these rows come after; those that are there are lost if not named.
    features = [TableFeatures.AppendOnly, TableFeatures.CheckConstraints, TableFeatures.Invariants]
    while_written(
        spark.range(9).selectExpr("id", "0.25D gap"),
        tmp_path / "features",
        lambda: DeltaRsTable(location).alter.add_feature(features, True),
        lambda df: write_table(df, TABLE, location, run()),
    )
    assert read_table(spark, location).where("gap = 0.25").count() == 9


def test_an_equal_run_in_between_or_before_has_done_the_work(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    rows = spark.range(5).selectExpr("id", "0.5D gap")
    written = {}

    def write(who: str, df: DataFrame = rows) -> None:
        written[who] = write_table(df, TABLE, location, run())

    while_written(rows, tmp_path / "twin", lambda: write("first"), lambda df: write("second", df))
    write("third")
    assert written["second"] == written["third"] == replace(written["first"], made_before=True)
    assert not written["first"].made_before and written["first"].rows == 5
    assert operations(spark, location) == ["CREATE TABLE", "WRITE"]
    # Not where somebody changed the rows since.
    DeltaTable.forPath(spark, location).delete("id = 1")
    write("fourth")
    assert written["fourth"].rows == 5 and not written["fourth"].made_before


def test_runs_that_begin_a_table_at_once_end_with_the_rows_of_all(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")

    def write(first: int) -> int:
        rows = spark.range(first, first + 10).selectExpr("id", "0.5D gap")
        condition = f"id >= {first} AND id < {first + 10}"
        return despite_others(
            lambda: write_table(rows, TABLE, location, run(f"from{first}"), replace_where=condition).rows
        )

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(write, [0, 10, 20])) == [10, 10, 10]
    assert read_table(spark, location).count() == 30


ODD = "a ü#?*+='\"{&;:~😀 " + "x" * 150


def test_a_path_of_odd_characters_is_the_same_place_for_every_engine(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / ODD)
    rows = spark.range(3).selectExpr("id", "0.5D gap")
    assert write_table(rows, TABLE, location, run()).rows == 3
    few = pa.Table.from_pylist([{"id": 7, "gap": 0.25}], schema_of(TABLE))
    assert write_with_delta_rs(TABLE, location, few.to_reader(), run("other")) == 1
    assert snapshot(spark, location).note["run_id"] == "other"
    assert [tuple(row) for row in read_table(spark, location).collect()] == [(7, 0.25)]
    assert write_table(rows, TABLE, location, run("third")).rows == 3
    assert misread(location, [{"id": i, "gap": 0.5} for i in range(3)]) == {}
    assert [found.name for found in tmp_path.iterdir()] == [ODD]
