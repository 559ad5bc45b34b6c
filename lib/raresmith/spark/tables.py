"""The one place where Spark touches Delta."""

import functools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from delta import exceptions as conflicts
from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DataType, StructField, StructType, _parse_datatype_string

from raresmith.errors import DataError
from raresmith.spark.columns import (
    MAPPING,
    col,
    is_mapped_to_itself,
    mapped_columns,
    mapped_to_itself,
    quoted,
    raw_columns,
)
from raresmith.spark.commits import logged_schema, newest_first, properties_of
from raresmith.spark.content_hash import HashedOnTheWay, content_hash
from raresmith.spark.failures import causes
from raresmith.spark.files import holds_anything, names_in
from raresmith.spark.session import set_for
from raresmith.tables import commits, contracts
from raresmith.tables.commits import Commit
from raresmith.tables.concurrency import Overtaken
from raresmith.tables.content_hash import rows_of
from raresmith.tables.stage_run import StageRun

_CONFLICTS = (
    conflicts.DeltaConcurrentModificationException,
    # In Java these are its subclasses, in Python they are not.
    conflicts.ConcurrentWriteException,
    conflicts.MetadataChangedException,
    conflicts.ProtocolChangedException,
    conflicts.ConcurrentAppendException,
    conflicts.ConcurrentDeleteReadException,
    conflicts.ConcurrentDeleteDeleteException,
    conflicts.ConcurrentTransactionException,
)


def table_exists(spark: SparkSession, location: str) -> bool:
    """Whether there is a Delta table at `location`."""
    return bool(DeltaTable.isDeltaTable(spark, location))


def read_table(spark: SparkSession, location: str, version: int | None = None) -> DataFrame:
    """The Delta table at `location`, as it is now or as it was at `version`.

    Raises
    ------
    DataError
        If there is none.
    """
    _check_exists(spark, location)
    reader = spark.read.format("delta")
    return (reader if version is None else reader.option("versionAsOf", version)).load(location)


def _check_exists(spark: SparkSession, location: str) -> None:
    if not table_exists(spark, location):
        raise DataError(f"there is no Delta table at {location}; run the stage that writes it first")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A table as it is now."""

    newest: int
    """Version of the newest commit, whatever it changed."""
    changed: Commit
    """The newest commit that changed rows."""
    note: dict[str, Any]
    """What the newest stage run left in the commit of its rows; or nothing."""


def snapshot(spark: SparkSession, location: str) -> Snapshot:
    """The table at `location` as it is now; DataError where there is none."""
    _check_exists(spark, location)
    newest = -1
    changed: Commit | None = None
    note: dict[str, Any] = {}
    for commit in newest_first(spark, location):
        newest = max(newest, commit.version)
        changed = commit if changed is None and commit.changes_rows else changed
        note = note or commit.note
        if changed is not None and note:
            break
    if changed is None:
        raise DataError(f"the newest commits of {location} hold no rows; run the stage that writes it again")
    return Snapshot(newest=newest, changed=changed, note=note)


def current_version(spark: SparkSession, location: str) -> int:
    """Version of the newest commit of a table that anybody may keep, whatever it changed."""
    row = DeltaTable.forPath(spark, location).history(1).select("version").first()
    assert row is not None
    return int(row["version"])


def newest_note(spark: SparkSession, location: str) -> dict[str, Any]:
    """What the newest stage run left in the commit of its rows at `location`; or nothing."""
    return commits.newest_note(newest_first(spark, location)) if table_exists(spark, location) else {}


def schema_of(table: contracts.Table) -> StructType:
    """The Spark schema that `table` promises, with comments and nullability."""
    return _schema(table.columns)


def _schema(columns: Iterable[contracts.Column]) -> StructType:
    schema = StructType([StructField(c.name, _spark_type(c.type), c.nullable, {"comment": c.comment}) for c in columns])
    return mapped_to_itself(schema) if mapped_columns(schema) else schema


@functools.cache
def _spark_type(text: str) -> DataType:
    """The type that SQL calls `text`; Spark takes milliseconds to parse it, and wide tables have few types."""
    return _parse_datatype_string(text)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What lies in a table after it was written."""

    rows: int
    version: int
    """Of the commit that wrote them."""
    content_hash: str
    """Of all columns but run_id, so that equal runs under two names are seen to be equal."""
    made_before: bool = False
    """Whether an equal run wrote them, perhaps at the same time, and what was to be written was not looked at."""


