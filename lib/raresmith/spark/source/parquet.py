"""Read Parquet files whose columns need not be the same, of which nothing may be lost without a word."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import types as t

from raresmith.errors import DataError
from raresmith.spark.columns import col
from raresmith.spark.files import beginning_of, data_files, hadoop_path, is_glob
from raresmith.spark.source.annotated import annotated, check_legible, with_meanings
from raresmith.spark.source.wider import wider

_MAGIC = b"PAR1"
"""With which each Parquet file begins."""


@dataclass(frozen=True, kw_only=True)
class _Footer:
    """The columns of a file."""

    columns: str
    """As Parquet writes them down."""
    schema: str
    """As Spark's JSON schema, where Spark cannot tell it; else ""."""


@dataclass(frozen=True, kw_only=True)
class ParquetLayout:
    """Which files have the same columns, so that it is found out once."""

    groups: tuple[tuple[_Footer, tuple[str, ...]], ...]
    """The columns, and the files that have these; no files where all have."""


@dataclass(frozen=True, kw_only=True)
class _Alike:
    """Files that have the same columns."""

    paths: tuple[str, ...]
    rows: DataFrame


def find_layout(spark: SparkSession, path: str) -> ParquetLayout:
    """Compare the files of the table at `path` by their footers."""
    found = data_files(spark, path, empty=True)
    files = [file.path for file in found if file.size]
    if not files:
        return ParquetLayout(groups=())
    if len(found) > 1:
        if _are_alike(spark, path):
            files = files[:1]
        else:
            _check_parquet(spark, path, [file.path for file in found])
    if len(files) == 1:
        return ParquetLayout(groups=((_footer(spark, files[0]), ()),))
    with ThreadPoolExecutor() as pool:
        footers = [*pool.map(partial(_footer, spark), files)]
    groups: dict[_Footer, list[str]] = {}
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
    if not layout.groups:
        return spark.read.parquet(path), []
    if len(layout.groups) == 1:
        return _read(spark.read, layout.groups[0][0], path)
    reader = spark.read if is_glob(path) else spark.read.option("basePath", path)
    words: dict[str, None] = {}
    alike = []
    for footer, paths in layout.groups:
        rows, told = _read(reader, footer, path, paths)
        alike.append(_Alike(paths=paths, rows=rows))
        words |= dict.fromkeys(told)
    rows, more = _together(alike, path)
    return rows, [*words, *more]


def _are_alike(spark: SparkSession, path: str) -> bool:
    """Whether all files have the same columns, told by one job; False where Spark cannot tell."""
    try:
        return bool(spark.read.option("mergeSchema", True).parquet(path).schema == spark.read.parquet(path).schema)
    except (PySparkException, Py4JJavaError):
        return False


def _check_parquet(spark: SparkSession, path: str, files: list[str]) -> None:
    """Refuse a folder in which Spark comes upon a file that is no Parquet file, such as a README.md."""
    with ThreadPoolExecutor() as pool:
        begin = pool.map(lambda file: beginning_of(spark, file, len(_MAGIC)), files)
        strangers = [file for file, first in zip(files, begin, strict=True) if first != _MAGIC]
    if strangers:
        more = len(strangers) - 1
        others = f" and {more:,} other{'s' if more > 1 else ''} are" if more else " is"
        raise DataError(
            f"{strangers[0]}{others} no Parquet; move it elsewhere, or let source.path name the others alone, as by "
            f"{path.rstrip('/')}/*.parquet"
        )


def _footer(spark: SparkSession, path: str) -> _Footer:
    parquet = spark._jvm.org.apache.parquet.hadoop  # type: ignore[union-attr]
    configuration = spark._jsparkSession.sessionState().newHadoopConf()
    reader = parquet.ParquetFileReader.open(
        parquet.util.HadoopInputFile.fromPath(hadoop_path(spark, path), configuration)
    )
    try:
        schema = reader.getFileMetaData().getSchema()
    finally:
        reader.close()
    columns = str(schema.toString())
    fields = annotated(columns)
    check_legible(fields, path)
    stored = {field.name: field.stored_as for field in fields if not field.is_legible}
    return _Footer(columns=columns, schema=_schema(spark, schema, stored).json() if stored else "")


def _schema(spark: SparkSession, message: Any, stored: dict[str, t.DataType]) -> t.StructType:
    """The columns of `message`, which is a Parquet schema, with the types of those that are only `stored` as such."""
    jvm: Any = spark._jvm
    known = jvm.java.util.ArrayList()
    names = []
    for field in message.getFields():
        names.append(field.getName())
        if names[-1] not in stored:
            known.add(field)
    parquet = jvm.org.apache.spark.sql.execution.datasources.parquet
    converter = parquet.ParquetToSparkSchemaConverter(spark._jsparkSession.sessionState().conf())
    told = converter.convert(jvm.org.apache.parquet.schema.MessageType("known", known)).json()
    kinds = {f.name: f.dataType for f in t.StructType.fromJson(json.loads(told))} | stored
    return t.StructType([t.StructField(name, kinds[name]) for name in names])


def _read(
    reader: DataFrameReader, footer: _Footer, path: str, paths: tuple[str, ...] = ()
) -> tuple[DataFrame, list[str]]:
    """The rows of the files `paths`, or of all at `path`, and what a person should know of how they are read."""
    if footer.schema:
        reader = reader.schema(t.StructType.fromJson(json.loads(footer.schema)))
    return with_meanings(reader.parquet(*(paths or (path,))), annotated(footer.columns))


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
