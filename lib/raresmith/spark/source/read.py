"""Read the raw table, and tell whether it is the same as before."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from raresmith.config import Config, SourceConfig
from raresmith.errors import ConfigError, DataError
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.failures import causes
from raresmith.spark.files import File, exists, files_below
from raresmith.spark.needs import iceberg_package
from raresmith.spark.source import csv, excel, json_lines, parquet, versioned
from raresmith.spark.source.carried import carried
from raresmith.spark.source.separated import look

T = TypeVar("T")

_FOUND: dict[tuple[str | int, ...], Any] = {}
_MOST_FOUND = 16
_IN_TEXT = (t.StringType, t.BinaryType, t.BooleanType, t.NumericType, t.DateType, t.TimestampType, t.TimestampNTZType)
"""What the values of a text file can be read as."""


def read_source(spark: SparkSession, config: SourceConfig, identity: str = "") -> DataFrame:
    """The raw table; for CSV, JSON and Excel also the column `MALFORMED`.

    Parameters
    ----------
    identity
        What `source_identity` said: a table with versions is read as it was then, others must be the same still.

    Raises
    ------
    ConfigError
        If there is nothing at source.path, or source.schema is no DDL.
    DataError
        If it cannot be read as source.format, or its columns are not those of source.schema; if the table of `identity`
        is not to be had any more.
    """
    return _checked(spark, config, identity)[0]


def read_told(spark: SparkSession, config: SourceConfig, identity: str = "") -> tuple[DataFrame, tuple[str, ...]]:
    """The raw table as `read_source` reads it, and what `how_read` says of it, in one go."""
    df, words = _checked(spark, config, identity)
    return df, _told(spark, config, words)


def _checked(spark: SparkSession, config: SourceConfig, identity: str) -> tuple[DataFrame, tuple[str, ...]]:
    _check_exists(spark, config)
    wished = _wished_schema(config)
    df, words = _read(spark, config, identity)
    if identity:
        check_unchanged(spark, config, identity)  # after Spark has listed the files
    columns = t.StructType([f for f in df.schema.fields if f.name != MALFORMED])
    _check_distinct(columns, config.path)
    if wished is not None:
        _check_schema(columns, wished, config)
        df = df.select(*[col(name) for name in wished.names], *[col(n) for n in df.columns if n == MALFORMED])
    return df, words


def _read(spark: SparkSession, config: SourceConfig, identity: str) -> tuple[DataFrame, tuple[str, ...]]:
    """The raw table in types that Delta has, and what a person should know of how it is read."""
    version = _version_in(identity, config) if identity else None
    try:
        if config.format in versioned.FORMATS:
            df, words = carried(versioned.read_versioned(spark, config, version), config.path)
            return df, tuple(words)
        files = (identity or source_identity(spark, config), config.path)
        told = (*files, config.format, config.schema, repr(dict(config.options)))
        # To make a plan of many columns takes seconds, and each stage asks for it.
        return _once((*told, id(spark)), lambda: _of_files(spark, config, told))
    except (PySparkException, Py4JJavaError) as error:
        if version is not None:
            raise _lost(error, config) from None
        raise unreadable(error, config) from None


def column_names(spark: SparkSession, config: SourceConfig) -> list[str]:
    """Names of the raw table's columns, told without going through its values; errors as of `read_source`."""
    return [*look(spark, config).sample] if config.format == "csv" else read_source(spark, config).columns


def unreadable(error: Exception, config: SourceConfig) -> DataError:
    """What to tell the user when Spark failed on the files of the raw table."""
    if "FILE_NOT_EXIST" in _read_failure(error):
        return _lost(error, config)
    if config.format == "iceberg" and (
        "DATA_SOURCE_NOT_FOUND" in str(error) or any(causes(error, "java.lang.LinkageError"))
    ):
        return DataError(
            f'source.format is "iceberg", for which Spark has no fitting jar; add a release of {iceberg_package()} '
            'to spark.conf."spark.jars.packages"'
        )
    return DataError(
        f"{config.path} cannot be read as {config.format}: {_said(error)}; set source.format to what it is, or mend it"
    )


