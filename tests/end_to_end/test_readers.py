"""The tables as data engineers query them: Spark SQL, delta-rs and DuckDB see the same, and the contracts hold."""

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import DeltaError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from tests.deploy.small_run import TABLES

from raresmith.config import Config
from raresmith.spark.columns import raw_columns
from raresmith.spark.stages.context import Context
from raresmith.tables import contracts
from raresmith.tables.contracts import Table

WRITERS = {"features": "prepare", "quarantine": "prepare", "encoder": "prepare", "synthetic": "oversample"} | {
    "refined": "refine",
    "metrics": "evaluate",
    "augmented": "publish",
}
"""The stage that writes each table; all of them write `runs`."""


@pytest.fixture(scope="session")
def promised(spark: SparkSession, finished_run: Config) -> dict[str, Table]:
    """The contract of each table of the run."""
    encoder = Context(spark=spark, config=finished_run).encoder()
    source = spark.read.format(finished_run.source.format).load(finished_run.source.path)
    raw = raw_columns(source.schema)
    tables = [
        contracts.features(encoder),
        contracts.quarantine(raw),
        contracts.encoder(),
        contracts.synthetic(encoder),
        contracts.refined(encoder),
        contracts.metrics(),
        contracts.augmented(raw),
        contracts.runs(),
    ]
    return {table.name: table for table in tables}


def _sorted_rows(table: pa.Table, schema: pa.Schema) -> list[str]:
    return sorted(map(repr, table.select(schema.names).cast(schema).to_pylist()))


@pytest.mark.parametrize("name", TABLES)
def test_spark_delta_rs_and_duckdb_read_the_same_rows(spark: SparkSession, finished_run: Config, name: str) -> None:
    path = f"{finished_run.run.warehouse}/{name}"
    by_spark = spark.sql(f"SELECT * FROM delta.`{path}`").toArrow()
    expected = _sorted_rows(by_spark, by_spark.schema)
    table = DeltaTable(path)
    by_delta_rs = pa.table(QueryBuilder().register("t", table).execute("SELECT * FROM t"))
    assert _sorted_rows(by_delta_rs, by_spark.schema) == expected
    # DuckDB's delta extension has to be downloaded; the files that delta-rs names are enough for it.
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        by_duckdb = connection.execute("SELECT * FROM read_parquet(?)", [table.file_uris()]).fetch_arrow_table()
    assert _sorted_rows(by_duckdb, by_spark.schema) == expected
    assert len(expected) > 0


@pytest.mark.parametrize("name", TABLES)
def test_each_table_says_what_it_and_its_columns_are(
    spark: SparkSession, finished_run: Config, promised: dict[str, Table], name: str
) -> None:
    contract, path = promised[name], f"{finished_run.run.warehouse}/{name}"
    wanted = [(c.name, c.type, c.comment) for c in contract.columns]
    described = spark.sql(f"DESCRIBE TABLE delta.`{path}`").collect()
    assert [(row["col_name"], row["data_type"], row["comment"]) for row in described] == wanted
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first()
    assert detail is not None
    table = DeltaTable(path)
    fields = table.schema().fields
    assert [(f.name, f.metadata["comment"], f.nullable) for f in fields] == [
        (c.name, c.comment, c.nullable) for c in contract.columns
    ]
    assert detail["description"] == table.metadata().description == contract.comment


@pytest.mark.parametrize("name", TABLES)
def test_each_table_carries_its_constraints_and_names_the_run(
    finished_run: Config, promised: dict[str, Table], name: str
) -> None:
    properties = DeltaTable(f"{finished_run.run.warehouse}/{name}").metadata().configuration
    checks = {key: value for key, value in properties.items() if key.startswith("delta.constraints.")}
    assert checks == {f"delta.constraints.{check}": sql for check, sql in promised[name].checks.items()}
    assert properties["raresmith.table"] == name
    assert properties["raresmith.run_id"] == finished_run.run_id


@pytest.mark.parametrize("name", TABLES)
def test_the_history_names_run_and_stage(spark: SparkSession, finished_run: Config, name: str) -> None:
    path = f"{finished_run.run.warehouse}/{name}"
    by_spark = [row["userMetadata"] for row in spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()]
    by_delta_rs = [commit.get("userMetadata") for commit in DeltaTable(path).history()]
    assert by_spark == by_delta_rs
    told = [json.loads(text) for text in by_spark if text]
    assert {note["run_id"] for note in told} == {finished_run.run_id}
    assert {note["stage"] for note in told} == ({WRITERS[name]} if name in WRITERS else set(WRITERS.values()))


BAD_ROWS: list[tuple[str, str, Any]] = [
    ("features", "split", "holdout"),
    ("features", "label", -1),
    ("features", "row_id", None),
    ("synthetic", "gap", 1.0),
    ("synthetic", "base_row_id", None),
    ("synthetic", "neighbor_row_id", None),
    ("refined", "score", 1.5),
    ("refined", "label", -1),
    ("augmented", "origin", "somewhere"),
    ("augmented", "origin", "smote"),  # an original's, which has no parent
    ("augmented", "run_id", None),
]


@pytest.mark.parametrize(("name", "column", "value"), BAD_ROWS)
def test_both_writers_are_refused_a_row_that_breaks_the_contract(
    spark: SparkSession, finished_run: Config, tmp_path: Path, name: str, column: str, value: Any
) -> None:
    path = str(shutil.copytree(f"{finished_run.run.warehouse}/{name}", tmp_path / name))
    table = DeltaTable(path)
    chosen = "WHERE origin = 'original'" if name == "augmented" else ""
    found = pa.table(QueryBuilder().register("t", table).execute(f"SELECT * FROM t {chosen} LIMIT 1"))
    row = found.cast(pa.schema(spark.read.format("delta").load(path).limit(0).toArrow().schema))
    position = row.schema.get_field_index(column)
    field = row.schema.field(position).with_nullable(True)
    bad = row.set_column(position, field, pa.array([value], field.type))

    with pytest.raises(DeltaError):
        write_deltalake(path, bad, mode="append")
    with pytest.raises(
        (PySparkException, Py4JJavaError), match=r"DELTA_VIOLATE_CONSTRAINT|DELTA_NOT_NULL_CONSTRAINT_VIOLATED"
    ):
        spark.createDataFrame(bad).write.format("delta").mode("append").save(path)
    assert DeltaTable(path).version() == table.version()
    # The row is refused for what is wrong with it and for nothing else.
    write_deltalake(path, row, mode="append")
    spark.createDataFrame(row).write.format("delta").mode("append").save(path)
    assert DeltaTable(path).version() == table.version() + 2