def hash_of(spark: SparkSession, location: str, condition: str = "") -> str:
    """The content hash of the rows at `location` that meet `condition`, without run_id."""
    df = spark.read.format("delta").load(location)
    return content_hash((df.where(condition) if condition else df).drop("run_id"))


def write_table(
    df: DataFrame, table: contracts.Table, location: str, run: StageRun, *, replace_where: str = ""
) -> Written:
    """Replace rows as `replace_rows` does, and count and hash those that lie there.

    The rows are hashed while they are written. They are read back where Spark does not tell the hash, where the commit
    counts other rows than were hashed, and where an equal run wrote them.

    Raises
    ------
    Overtaken
        If the commit of a run that is not equal came first; the rows are not written.
    DataError
        If what is read back is not what was written.
    """
    hashed = HashedOnTheWay(_typed(df, table), without="run_id")
    metadata = _committed(hashed.rows, table, location, run, replace_where)
    if (digest := hashed.digest()) is not None:
        commit = _own_change(df.sparkSession, location, run, replace_where)
        if commit.metadata == metadata and commit.rows == rows_of(digest):
            return Written(rows=rows_of(digest), version=commit.version, content_hash=digest)
    return _read_back(df.sparkSession, location, run, replace_where, metadata)


def replace_rows(
    df: DataFrame, table: contracts.Table, location: str, run: StageRun, *, replace_where: str = ""
) -> None:
    """Replace the rows of `table` at `location` in one commit that names `run`.

    The table is made with its comments and constraints when it is not there; when its columns or constraints changed,
    the new ones come in the same commit as the rows, or before it where other rows stay. Where an equal run made the
    newest rows, or does so in the meantime, they are left as they are: two at once end as one.

    Parameters
    ----------
    replace_where
        Condition of the rows to replace; the others stay. Empty means all.

    Raises
    ------
    Overtaken
        If the commit of a run that is not equal came first; the rows are not written.
    """
    _committed(_typed(df, table), table, location, run, replace_where)


def _typed(df: DataFrame, table: contracts.Table) -> DataFrame:
    return df.selectExpr(*[f"CAST({quoted(c.name)} AS {c.type}) AS {quoted(c.name)}" for c in table.columns])


def _committed(df: DataFrame, table: contracts.Table, location: str, run: StageRun, replace_where: str) -> str:
    """Replace the rows and return the commit's user metadata."""
    spark = df.sparkSession
    metadata = run.commit_metadata()
    try:
        _write(df, table, location, run, metadata, replace_where)
    except (PySparkException, Py4JJavaError) as error:
        if not is_conflict(error):
            raise
        if not commits.made_last(newest_first(spark, location), run):
            raise Overtaken.at(location, run.stage) from error
    return metadata


def is_conflict(error: Exception) -> bool:
    """Whether Delta refused a commit because another process's came first."""
    kind = "org.apache.spark.sql.delta.DeltaConcurrentModificationException"
    return isinstance(error, _CONFLICTS) or any(causes(error, kind))


