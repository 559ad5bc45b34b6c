"""Made rows in the raw schema and units, beside the original ones."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.encoding.names import some_of
from raresmith.spark import incremental
from raresmith.spark.columns import BASE, LABEL, ROW_ID, col, mapped_columns, plainly_named
from raresmith.spark.encoding.decode import decode
from raresmith.spark.prepare.row_id import row_hash
from raresmith.spark.publish.constraints import Constraint, constraints_of
from raresmith.spark.publish.min_distance import too_close
from raresmith.spark.publish.repair import Counts, counted, is_left_out, repaired
from raresmith.tables.contracts import ADDED
from raresmith.tables.row_counts import TOO_CLOSE, UNREPAIRED


def raw_schema(encoder: Encoder) -> t.StructType:
    """The columns of the raw table that `encoder` was fitted on."""
    return t.StructType.fromJson(json.loads(encoder.raw_schema))


def published_schema(encoder: Encoder, config: Config) -> t.StructType:
    """The raw columns, in their order, as `augmented` calls them."""
    raw = raw_schema(encoder)
    return plainly_named(raw, ADDED) if config.publish.names == "safe" else raw


def carried(encoder: Encoder, config: Config) -> tuple[list[str], list[str]]:
    """The raw columns, beside features, label and key, that made rows have from their base row, and those in which they
    have nothing.

    The moment is no person's, and a row without one would fall out of whatever is chosen by days. What a constraint
    names is to hold, which nothing but the base row's value can see to.
    """
    others = {feature.source for feature in encoder.features} | {encoder.label.name, *config.source.key}
    names = [name for name in raw_schema(encoder).names if name not in others]
    kept = {*names}
    if config.publish.carried == "null":
        constrained = config.publish.constraints.columns.values()
        kept = {config.source.timestamp, *(name for columns in constrained for name in columns)}
    return [name for name in names if name in kept], [name for name in names if name not in kept]


def told_names(schema: t.StructType) -> str:
    """A line where a table with the columns of `schema` is none for every reader, or ""."""
    if not (odd := mapped_columns(schema)):
        return ""
    return (
        f"Delta has to map the names of {some_of(odd)}: read_delta of polars refuses such a table; "
        'publish.names = "safe" gives plain names'
    )


@dataclass(frozen=True, kw_only=True)
class ValidRows:
    """The made rows that may leave."""

    rows: DataFrame
    """The raw columns, origin, parent_row_id and run_id."""
    n_made: int
    """How many were made."""
    left_out: dict[str, int]
    """How many of them are left out, and why; without the copies, which nobody counts before the rows are written."""
    constraints: dict[str, Counts]
    """What became of the rows that broke each constraint."""
    searched: dict[str, dict[str, Any]]
    """By class how its train rows were searched for one too close, and the unit of publish.min_distance."""
    kept: tuple[DataFrame, ...]
    """What is kept until the rows are written."""
    carried: Sequence[str] = ()
    """Raw columns that are the base row's."""
    emptied: Sequence[str] = ()
    """Raw columns beside the key that are null."""

    @property
    def measures(self) -> dict[str, Any]:
        """For the note of the run."""
        counts = {name: dataclasses.asdict(found) for name, found in self.constraints.items()}
        found: dict[str, Any] = {"constraints": counts, "min_distance": self.searched}
        found |= {"carried": [*self.carried], "emptied": [*self.emptied]}
        return {name: measured for name, measured in found.items() if measured}

    def words(self) -> str:
        """A line for each constraint, for each class whose rows cannot be too close, and on columns that are none of a
        made row's own."""
        lines = [f"{name}: {counts}" for name, counts in self.constraints.items()]
        for name, found in self.searched.items():
            if found["unit"] == 0:
                lines.append(f"class {name}: most train rows equal another, so no made row is too close to them")
        told = {"columns carried from base rows": self.carried, "left empty in made rows": self.emptied}
        lines += filter(None, ["; ".join(f"{what}: {some_of(names)}" for what, names in told.items() if names)])
        return "\n".join(lines)

    def release(self) -> None:
        """Let go of it."""
        for df in self.kept:
            df.unpersist()


