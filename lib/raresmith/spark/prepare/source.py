"""Read the raw table and hold the configuration against its columns, before anything is written."""

import difflib
import hashlib
from collections.abc import Iterable

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from raresmith.config import Config, SourceConfig
from raresmith.errors import ConfigError, DataError
from raresmith.spark.publish.constraints import check_constraints
from raresmith.tables.contracts import ADDED

MALFORMED = "_malformed_record"
"""Column that holds the text of a CSV line that does not fit source.schema."""


def source_exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a file or folder at `path`, which may be a URL or a glob."""
    jvm_path = spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr]
    found = jvm_path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()).globStatus(jvm_path)
    return found is not None and len(found) > 0


def read_source(spark: SparkSession, config: SourceConfig) -> DataFrame:
    """The raw table; for CSV with a schema also the column `MALFORMED`.

    Raises
    ------
    ConfigError
        If there is nothing at source.path, or source.schema is no DDL.
    DataError
        If it cannot be read as source.format, or its columns are not those of source.schema.
    """
    if not source_exists(spark, config.path):
        raise ConfigError(
            f"there is no table at source.path = {config.path}; set the path, or RARESMITH_DATA where it uses it"
        )
    wished = _wished_schema(spark, config)
    try:
        if config.format == "delta":
            df = spark.read.format("delta").load(config.path)
        elif config.format == "parquet":
            df = spark.read.parquet(config.path)
        else:
            df = _read_csv(spark, config.path, wished)
    except (PySparkException, Py4JJavaError) as error:
        raise unreadable(error, config) from None
    columns = t.StructType([f for f in df.schema.fields if f.name != MALFORMED])
    _check_distinct(columns, config.path)
    if wished is not None:
        _check_schema(columns, wished, config)
        df = df.select(
            *[
                "`" + n.replace("`", "``") + "`"
                for n in [*wished.names, *([MALFORMED] if MALFORMED in df.columns else [])]
            ]
        )
    return df


def unreadable(error: Exception, config: SourceConfig) -> DataError:
    """What to tell the user when Spark failed on the files of the raw table."""
    text = str(error.java_exception.getMessage()) if isinstance(error, Py4JJavaError) else str(error)
    return DataError(f"{config.path} cannot be read as {config.format}: {text.strip().splitlines()[0]}")


def is_unreadable(error: Exception) -> bool:
    """Whether Spark failed because a file is broken or of another format."""
    return "FAILED_READ_FILE" in str(error)


def _wished_schema(spark: SparkSession, config: SourceConfig) -> t.StructType | None:
    if not config.schema:
        return None
    try:
        wished = t.StructType.fromDDL(config.schema)
        assert isinstance(wished, t.StructType)
        return wished
    except (PySparkException, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"source.schema is not a list of columns such as 'amount DOUBLE, country STRING': {said}"
        ) from None


def _read_csv(spark: SparkSession, path: str, wished: t.StructType | None) -> DataFrame:
    reader = spark.read.option("header", True).option("escape", '"')
    if wished is None:
        return reader.option("inferSchema", True).csv(path)
    header = reader.csv(path).schema
    if set(header.names) != set(wished.names):
        return reader.csv(path)  # the check of the columns says what is wrong
    types = {f.name: f for f in wished.fields}
    schema = t.StructType([*[types[name] for name in header.names], t.StructField(MALFORMED, t.StringType())])
    return reader.schema(schema).option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", MALFORMED).csv(path)


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


def check_columns(config: Config, schema: t.StructType) -> None:
    """Make sure that every column the configuration names is there and of a type that can play its role.

    Raises
    ------
    ConfigError
        Naming the key, the missing column and the nearest name that is there.
    """
    source, split, prepare = config.source, config.split, config.prepare
    named: list[tuple[str, Iterable[str]]] = [
        ("source.label", [source.label]),
        ("source.key", source.key),
        ("source.timestamp", [source.timestamp]),
        ("source.ignore", source.ignore),
        ("split.entity", [split.entity]),
        ("split.known_entity", [split.known_entity]),
        ("prepare.features", prepare.features),
        ("prepare.categorical", prepare.categorical),
        ("prepare.normalise_columns", prepare.normalise_columns),
        ("evaluate.entity", [config.evaluate.entity]),
        *config.publish.constraints.columns.items(),
    ]
    for window in prepare.windows:
        named += [("prepare.windows.entity", [window.entity]), ("prepare.windows.mean", window.mean)]
    for key, names in named:
        for name in names:
            if name and name not in schema.names:
                near = difflib.get_close_matches(name.lower(), [n.lower() for n in schema.names], n=1)
                hint = next((f"; did you mean {n!r}?" for n in schema.names if near and n.lower() == near[0]), "")
                raise ConfigError(
                    f"{key} names the column {name!r}, which {source.path} lacks{hint or '; its columns are '}"
                    f"{'' if hint else schema.names}"
                )
    if taken := [name for name in schema.names if name.lower() in ADDED]:
        raise ConfigError(
            f"{source.path} has the columns {taken}, which the tables quarantine and augmented add to the raw ones; "
            "rename them"
        )
    types = {f.name: f.dataType for f in schema.fields}
    label = types[source.label]
    if not isinstance(label, (t.StringType, t.BooleanType, t.IntegralType, t.FractionalType)):
        raise ConfigError(
            f"source.label names {source.label!r} of type {label.simpleString()}; "
            "a class must be text, boolean or a whole number"
        )
    if source.timestamp and not isinstance(types[source.timestamp], (t.TimestampType, t.TimestampNTZType, t.DateType)):
        raise ConfigError(
            f"source.timestamp names {source.timestamp!r} of type {types[source.timestamp].simpleString()}; "
            "it must be a timestamp or a date (for CSV say so in source.schema)"
        )
    for window in prepare.windows:
        for name in window.mean:
            if not isinstance(types[name], t.NumericType):
                raise ConfigError(
                    f"prepare.windows.mean names {name!r} of type {types[name].simpleString()}; it must be a number"
                )
    if source.label in prepare.features:
        raise ConfigError(f"prepare.features holds the label {source.label!r}: the model would be told the answer")
    check_constraints(config.publish.constraints, types)


def source_identity(spark: SparkSession, config: SourceConfig) -> str:
    """What changes when the raw table changes: its Delta version, or a hash of its files' names, sizes and times."""
    if config.format == "delta":
        row = DeltaTable.forPath(spark, config.path).history(1).select("version").first()
        assert row is not None
        return f"{config.path}@{row['version']}"
    jvm_path = spark._jvm.org.apache.hadoop.fs.Path(config.path)  # type: ignore[union-attr]
    files = []
    file_system = jvm_path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
    for root in file_system.globStatus(jvm_path):
        walk = file_system.listFiles(root.getPath(), True)
        while walk.hasNext():
            file = walk.next()
            files.append((file.getPath().toString(), file.getLen(), file.getModificationTime()))
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:16]
