"""A Delta table by each reader that people open it with."""

from collections.abc import Callable
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession


def _spark(location: str) -> pa.Table:
    return SparkSession.active().read.format("delta").load(location).toArrow()


def _pyarrow(location: str) -> pa.Table:
    return DeltaTable(location).to_pyarrow_table()


def _query(location: str) -> pa.Table:
    return pa.table(QueryBuilder().register("t", DeltaTable(location)).execute("SELECT * FROM t"))


def _duckdb(location: str) -> pa.Table:
    dataset = DeltaTable(location).to_pyarrow_dataset()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.register("t", dataset).execute("SELECT * FROM t").fetch_arrow_table()


def _polars(location: str) -> pa.Table:
    return pl.scan_pyarrow_dataset(DeltaTable(location).to_pyarrow_dataset()).collect().to_arrow()


READERS: dict[str, Callable[[str], pa.Table]] = {
    "Spark": _spark,
    "delta-rs by pyarrow": _pyarrow,
    "delta-rs by its query engine": _query,
    "DuckDB": _duckdb,
    "polars": _polars,
}


def misread(location: str, wanted: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """By reader the rows that it gives, in any order, where they are not the `wanted` ones in the columns of these."""
    found = {name: read(location).select(list(wanted[0])).to_pylist() for name, read in READERS.items()}
    return {name: rows for name, rows in found.items() if sorted(map(repr, rows)) != sorted(map(repr, wanted))}