def _lost(error: Exception, config: SourceConfig) -> DataError:
    return DataError(f"{config.path} is not there any more as prepare read it: {_said(error)}; run prepare again")


def _said(error: Exception) -> str:
    """The first line of what Spark says of it."""
    text = _read_failure(error)
    if not text:
        text = str(error.java_exception.getMessage()) if isinstance(error, Py4JJavaError) else str(error)
    return text.strip().splitlines()[0]


def is_unreadable(error: Exception, config: Config) -> bool:
    """Whether Spark failed because a file of the raw table is broken, of another format or gone."""
    if not (failure := _read_failure(error)):
        return False
    # One may lie within the other.
    places = {config.source.path: True, f"{config.run.warehouse}/": False}
    nearest = max((place for place in places if place in failure), key=len, default=config.source.path)
    return places[nearest]


def _read_failure(error: Exception) -> str:
    """What the first cause of `error` says that has Spark's condition FAILED_READ_FILE, or ""."""
    for cause in causes(error, "org.apache.spark.SparkThrowable"):
        if (cause.getCondition() or "").startswith("FAILED_READ_FILE"):
            return str(cause.getMessage())
    return ""


def _wished_schema(config: SourceConfig) -> t.StructType | None:
    if not config.schema:
        return None
    try:
        wished = t.StructType.fromDDL(config.schema)
        assert isinstance(wished, t.StructType)
    except (PySparkException, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"source.schema is not a list of columns such as 'amount DOUBLE, country STRING': {said}"
        ) from None
    odd = [f for f in wished.fields if not isinstance(f.dataType, _IN_TEXT)]
    if config.format in ("csv", "excel") and odd:
        raise ConfigError(
            f"source.schema says that {odd[0].name!r} is {odd[0].dataType.simpleString()}, which values of a text file "
            "are not read as; take STRING"
        )
    return wished


def how_read(spark: SparkSession, config: SourceConfig, identity: str = "") -> tuple[str, ...]:
    """What a person should know of how the raw table is read; `identity` as for `read_source`."""
    return _told(spark, config, _read(spark, config, identity)[1])


def _told(spark: SparkSession, config: SourceConfig, words: tuple[str, ...]) -> tuple[str, ...]:
    return (*versioned.words(spark, config), *words) if config.is_named else words


def _of_files(spark: SparkSession, config: SourceConfig, told: tuple[str, ...]) -> tuple[DataFrame, tuple[str, ...]]:
    """The table of some files in types that Delta has, and what a person should know of how it is read."""
    df, words = _as_it_is(spark, config, told)
    df, more = carried(df, config.path)
    return df, (*words, *more)


def _as_it_is(spark: SparkSession, config: SourceConfig, told: tuple[str, ...]) -> tuple[DataFrame, Iterable[str]]:
    """The table of some files as their format has it."""
    wished = _wished_schema(config)
    if config.format == "parquet":
        return parquet.read_parquet(spark, config.path, _once(told, lambda: parquet.find_layout(spark, config.path)))
    if config.format == "csv":
        separated = _once(told, lambda: csv.find_layout(spark, config, wished))
        return csv.read_csv(spark, config, separated), separated.words
    if config.format == "json":
        lines = _once(told, lambda: json_lines.find_layout(spark, config, wished))
        return json_lines.read_json(spark, config, lines), lines.words
    sheet = _once(told, lambda: excel.find_layout(spark, config, wished))
    return excel.read_excel(spark, config, sheet), sheet.words


def _once(files: tuple[str | int, ...], find: Callable[[], T]) -> T:
    """What `find` finds, found out one time for all stages of a process that read the same files."""
    if files not in _FOUND:
        _FOUND[files] = find()
        while len(_FOUND) > _MOST_FOUND:
            del _FOUND[next(iter(_FOUND))]
    found: T = _FOUND[files]
    return found


