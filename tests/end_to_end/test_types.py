"""Every type comes back: rows of `augmented` and `quarantine` are the raw rows, bit for bit and of their types.

Each column of the raw tables has a type, a role, and values that get lost where somebody is careless.
"""

import csv
import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import DataFrame, SparkSession
from tests.arrow_values import ARROW
from tests.typed_values import FEATURES, NESTED, SCALARS, SET_ASIDE, VARIANTS, Columns, named, table, texts_of

from raresmith.config import parse_config
from raresmith.config.sections.spark import OWN
from raresmith.spark.columns import quoted
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.tables import read_table

FORMATS = ("parquet", "delta", "csv", "arrow")
ROWS = 60


def columns_of(format: str) -> Columns:
    """The raw columns by role and type, with their values; not those of Arrow."""
    texts = {kind: tuple(v for v in values if v != "") for kind, values in SCALARS.items()}
    scalars = texts if format == "csv" else SCALARS  # an empty field of a text file is no value
    nested = {kind: values for kind, values in NESTED.items() if format == "delta" or "CHAR" not in kind}
    if format == "parquet":
        nested |= {"VARIANT": VARIANTS, "STRING COLLATE UTF8_LCASE": ("'A'", "'a'", "''", "NULL")}
    elif format == "delta":  # which holds no void within another type
        nested = {kind: values for kind, values in nested.items() if ":VOID" not in kind}
    carried = scalars | (nested if format != "csv" else {})
    keys = {kind: tuple(v for v in values if v not in (None, "NULL")) for kind, values in carried.items()}
    by_role = {"feature": scalars | FEATURES, "ignored": carried}
    if format != "delta":  # there the whole row is the key
        by_role["key"] = {kind: values for kind, values in keys.items() if values}
    return {named(role, kind): (kind, values) for role, kinds in by_role.items() for kind, values in kinds.items()}


def set_aside(columns: Columns) -> list[tuple[str, str | None]]:
    """For each row that goes to quarantine the column and the value that it goes for."""
    infinite = [(named("feature", kind), value) for kind, values in SET_ASIDE.items() for value in values]
    return [*infinite, *[(name, None) for name in columns if name.startswith("key_")]]


def cells(format: str) -> int:
    """Type by role by value."""
    if format == "arrow":
        return ROWS + sum(len(sample.expected) * (1 + sample.can_be_feature) for sample in ARROW.values())
    columns = columns_of(format)
    return sum(len(values) for _, values in columns.values()) + len(set_aside(columns))


@dataclass(frozen=True)
class Raw:
    """A raw table."""

    rows: Mapping[str, Sequence[Any]]
    """The values of its columns, row 0 and so on, as they must come back."""
    kinds: Mapping[str, str]
    """The types of the columns in `augmented`."""
    settings: dict[str, Any]
    """[source]."""


@dataclass(frozen=True)
class Run:
    """What came of it."""

    raw: Raw
    augmented: DataFrame
    quarantine: DataFrame
    location: str
    """Of `augmented`."""


def written(spark: SparkSession, format: str, folder: Path) -> Raw:
    """Write the raw table of that format."""
    if format == "arrow":
        return _written_by_arrow(folder / "raw.parquet")
    columns = columns_of(format)
    others = set_aside(columns)
    df = table(spark, ROWS, columns, others)
    path = folder / "raw"
    if format == "parquet":
        spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
        df.write.parquet(str(path))
        spark.conf.set("spark.sql.parquet.outputTimestampType", OWN["spark.sql.parquet.outputTimestampType"])
    elif format == "delta":
        ddl = ", ".join(["n BIGINT", "y INT", *[f"{name} {kind}" for name, (kind, _) in columns.items()]])
        mapped = "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
        spark.sql(f"CREATE TABLE delta.`{path}` ({ddl}) USING delta {mapped}")
        df.write.format("delta").mode("append").save(str(path))
    else:
        _write_csv(path, texts_of(ROWS, columns, others))
    rows = arrow(df.orderBy("n"))
    # What Delta has not is text.
    kinds = {f.name: re.sub("void|string collate UTF8_LCASE", "string", f.dataType.simpleString()) for f in df.schema}
    settings = {"path": str(path), "format": format, "key": [name for name in columns if name.startswith("key_")]}
    if format == "csv":
        settings["schema"] = df.schema.toDDL()
    return Raw({name: rows.column(name).to_pylist() for name in rows.column_names}, kinds, settings)


