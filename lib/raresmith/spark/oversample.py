"""SMOTE rows of the train split, made in parallel with the true nearest neighbours of the whole class.

Minority rows are few: each executor gets all of a class's rows, and each task finds the neighbours of its own bases
only. A made row does not depend on the task that makes it.
"""

from collections.abc import Callable, Iterator
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType, LongType, StructField, StructType

from raresmith.config import OversampleConfig
from raresmith.encoder import Encoder
from raresmith.errors import DataError
from raresmith.sampling_strategy import rows_to_make
from raresmith.smote import Smote, smote, usable_neighbors
from raresmith.spark.tables import col

_BATCH_ROWS = 2**14
_BATCH_BYTES = 2**25
"""Made rows leave Python in batches of at most this size, so that its memory does not grow with their number."""


def oversample(
    features: DataFrame, encoder: Encoder, config: OversampleConfig, random_state: int, run_id: str
) -> DataFrame:
    """The `synthetic` table for the train rows of `features`; the rows are the same however they are partitioned.

    Raises
    ------
    DataError
        If the strategy does not fit the classes, a class has too few rows or more bytes than
        `oversample.max_exact_bytes`, a row_id comes twice, or a feature is null, NaN, infinite or beyond 1e150.
    """
    train = features.where(col("split") == "train")
    counts = {encoder.label.classes[row["label"]]: row["count"] for row in train.groupBy("label").count().collect()}
    # Ties between classes are decided by their order, which a shuffle does not keep.
    counts = {name: counts[name] for name in encoder.label.classes if name in counts}
    wanted = {name: n for name, n in rows_to_make(counts, config.sampling_strategy).items() if n > 0}
    neighbors = {
        name: usable_neighbors(counts[name], config.k_neighbors, config.on_few_neighbors, name) for name in wanted
    }
    for name in wanted:
        _check_bytes(name, counts[name], encoder, config)
    parts = [train.sparkSession.createDataFrame([], _schema(encoder)).withColumn("label", F.lit(0))]
    for name, n_to_make in wanted.items():
        label = encoder.label.classes.index(name)
        row_ids, columns = _collected(train.where(col("label") == label), encoder, name)
        plan = smote(
            row_ids,
            columns,
            np.array(encoder.categorical),
            n_to_make,
            neighbors[name],
            random_state,
            config.method,
            column_groups(encoder),
        )
        parts.append(_made(train, plan, encoder, config).withColumn("label", F.lit(label)))
    # The empty first part is there for its schema only.
    united = reduce(DataFrame.union, parts[1:] or parts)
    return united.select(
        "row_id",
        "base_row_id",
        "neighbor_row_id",
        "gap",
        F.lit(config.method).alias("method"),
        "label",
        F.lit(run_id).alias("run_id"),
        *[col(name) for name in encoder.names],
    )


def column_groups(encoder: Encoder) -> np.ndarray:
    """The group of each feature: a number and the indicator of its nulls belong together, the others stand alone."""
    sources = {f.null_indicator: f.name for f in encoder.features if f.kind == "numeric" and f.null_indicator}
    leaders = [sources.get(name, name) for name in encoder.names]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(leaders))}
    return np.array([numbers[name] for name in leaders])


def class_bytes(n_rows: int, encoder: Encoder) -> int:
    """Bytes that `n_rows` rows of a class and their row ids take in each executor's Python workers."""
    return n_rows * (8 + len(encoder.features) * _dtype(encoder).itemsize)


def _check_bytes(name: str, n_rows: int, encoder: Encoder, config: OversampleConfig) -> None:
    needed = class_bytes(n_rows, encoder)
    if needed > config.max_exact_bytes:
        raise DataError(
            f"class {name!r} has {n_rows} train rows of {len(encoder.features)} features, {needed} bytes, but "
            f"oversample.max_exact_bytes is {config.max_exact_bytes}; raise it if every executor has that much memory "
            "for each of its cores, or use fewer rows or features"
        )


def _dtype(encoder: Encoder) -> np.dtype[np.float32] | np.dtype[np.float64]:
    """float64 as soon as one column needs it, since distances mix the columns."""
    double = any(feature.storage == "double" for feature in encoder.features)
    return np.dtype(np.float64) if double else np.dtype(np.float32)


def _schema(encoder: Encoder) -> StructType:
    """What the tasks return; label, method and run_id are constants that Spark adds."""
    types = {"float": FloatType(), "double": DoubleType()}
    return StructType(
        [
            *(StructField(name, LongType(), False) for name in ("row_id", "base_row_id", "neighbor_row_id")),
            StructField("gap", DoubleType(), False),
            *(StructField(feature.name, types[feature.storage], False) for feature in encoder.features),
        ]
    )


def _collected(rows: DataFrame, encoder: Encoder, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Row ids, ascending, and features of shape (n_features, n_rows) of one class."""
    table = rows.select("row_id", *[col(feature) for feature in encoder.names]).toArrow()
    row_ids = table.column(0).to_numpy()
    order = np.argsort(row_ids, kind="stable")
    row_ids = row_ids[order]
    if (twice := np.flatnonzero(np.diff(row_ids) == 0)).size:
        raise DataError(f"row_id {row_ids[twice[0]]} comes twice among the train rows; run prepare again")
    columns = np.empty((len(encoder.features), len(row_ids)), _dtype(encoder))
    for f, feature in enumerate(encoder.names):
        columns[f] = table.column(f + 1).to_numpy()[order]
        if not (np.abs(columns[f]) < np.float64(1e150)).all():  # beyond it a squared distance overflows
            raise DataError(
                f"feature {feature!r} has a null, NaN, infinite or too large value in a train row of class {name!r}; "
                "run prepare again"
            )
    return row_ids, columns


def _made(train: DataFrame, plan: Smote, encoder: Encoder, config: OversampleConfig) -> DataFrame:
    spark = train.sparkSession
    n_to_make = int(plan.ends[-1])
    # Made rows are numbered base by base, so a partition of the numbers is a slice of the bases. Numbering the rows
    # and not the bases keeps the tasks even where a few bases have many copies.
    partitions = min(config.num_partitions or spark.sparkContext.defaultParallelism, n_to_make)
    numbers = spark.range(0, n_to_make, 1, partitions)
    schema = _schema(encoder)
    make = _maker(spark.sparkContext.broadcast(plan), [feature.storage for feature in encoder.features], schema.names)
    return numbers.mapInArrow(make, schema)


def _maker(
    plan: Broadcast[Smote], storages: list[str], names: list[str]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    types = {"float": pa.float32(), "double": pa.float64()}
    batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (8 * len(names))))

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            numbers = batch.column(0).to_numpy()
            for start in range(0, len(numbers), batch_rows):
                made = plan.value.rows(numbers[start : start + batch_rows])
                identity = [pa.array(a) for a in (made.row_id, made.base_row_id, made.neighbor_row_id, made.gap)]
                values = [
                    # Ends that fit in 32 bits keep the value between them when it is rounded to 32 bits.
                    pa.array(column, types[storage], safe=False)
                    for column, storage in zip(made.columns, storages, strict=True)
                ]
                yield pa.RecordBatch.from_arrays([*identity, *values], names)

    return make
