"""Read Parquet files whose columns need not be the same, of which nothing may be lost without a word."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.errors import DataError
from raresmith.spark.columns import col
from raresmith.spark.files import beginning_of, data_files, hadoop_path, is_glob
from raresmith.spark.source.wider import wider

_MAGIC = b"PAR1"
"""With which each Parquet file begins."""
_NANOSECONDS = re.compile(
    r"^ {2}\w+ int64 (?P<name>.+) \(TIMESTAMP\(NANOS,(?P<is_instant>true|false)\)\)", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class ParquetLayout:
    """Which files have the same columns, so that it is found out once."""

    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """The columns as Parquet writes them down, and the files that have these; no files where all have."""


@dataclass(frozen=True, kw_only=True)
class _Alike:
    """Files that have the same columns."""

    paths: tuple[str, ...]
    rows: DataFrame


def find_layout(spark: SparkSession, path: str) -> ParquetLayout:
    """Compare the files of the table at `path` by their footers."""
    files = [file.path for file in data_files(spark, path)]
    if not files:
        return ParquetLayout(groups=())
    merged = _merged(spark, path)
    if merged is None:
        _check_parquet(spark, path)
    if len(files) == 1 or merged == spark.read.parquet(path).schema:
        return ParquetLayout(groups=((_footer(spark, files[0]), ()),))
    with ThreadPoolExecutor() as pool:
        footers = [*pool.map(partial(_footer, spark), files)]
    groups: dict[str, list[str]] = {}
    for file, footer in zip(files, footers, strict=True):
        groups.setdefault(footer, []).append(file)
    return ParquetLayout(groups=tuple((footer, tuple(paths)) for footer, paths in groups.items()))


def read_parquet(spark: SparkSession, path: str, layout: ParquetLayout) -> tuple[DataFrame, list[str]]:
    """The table of that layout at `path`, and what a person should know of how it is read.

    Columns go by their names. Where files have other types for one, it is read as the narrowest type that holds them
    all; one that a file lacks is null there.

    Raises
    ------
    DataError
        Naming column and files, where no type holds the values of all.
    """
    if len(layout.groups) < 2:
        footer = layout.groups[0][0] if layout.groups else ""
        return _with_moments(spark.read.parquet(path), footer)
    reader = spark.read if is_glob(path) else spark.read.option("basePath", path)
    words: dict[str, None] = {}
    alike = []
    for footer, paths in layout.groups:
        rows, told = _with_moments(reader.parquet(*paths), footer)
        alike.append(_Alike(paths=paths, rows=rows))
        words |= dict.fromkeys(told)
    rows, more = _together(alike, path)
    return rows, [*words, *more]


def _merged(spark: SparkSession, path: str) -> t.StructType | None:
    """The columns of all files, told by one job; None where Spark cannot make them one."""
    try:
        return spark.read.option("mergeSchema", True).parquet(path).schema
    except (PySparkException, Py4JJavaError):
        return None


def _check_parquet(spark: SparkSession, path: str) -> None:
    """Refuse a folder in which Spark comes upon a file that is no Parquet file, such as a README.md."""
    files = data_files(spark, path, empty=True)
    with ThreadPoolExecutor() as pool:
        begin = pool.map(lambda file: beginning_of(spark, file.path, len(_MAGIC)), files)
        strangers = [file.path for file, first in zip(files, begin, strict=True) if first != _MAGIC]
    if strangers and len(files) > 1:
        more = len(strangers) - 1
        others = f" and {more:,} other{'s' if more > 1 else ''} are" if more else " is"
        raise DataError(
            f"{strangers[0]}{others} no Parquet; move it elsewhere, or let source.path name the others alone, as by "
            f"{path.rstrip('/')}/*.parquet"
        )


def _footer(spark: SparkSession, path: str) -> str:
    """The columns of a file as Parquet writes them down."""
    parquet = spark._jvm.org.apache.parquet.hadoop  # type: ignore[union-attr]
    configuration = spark._jsparkSession.sessionState().newHadoopConf()
    reader = parquet.ParquetFileReader.open(
        parquet.util.HadoopInputFile.fromPath(hadoop_path(spark, path), configuration)
    )
    try:
        return str(reader.getFileMetaData().getSchema().toString())
    finally:
        reader.close()


def _with_moments(df: DataFrame, footer: str) -> tuple[DataFrame, list[str]]:
    """`df` with its nanoseconds since 1970, which Spark takes for whole numbers, as timestamps."""
    found = {match["name"]: match["is_instant"] == "true" for match in _NANOSECONDS.finditer(footer)}
    moments = {name: F.timestamp_micros(F.floor(col(name) / 1000)) for name in found}
    if not found:
        return df, []
    columns = [
        (moments[name] if found[name] else moments[name].cast("timestamp_ntz")).alias(name)
        if name in found
        else col(name)
        for name in df.columns
    ]
    return df.select(*columns), [f"{name}: nanoseconds are read to the microsecond" for name in found]


def _together(groups: list[_Alike], path: str) -> tuple[DataFrame, list[str]]:
    """The rows of all groups by the names of their columns."""
    kinds: dict[str, t.DataType] = {}
    first: dict[str, str] = {}
    words = []
    for group in groups:
        for field in group.rows.schema.fields:
            kind = wider(kinds.setdefault(field.name, field.dataType), field.dataType)
            if kind is None:
                raise DataError(
                    f"column {field.name!r} of {path} is {kinds[field.name].simpleString()} in {first[field.name]} and "
                    f"{field.dataType.simpleString()} in {_name(group)}; write the files alike"
                )
            kinds[field.name] = kind
            first.setdefault(field.name, _name(group))
    total = sum(len(group.paths) for group in groups)
    for name, kind in kinds.items():
        lacking = [group for group in groups if name not in group.rows.columns]
        if lacking:
            number = sum(len(group.paths) for group in lacking)
            words.append(f"{name} is not in {number:,} of {total:,} files, such as {_name(lacking[0])}: null there")
        others = {group.rows.schema[name].dataType.simpleString() for group in groups if group not in lacking}
        if others != {kind.simpleString()}:
            words.append(f"{name} is {' or '.join(sorted(others))} by file: read as {kind.simpleString()}")
    parts = [
        group.rows.select(
            *[col(name).cast(kind).alias(name) for name, kind in kinds.items() if name in group.rows.columns]
        )
        for group in groups
    ]
    return reduce(lambda rows, more: rows.unionByName(more, allowMissingColumns=True), parts), words


def _name(group: _Alike) -> str:
    return group.paths[0].rpartition("/")[2]