@contextmanager
def _unless_overtaken() -> Iterator[None]:
    """Let be what another process did first."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if not is_conflict(error):
            raise


def _write(
    df: DataFrame, table: contracts.Table, location: str, run: StageRun, metadata: str, replace_where: str
) -> None:
    """Make the commit, or leave the table as it is where an equal run made the newest."""
    spark = df.sparkSession
    created = _create_if_missing(spark, table, location, run)
    properties = _properties(table, run) if created else properties_of(spark, location)
    log = newest_first(spark, location)
    newest = next(log)
    if commits.made_last(chain([newest], log), run):
        _name(spark, location, run, properties)  # it may have been ended before it came to this
        return
    options = {
        "userMetadata": metadata,
        "txnAppId": run.app_id(table.name),
        # One more than what is there: a repeat of this very write is skipped, a later one is not.
        "txnVersion": str(newest.version + 1),
    }
    found = spark.read.format("delta").load(location).schema
    changed = [(f.name, f.dataType) for f in found] != [(f.name, f.dataType) for f in df.schema]
    if mapped_columns(df.schema) and not changed:
        changed = not is_mapped_to_itself(logged_schema(spark, location))  # an earlier version made it
    # What an earlier version made.
    stale = {k: check for k, check in table.checks.items() if properties.get(f"delta.constraints.{k}") != check}
    # The values of other columns go into the files as they are.
    without_dictionary = [c.name for c in table.columns if not c.repeats]
    with set_for(spark, {f"parquet.enable.dictionary#{name}": "false" for name in without_dictionary}):
        if (changed or stale) and not (replace_where and _holds_others(spark, location, replace_where)):
            _replace(df, table, location, run, options)
            return
        for name, condition in stale.items():
            spark.sql(f"ALTER TABLE delta.{quoted(location)} DROP CONSTRAINT IF EXISTS {name}")
            spark.sql(f"ALTER TABLE delta.{quoted(location)} ADD CONSTRAINT {name} CHECK ({condition})")
        writer = df.write.format("delta").mode("overwrite").options(**options)
        if replace_where:
            # Rows that stay keep their columns, and are null in new ones.
            writer = writer.option("replaceWhere", replace_where).option("mergeSchema", changed)
        writer.save(location)
    _name(spark, location, run, properties)


def _name(spark: SparkSession, location: str, run: StageRun, properties: dict[str, str]) -> None:
    """Let the table, which has `properties`, name the run whose rows are the newest."""
    if properties.get("raresmith.run_id") != run.run_id:
        named = f"'raresmith.run_id' = '{run.run_id}'"
        with _unless_overtaken():  # another process names its run, whose rows are newer
            spark.sql(f"ALTER TABLE delta.{quoted(location)} SET TBLPROPERTIES ({named})")


def overwrite(df: DataFrame, location: str) -> None:
    """Replace rows and columns of the user's own table at `location` in one commit, or make it.

    Raises
    ------
    DataError
        If there is something else.
    """
    spark = df.sparkSession
    if not location or (not table_exists(spark, location) and holds_anything(spark, location)):
        raise DataError(
            f"{location!r} is, or holds, something else than a Delta table; name a folder that is empty, not there "
            "yet, or such a table"
        )
    is_there = table_exists(spark, location)
    schema = _schema(raw_columns(df.schema))
    mode = {MAPPING: "name"} if mapped_columns(schema) else {}
    if not mode and not (is_there and MAPPING in properties_of(spark, location)):
        df.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(location)
        return
    if not is_there:
        # Delta takes names for the files from the schema of a table, but not from that of rows which it makes one of.
        DeltaTable.createIfNotExists(spark).location(location).addColumns(schema).property(MAPPING, "name").execute()
    _replace_all(df, schema, location, mode, {})


def _own_change(spark: SparkSession, location: str, run: StageRun, condition: str) -> Commit:
    """The commit of the rows of `run` that lie at `location`; Overtaken where they are another run's by now."""
    # Beside the rows of others, whose commits may be newer, lie those of this run still.
    log = (commit for commit in newest_first(spark, location) if not condition or run.made(commit.note))
    commit = commits.last_change(log)
    if commit is None or not run.made(commit.note):
        raise Overtaken.at(location, run.stage)
    return commit