def _write_csv(path: Path, texts: Mapping[str, Sequence[str | None]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["n", "y", *texts])
        for n, values in enumerate(zip(*texts.values(), strict=True)):
            writer.writerow([n, int(n % 3 == 0), *values])


def _written_by_arrow(path: Path) -> Raw:
    columns = {f"ignored_{name}": sample for name, sample in ARROW.items()}
    columns |= {f"feature_{name}": sample for name, sample in ARROW.items() if sample.can_be_feature}
    n = range(ROWS)
    numbers = {
        "n": [*n],
        "y": [int(i % 3 == 0) for i in n],
        "key_id": [2**63 - 1 - i if i % 2 else i - 2**63 for i in n],
    }
    at = {name: [i % len(sample.expected) for i in n] for name, sample in columns.items()}
    arrays = {name: pa.concat_arrays([sample.array] * ROWS).slice(0, ROWS) for name, sample in columns.items()}
    pq.write_table(pa.table(numbers | arrays), path)
    rows = {name: [sample.expected[i] for i in at[name]] for name, sample in columns.items()}
    kinds = dict.fromkeys(numbers, "bigint") | {name: sample.kind for name, sample in columns.items()}
    return Raw(numbers | rows, kinds, {"path": str(path), "key": ["key_id"]})


@pytest.fixture(scope="module", params=FORMATS)
def run(request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("types")
    raw = written(spark, request.param, folder)
    ignored = ["n", *[name for name in raw.rows if name.startswith("ignored_")]]
    warehouse = folder / "warehouse"
    document = {
        "run": {"name": "types", "warehouse": str(warehouse)},
        "source": {**raw.settings, "label": "y", "ignore": ignored},
        "oversample": {"sampling_strategy": 1.0},
        "publish": {"source": "smote", "carried": "base"},
    }
    config = parse_config(document, folder / "types.toml")
    for stage in ("prepare", "oversample", "publish"):
        SPARK_STAGES[stage](spark, config)
    augmented, quarantine = (read_table(spark, f"{warehouse}/{name}") for name in ("augmented", "quarantine"))
    return Run(raw, augmented, quarantine, f"{warehouse}/augmented")


def bits(value: Any) -> Any:
    """`value` as something that equals only what it is bit for bit, but for the payload of NaN."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return [(name, bits(of)) for name, of in value.items()]
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None), value.tzinfo is None
    return [*map(bits, value)] if isinstance(value, (list, tuple)) else repr(value)


def arrow(df: DataFrame) -> pa.Table:
    """The rows of `df`, with variants as texts that tell their types too, for Spark makes Arrow of no null variant."""
    told = "concat(to_json({0}), schema_of_variant({0})) AS {0}"
    return df.selectExpr(
        *[told.format(name) if kind == "variant" else quoted(name) for name, kind in df.dtypes]
    ).toArrow()


def misread(found: pa.Table, wanted: Mapping[str, Sequence[Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """By column the values that are others than those wanted for the row's n, and these."""
    order = found.column("n").to_pylist()
    different = {}
    for name in names:
        pairs = zip(found.column(name).to_pylist(), [wanted[name][n] for n in order], strict=True)
        if wrong := [pair for pair in pairs if bits(pair[0]) != bits(pair[1])]:
            different[name] = wrong
    return different


def test_original_rows_are_the_raw_ones(run: Run) -> None:
    originals = arrow(run.augmented.where("origin = 'original'"))
    assert sorted(originals.column("n").to_pylist()) == [*range(ROWS)]
    assert misread(originals, run.raw.rows, [*run.raw.rows]) == {}


def test_the_types_are_those_of_the_raw_table(run: Run) -> None:
    assert {name: run.augmented.schema[name].dataType.simpleString() for name in run.raw.kinds} == run.raw.kinds
    assert {name: run.quarantine.schema[name].dataType.simpleString() for name in run.raw.kinds} == run.raw.kinds


def test_delta_rs_reads_the_same(run: Run) -> None:
    query = QueryBuilder().register("t", DeltaTable(run.location))
    originals = pa.table(query.execute("SELECT * FROM t WHERE origin = 'original'"))
    assert originals.num_rows == ROWS
    legible = [name for name, kind in run.raw.kinds.items() if kind != "variant"]  # which delta-rs gives as bytes
    assert misread(originals, run.raw.rows, legible) == {}


def test_rows_set_aside_are_the_raw_ones(run: Run) -> None:
    aside = arrow(run.quarantine)
    assert sorted(aside.column("n").to_pylist()) == [*range(ROWS, len(run.raw.rows["n"]))]
    assert misread(aside, run.raw.rows, [*run.raw.rows]) == {}


def test_made_rows_have_values_of_their_types(run: Run) -> None:
    made = arrow(run.augmented.where("origin = 'smote'"))
    assert made.num_rows > 10
    carried = [name for name in run.raw.rows if name == "n" or name.startswith("ignored_")]
    assert misread(made, run.raw.rows, carried) == {}
    for name in run.raw.rows:
        values = made.column(name).to_pylist()
        if name.startswith("key_"):
            assert values == [None] * made.num_rows
        elif name.startswith("feature_"):
            assert off_range(values, run.raw.rows[name]) == []


def off_range(values: Sequence[Any], real: Sequence[Any]) -> list[Any]:
    """The values that no made row may have, by those of the raw rows."""
    known = [value for value in real if value is not None and not (isinstance(value, float) and math.isnan(value))]
    lacking = len(known) < len(real)
    if not known or isinstance(known[0], (str, bool)):
        return [value for value in values if value not in known and not (lacking and value is None)]
    return [
        value for value in values if not (lacking if value is None else min(known) <= value <= max(known))
    ]  # NaN is in no range


def test_more_than_1500_cells_are_compared() -> None:
    assert max(len(values) for format in FORMATS[:3] for _, values in columns_of(format).values()) < ROWS
    assert sum(map(cells, FORMATS)) > 1500