def _publishes_copies(config: Config) -> bool:
    """Whether the rows to be published are meant to equal train rows."""
    return config.publish.source == config.oversample.method and bool(config.oversample.kind.copies_rows)


def valid_rows(
    made: DataFrame, originals: DataFrame, features: DataFrame, encoder: Encoder, config: Config
) -> ValidRows:
    """The `made` rows in the raw schema, as repaired, less those that are no valid rows.

    These break a constraint, are copies of an original, or lie too close to a train row: judged in this order, for
    repair may bring a row back to its base row.

    Parameters
    ----------
    made : DataFrame with row_id, base_row_id, label, run_id and the feature columns
    originals : DataFrame with ROW_ID and the raw columns
        Those of this run.
    features : the table `features`
    """
    train = features.where(F.col("split") == "train")
    constraints = _constraints(originals, train, encoder, config)
    named = sorted({name for constraint in constraints for name in constraint.columns})
    rows = decode_made(made, originals, encoder, config, config.publish.source, named)
    taken, emptied = carried(encoder, config)
    # Only at the end: constraints and copies are judged by what a base row has there.
    raw = [
        F.lit(None).cast(f.dataType).alias(f.name) if f.name in emptied else col(f.name) for f in raw_schema(encoder)
    ]
    columns = [*raw, *map(col, ("origin", "parent_row_id", "run_id"))]
    by_class = {row["label"]: int(row["count"]) for row in made.groupBy("label").count().collect()}
    left_out: dict[str, int] = {}
    counts: dict[str, Counts] = {}
    searched: dict[str, dict[str, Any]] = {}
    kept: list[DataFrame] = []
    if constraints:
        rows = repaired(rows, constraints)
        left_out[UNREPAIRED], counts = counted(rows, originals, constraints)
        rows = rows.where(~is_left_out())
    if not _publishes_copies(config):
        earlier = config.run.incremental
        against = incremental.with_earlier_originals(originals, features, encoder, config) if earlier else originals
        rows = without_copies(rows, against, encoder, config)
    if config.publish.min_distance > 0:
        rows = rows.persist(StorageLevel.DISK_ONLY)
        close, searched = _too_close(rows, sorted(by_class), incremental.so_far(train, config), encoder, config)
        # To search is dear.
        close = close.persist(StorageLevel.DISK_ONLY)
        kept += [rows, close]
        left_out[TOO_CLOSE] = close.count()
        rows = rows.join(close.withColumnRenamed("row_id", ROW_ID), ROW_ID, "left_anti")
    return ValidRows(
        rows=rows.select(*columns),
        n_made=sum(by_class.values()),
        left_out=left_out,
        constraints=counts,
        searched=searched,
        kept=tuple(kept),
        carried=taken,
        emptied=emptied,
    )


def _constraints(originals: DataFrame, train: DataFrame, encoder: Encoder, config: Config) -> list[Constraint]:
    train_rows = originals.join(train.select(F.col("row_id").alias(ROW_ID)), ROW_ID, "left_semi")
    steps = {f.source: f.step for f in encoder.features if f.kind == "numeric" and not f.made and not f.is_day_number}
    return constraints_of(config.publish.constraints, raw_schema(encoder), steps, train_rows)


def _too_close(
    rows: DataFrame, classes: Sequence[int], train: DataFrame, encoder: Encoder, config: Config
) -> tuple[DataFrame, dict[str, dict[str, Any]]]:
    """row_id of the rows of the `classes` too close to a train row, and by class what was measured."""
    close = rows.select(col(ROW_ID).alias("row_id")).where("false")
    measures = {}
    for label in classes:
        of_class = rows.where(col(LABEL) == label), train.where(F.col("label") == label)
        least, seed = config.publish.min_distance, config.run.random_state
        found = too_close(*of_class, encoder, label, least, config.oversample, seed)
        close = close.union(found.rows)
        measures[encoder.label.classes[label]] = found.measures
    return close, measures