def _check_distinct(schema: t.StructType, path: str) -> None:
    seen: dict[str, str] = {}
    for name in schema.names:
        if name.lower() in seen:
            raise DataError(
                f"{path} has the columns {seen[name.lower()]!r} and {name!r}, which differ only in case; rename one"
            )
        seen[name.lower()] = name


def _check_schema(found: t.StructType, wished: t.StructType, config: SourceConfig) -> None:
    """Refuse a table that drifted from source.schema: one sentence for all that differs."""
    # The columns of a CSV file have no types of their own.
    if faults := drift(found, wished, typed=config.format != "csv"):
        raise DataError(
            f"the columns of {config.path} differ from source.schema: {'; '.join(faults)}; "
            "mend the table or change source.schema"
        )


def drift(found: t.StructType, wished: t.StructType, *, typed: bool = True) -> list[str]:
    """In what the columns differ, whatever their order; their types too where they are `typed`."""
    types = {f.name: f.dataType for f in found.fields}
    recased = {name.lower(): name for name in types}
    faults = []
    for f in wished.fields:
        if f.name in types:
            if typed and types[f.name] != f.dataType:
                faults.append(f"{f.name!r} is {types[f.name].simpleString()} instead of {f.dataType.simpleString()}")
        elif f.name.lower() in recased:
            faults.append(f"{f.name!r} is written {recased[f.name.lower()]!r}")
        else:
            faults.append(f"{f.name!r} is missing")
    wished_names = {name.lower() for name in wished.names}
    return faults + [f"{name!r} is not expected" for name in types if name.lower() not in wished_names]


def _check_exists(spark: SparkSession, config: SourceConfig) -> None:
    """ConfigError where there is nothing at `config.path`."""
    if config.is_named:
        if not versioned.is_known(spark, config.path):
            raise ConfigError(
                f"Spark's catalogs have no table source.path = {config.path}; set its name, such as "
                "catalog.schema.table, and the catalog's settings in spark.conf"
            )
    elif not exists(spark, config.path):
        raise ConfigError(
            f"there is no table at source.path = {config.path}; set the path, or RARESMITH_DATA where it uses it"
        )


def source_identity(spark: SparkSession, config: SourceConfig) -> str:
    """What changes when the raw table changes: its version, or a hash of its files' names, sizes and times.

    Of a named table without versions the hash is of its definition and of the files that Spark tells.
    """
    _check_exists(spark, config)
    if config.format in versioned.FORMATS:
        try:
            version = versioned.newest_version(spark, config)
        except (PySparkException, Py4JJavaError) as error:
            raise unreadable(error, config) from None
        if version is not None:
            return f"{config.path}@{version}"
        return _hash(versioned.files_of(spark, config.path), config.path, versioned.definition_of(spark, config.path))
    return _hash(files_below(spark, config.path), config.path)


def _hash(files: Iterable[File], path: str, *more: str) -> str:
    # By their names from there on: a table that was moved with its warehouse is the same.
    told = [(file.path.rpartition(path)[2], file.size, file.changed) for file in files]
    return hashlib.sha256(repr([*told, *more]).encode()).hexdigest()[:16]


def check_unchanged(spark: SparkSession, config: SourceConfig, identity: str) -> None:
    """Refuse a table that is not that of `identity` any more; one with versions is read as it was then in any case.

    Raises
    ------
    DataError
        If a file was added, taken away or written again.
    """
    if _version_in(identity, config) is None and source_identity(spark, config) != identity:
        raise DataError(
            f"{config.path} is not what prepare read: its files have other names, sizes or times; run prepare again"
        )


def _version_in(identity: str, config: SourceConfig) -> int | None:
    """The version that `identity` names of a table that has versions; None of others."""
    path, at, version = identity.rpartition("@")
    has_versions = {"delta": True, "iceberg": True, "table": bool(at)}.get(config.format, False)
    if bool(at) != has_versions or path != (config.path if at else ""):
        raise DataError(f"source.path = {config.path} is not the table that prepare read; run prepare again")
    return int(version) if at else None