def _read_back(spark: SparkSession, location: str, run: StageRun, condition: str, metadata: str) -> Written:
    """What `run` wrote to `location`, in the commit of `metadata`; `condition` picks its rows among those of others."""
    found = hash_of(spark, location, condition)
    rows = rows_of(found)
    commit = _own_change(spark, location, run, condition)
    if not condition and commit.rows is not None and commit.rows != rows:
        raise DataError(f"{location} holds {rows} rows but {commit.rows} were written; run {run.stage} again")
    return Written(rows=rows, version=commit.version, content_hash=found, made_before=commit.metadata != metadata)


def _holds_others(spark: SparkSession, location: str, condition: str) -> bool:
    """Whether the table has rows that do not meet `condition`."""
    return not spark.read.format("delta").load(location).where(f"NOT ({condition})").isEmpty()


def _properties(table: contracts.Table, run: StageRun) -> dict[str, str]:
    properties = {f"delta.constraints.{name}": condition for name, condition in table.checks.items()}
    properties.update({"raresmith.table": table.name, "raresmith.run_id": run.run_id})
    properties["delta.dataSkippingNumIndexedCols"] = str(table.ranged_columns)
    if mapped_columns(schema_of(table)):
        properties[MAPPING] = "name"
    return properties


def _create_if_missing(spark: SparkSession, table: contracts.Table, location: str, run: StageRun) -> bool:
    """Whether the table was not there and is made now."""
    if table_exists(spark, location):
        return False
    try:
        _create(spark, table, location, run)
        return True
    except (PySparkException, Py4JJavaError) as error:
        # Another process made it, or is at it: its log is there, and its first commit about to come.
        if is_conflict(error) or _appears(spark, location):
            return False
        raise


def _appears(spark: SparkSession, location: str) -> bool:
    """Whether there is a Delta table at `location` within seconds, where its log is begun."""
    for _ in range(50):
        if table_exists(spark, location):
            return True
        if not holds_anything(spark, location) or "_delta_log" not in names_in(spark, location):
            return False
        time.sleep(0.1)
    return False


def _create(spark: SparkSession, table: contracts.Table, location: str, run: StageRun) -> None:
    builder = DeltaTable.createIfNotExists(spark).location(location).comment(table.comment)
    builder = builder.addColumns(schema_of(table))
    for key, value in _properties(table, run).items():
        builder = builder.property(key, value)
    builder.execute()


def _replace(df: DataFrame, table: contracts.Table, location: str, run: StageRun, options: dict[str, str]) -> None:
    """Rows, columns and constraints in one commit.

    Delta drops NOT NULL here, so it comes back as CHECK: an empty table between two commits would be worse.
    """
    not_null = {
        f"delta.constraints.{column.name.lower()}_not_null": f"{quoted(column.name)} IS NOT NULL"
        for column in table.columns
        if not column.nullable
    }
    properties = {**_properties(table, run), **not_null, "comment": table.comment}
    _replace_all(df, schema_of(table), location, properties, options)


def _replace_all(
    df: DataFrame, schema: StructType, location: str, properties: dict[str, str], options: dict[str, str]
) -> None:
    """Rows, columns and properties of a table that is there, in one commit."""
    spark = df.sparkSession
    described = df.select(*[col(f.name).cast(f.dataType).alias(f.name, metadata=f.metadata) for f in schema.fields])
    writer = described.writeTo(f"delta.{quoted(location)}").using("delta").options(**options)
    for key, value in properties.items():
        writer = writer.tableProperty(key, value)
    # Where names are mapped no longer, the protocol has to forget it too, for the readers that do not know how.
    plain_again = MAPPING not in properties and MAPPING in properties_of(spark, location)
    with set_for(spark, {"spark.databricks.delta.replace.protocolDowngradeAllowed": "true"} if plain_again else {}):
        writer.createOrReplace()
