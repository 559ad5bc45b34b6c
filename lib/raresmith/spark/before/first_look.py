"""A look at a table of which nothing is known but where it lies."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.checks.seen import Kind, SeenColumn
from raresmith.config import Config
from raresmith.errors import ConfigError, DataError
from raresmith.spark.columns import LABEL, MALFORMED, col, quoted
from raresmith.spark.encoding.encode import as_number
from raresmith.spark.encoding.numbers import INSTANTS
from raresmith.spark.files import data_files, exists, is_glob
from raresmith.spark.prepare.label import class_counts, class_text, fit_label
from raresmith.spark.source import versioned
from raresmith.spark.source.read import read_source
from raresmith.spark.stages.preflight import check_columns
from raresmith.spark.tables import table_exists
from raresmith.starting.seen import SeenTable

LOOKED_AT = 50_000
"""Rows whose values are looked at, about; of a larger table drawn from all of it."""
VALUES = 2_000_000
"""That are looked at in all, of wide tables' fewer rows."""
MOST_DAYS = 100_000
"""Days of all columns and classes by which rows are counted; where there are more, it is not by them that rows part."""
_MOMENTS = (t.DateType, *INSTANTS)
_SEED = 0
_FORMATS = {
    **dict.fromkeys((".parquet", ".parq"), "parquet"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    ".xlsx": "excel",
}
_COMPRESSED = (".gz", ".bz2", ".zst")
_OF_ICEBERG = ".metadata.json"


def format_of(spark: SparkSession, path: str) -> str:
    """The format of the table at `path`, by its name and what lies there.

    Raises
    ------
    ConfigError
        If nothing is there.
    DataError
        If nothing there says it.
    """
    if not exists(spark, path):
        if versioned.is_known(spark, path):
            return "table"
        raise ConfigError(f"there is no table at {path}; name a file, a folder, a URL or a table of Spark's catalogs")
    if not is_glob(path) and table_exists(spark, path):
        return "delta"
    names = [path, *(file.path for file in data_files(spark, path))]
    if any(name.endswith(_OF_ICEBERG) for name in names):
        return "iceberg"
    for name in names:
        plain = name.lower()
        for compressed in _COMPRESSED:
            plain = plain.removesuffix(compressed)
        for ending, format in _FORMATS.items():
            if plain.endswith(ending):
                return format
    raise DataError(
        f"{path} is no Delta table, and no file in it is called .parquet, .csv, .json or .xlsx; name a file or folder "
        "of such, or write the configuration by hand, with source.format"
    )


def look(spark: SparkSession, config: Config) -> SeenTable:
    """The table at `config.source.path`: rows and classes of all of it, and values of some rows.

    Raises
    ------
    ConfigError, DataError
        If there is none, it lacks a column that the configuration names, or its label has fewer than two classes or too
        many.
    """
    raw = read_source(spark, config.source)
    check_columns(config, raw.drop(MALFORMED).schema)
    label = raw.schema[config.source.label]
    df = raw.drop(MALFORMED).withColumn(LABEL, class_text(label))
    counts = class_counts(raw, label)
    if not counts:
        raise DataError(f"{config.source.path} has no rows")
    rows = sum(counts.values())
    fitted = fit_label(counts, label.dataType, config)
    features = raw.drop(MALFORMED).schema.fields
    moments = [f for f in features if isinstance(f.dataType, _MOMENTS) and f.name != label.name]
    most = min(LOOKED_AT, VALUES // len(features))
    some = df if rows <= most else df.sample(fraction=most / rows, seed=_SEED)
    found = some.select(*[_value(f).alias(str(i)) for i, f in enumerate(features)], col(LABEL).alias("label")).toArrow()
    return SeenTable(
        rows=rows,
        classes={text: counts.get(text, 0) for text in fitted.classes},
        positive=fitted.positive,
        labels=found["label"].to_pylist(),
        columns=[
            SeenColumn(name=f.name, kind=_kind(f.dataType), type=f.dataType.simpleString(), values=values.to_pylist())
            for f, values in zip(features, found.columns[:-1], strict=True)
        ],
        days=_days(df, [f.name for f in moments]),
    )


def _kind(type: t.DataType) -> Kind:
    if isinstance(type, t.IntegralType) or (isinstance(type, t.DecimalType) and type.scale == 0):
        return "whole"
    if isinstance(type, t.FractionalType):
        return "number"
    if isinstance(type, _MOMENTS):
        return "moment"
    if isinstance(type, t.BooleanType):
        return "boolean"
    return "text" if isinstance(type, t.StringType) else "other"


def _value(field: t.StructField) -> Column:
    """A value as Python holds it exactly enough to be looked at."""
    kind = _kind(field.dataType)
    if kind == "other":
        return col(field.name).isNotNull()
    return F.expr(as_number(quoted(field.name), field.dataType)) if kind in ("number", "moment") else col(field.name)


def _days(df: DataFrame, columns: Sequence[str]) -> dict[str, dict[date, dict[str, int]]]:
    """By column the rows of each day, in UTC, by class; nothing where there are more days than can be."""
    days: dict[str, dict[date, dict[str, int]]] = {name: {} for name in columns}
    if not columns:
        return days
    each = [F.struct(F.lit(name).alias("column"), F.to_date(col(name)).alias("day")) for name in columns]
    moments = df.where(col(LABEL).isNotNull()).select(LABEL, F.explode(F.array(*each)).alias("at"))
    counted = moments.where("at.day IS NOT NULL").groupBy("at.column", "at.day", LABEL).count().limit(MOST_DAYS)
    found = counted.collect()
    for row in found if len(found) < MOST_DAYS else ():
        days[row["column"]].setdefault(row["day"], {})[row[LABEL]] = row["count"]
    return days