def decode_made(
    made: DataFrame, base: DataFrame, encoder: Encoder, config: Config, origin: str, named: Sequence[str] = ()
) -> DataFrame:
    """`made` rows in the raw schema, with origin, parent_row_id and run_id; and ROW_ID, LABEL and BASE columns.

    Features are decoded and kept in the train range. Columns that are no feature (identifiers, the timestamp) are the
    base row's, so that they go together, and null where a row has none; key columns are null, for a made row is no real
    transaction.

    Parameters
    ----------
    made : DataFrame with row_id, base_row_id, label, run_id and the feature columns
    base : DataFrame with ROW_ID and the raw columns
        The original rows.
    named
        Raw columns of which each row gets its base row's value as well, as BASE + name.
    """
    raw = raw_schema(encoder)
    decoded = decode(made, encoder, clamp=True)
    classes = F.array(*[F.lit(c) for c in encoder.label.classes])
    types = {f.name: f.dataType for f in raw.fields}
    decoded[encoder.label.name] = F.get(classes, F.col("label")).cast(types[encoder.label.name])
    for name in config.source.key:
        decoded[name] = F.lit(None).cast(types[name])
    carried = [f.name for f in raw.fields if f.name not in decoded]

    # Numbered names: raw columns may be called like the columns of the feature tables.
    values = made.select(
        F.col("base_row_id").alias("parent_row_id"),
        F.col("run_id"),
        F.col("row_id").alias(ROW_ID),
        F.col("label").alias(LABEL),
        *[column.alias(f"v{i}") for i, column in enumerate(decoded.values())],
    )
    from_base = [col(name).alias(f"c{i}") for i, name in enumerate(carried)]
    from_base += [col(name).alias(BASE + name) for name in named]
    parents = base.select(col(ROW_ID).alias("p"), *from_base)
    # Rows made from noise have none.
    joined = values.join(parents, values["parent_row_id"] == parents["p"], "left") if from_base else values
    at = {name: f"v{i}" for i, name in enumerate(decoded)} | {name: f"c{i}" for i, name in enumerate(carried)}
    return joined.select(
        *[F.col(at[f.name]).cast(f.dataType).alias(f.name) for f in raw.fields],
        F.lit(origin).alias("origin"),
        F.col("parent_row_id"),
        F.col("run_id"),
        *[col(name) for name in (ROW_ID, LABEL, *(BASE + name for name in named))],
    )


def without_copies(made: DataFrame, originals: DataFrame, encoder: Encoder, config: Config) -> DataFrame:
    """The rows of `made` that differ from each row of `originals` in some column that features come from.

    Those are the raw feature columns, and where features are made of the past of an entity or of the moment, the
    entity and the timestamp as well.
    """
    compared = {feature.source for feature in encoder.features if not feature.made}
    windows = config.prepare.windows
    compared |= {window.entity for window in windows}
    compared |= {config.source.timestamp} if windows or config.prepare.calendar else set()
    # By 128 bits of hash: whole rows need not be moved, and thousands of columns are too many for a join's condition.
    fields = [field for field in raw_schema(encoder).fields if field.name in compared]
    hashes = {f"__hash_{salt}": row_hash(fields, salt) for salt in (0, 1)}
    known = originals.select(*[values.alias(name) for name, values in hashes.items()]).distinct()
    return made.withColumns(hashes).join(known, [*hashes], "left_anti").drop(*hashes)


def as_originals(rows: DataFrame, encoder: Encoder, run_id: str) -> DataFrame:
    """Raw `rows` with origin, parent_row_id and run_id."""
    raw = raw_schema(encoder)
    return rows.select(
        *[col(f.name) for f in raw.fields],
        F.lit("original").alias("origin"),
        F.lit(None).cast("bigint").alias("parent_row_id"),
        F.lit(run_id).alias("run_id"),
    )
