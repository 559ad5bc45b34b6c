"""Classes larger than oversample.max_exact_bytes, made cell by cell."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.oversampling.plans import smote
from tests.spark.conf import spark_conf
from tests.spark.oversample.test_oversample import IDENTITY, encoder_of, numeric

from raresmith.config import OversampleConfig
from raresmith.errors import DataError
from raresmith.oversampling.base import copies_per_base
from raresmith.oversampling.plan import ClassPlan
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.oversample.oversample import Oversampled, oversample

ENCODER = encoder_of(*[numeric(name) for name in ("a", "b.c", "d", "e")])
N_FRAUD, N_TO_MAKE = 45_000, 60_000


def rows_of(n_fraud: int = N_FRAUD, n_fine: int = N_FRAUD + N_TO_MAKE, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = n_fraud + n_fine
    values = rng.standard_normal((n, 2)) @ rng.standard_normal((2, 4)) + 0.1 * rng.standard_normal((n, 4))
    row_ids = rng.permutation(n) * 1_000_003 - 5
    labels = np.repeat(np.array([1, 0], "int32"), [n_fraud, n_fine])
    known = pd.DataFrame({"row_id": row_ids, "split": "train", "label": labels})
    return pd.concat([known, pd.DataFrame(values.astype("float32"), columns=ENCODER.names)], axis=1)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    assert N_FRAUD * FeatureColumns.of(ENCODER).row_bytes > 2**20
    return rows_of()


def made_of(spark: SparkSession, rows: pd.DataFrame, partitions: int = 3, **settings: Any) -> Oversampled:
    config = OversampleConfig(max_exact_bytes=2**20, **settings)
    df = spark.createDataFrame(rows).repartition(partitions)
    return oversample(df, ENCODER, config, random_state=11, run_id="run-1")


def collected(made: Oversampled) -> pd.DataFrame:
    return made.rows.toPandas().sort_values("row_id", ignore_index=True)


@pytest.fixture(scope="module")
def oversampled(spark: SparkSession, rows: pd.DataFrame) -> Oversampled:
    return made_of(spark, rows)


@pytest.fixture(scope="module")
def expected(oversampled: Oversampled) -> pd.DataFrame:
    return collected(oversampled)


@pytest.fixture(scope="module")
def fraud(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.query("label == 1").sort_values("row_id", ignore_index=True)


@pytest.fixture(scope="module")
def exact(fraud: pd.DataFrame) -> ClassPlan:
    """The plan with the whole class in memory."""
    columns = np.ascontiguousarray(fraud[ENCODER.names].to_numpy().T)
    return smote(fraud["row_id"].to_numpy(), columns, np.zeros(4, bool), N_TO_MAKE, 5, 11)


def test_the_same_copies_of_the_same_bases_are_made_as_in_memory(expected: pd.DataFrame, exact: ClassPlan) -> None:
    assert list(expected.columns) == [*IDENTITY, *ENCODER.names]
    made = exact.rows(np.arange(N_TO_MAKE))
    order = np.argsort(made.row_id)
    np.testing.assert_array_equal(expected["row_id"], made.row_id[order])
    np.testing.assert_array_equal(expected["base_row_id"], made.base_row_id[order])
    np.testing.assert_array_equal(expected["gap"], made.gap[order])


def test_as_many_of_the_true_neighbors_are_found_as_told(
    oversampled: Oversampled, expected: pd.DataFrame, exact: ClassPlan
) -> None:
    made = exact.rows(np.arange(N_TO_MAKE))
    order = np.argsort(made.row_id)
    measured = (expected["neighbor_row_id"].to_numpy() == made.neighbor_row_id[order]).mean()
    told = oversampled.measures["fraud"]
    assert told["neighbors"] == "cells"
    assert told["cells"] > 8
    assert told["recall"] >= 0.95
    # The same neighbour is drawn from the same list, and another where a nearer one is missing from it.
    assert told["recall"] - 0.06 < measured < 1


def test_a_made_row_lies_between_its_parents(expected: pd.DataFrame, fraud: pd.DataFrame) -> None:
    by_id = fraud.set_index("row_id")[ENCODER.names]
    base, neighbor = by_id.loc[expected["base_row_id"]], by_id.loc[expected["neighbor_row_id"]]
    made = expected[ENCODER.names].to_numpy()
    assert (made >= np.minimum(base.to_numpy(), neighbor.to_numpy())).all()
    assert (made <= np.maximum(base.to_numpy(), neighbor.to_numpy())).all()
    assert (expected["base_row_id"] != expected["neighbor_row_id"]).all()


@pytest.mark.parametrize("adaptive", ["true", "false"])
@pytest.mark.parametrize("partitions", [1, 13])
def test_any_partitions_and_adaptive_execution_give_the_same_bits(
    spark: SparkSession, rows: pd.DataFrame, expected: pd.DataFrame, partitions: int, adaptive: str
) -> None:
    with spark_conf(spark, {"spark.sql.adaptive.enabled": adaptive}):
        pd.testing.assert_frame_equal(collected(made_of(spark, rows, partitions)), expected, check_exact=True)


def test_rows_are_crossed_in_cells(spark: SparkSession, rows: pd.DataFrame, fraud: pd.DataFrame) -> None:
    made = collected(made_of(spark, rows, method="crossover", sampling_strategy={"fraud": N_FRAUD + 2000}))
    assert len(made) == 2000
    by_id = fraud.set_index("row_id")[ENCODER.names]
    base, neighbor = by_id.loc[made["base_row_id"]].to_numpy(), by_id.loc[made["neighbor_row_id"]].to_numpy()
    values = made[ENCODER.names].to_numpy()
    assert ((values == base) | (values == neighbor)).all()
    assert (values != base).any(axis=1).all()


def test_partition_local_rows_come_by_name_and_tell_their_recall(spark: SparkSession, rows: pd.DataFrame) -> None:
    made = made_of(spark, rows, neighbors="partition", sampling_strategy={"fraud": N_FRAUD + 10})
    assert made.measures["fraud"]["neighbors"] == "partition"
    assert made.measures["fraud"]["recall"] < 0.4
    assert made.rows.count() == 10


def test_cells_by_name_are_used_for_a_class_that_fits_in_memory(
    spark: SparkSession, rows: pd.DataFrame, exact: ClassPlan
) -> None:
    config = OversampleConfig(neighbors="cells")
    made = oversample(spark.createDataFrame(rows), ENCODER, config, random_state=11, run_id="run-1")
    assert made.measures["fraud"]["cells"] > 8
    found = made.rows.select("row_id", "neighbor_row_id").toPandas().sort_values("row_id")
    expected = exact.rows(np.arange(N_TO_MAKE))
    order = np.argsort(expected.row_id)
    np.testing.assert_array_equal(found["row_id"], expected.row_id[order])
    assert (found["neighbor_row_id"].to_numpy() == expected.neighbor_row_id[order]).mean() > 0.9


def test_exact_neighbors_of_too_large_a_class_are_refused_before_it_is_collected(
    spark: SparkSession, rows: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=r"45000 train rows .* 1080000 bytes, .*max_exact_bytes is 1048576; raise it"):
        made_of(spark, rows, neighbors="exact")


def test_as_many_rows_get_one_copy_more_for_any_remainder(
    spark: SparkSession, rows: pd.DataFrame, fraud: pd.DataFrame
) -> None:
    for n_to_make in (1, N_FRAUD + 7):
        made = made_of(spark, rows, sampling_strategy={"fraud": N_FRAUD + n_to_make}, min_recall=0.01).rows
        counts = made.groupBy("base_row_id").count().toPandas().set_index("base_row_id")["count"]
        wanted = copies_per_base(fraud["row_id"].to_numpy(), n_to_make, 11)
        np.testing.assert_array_equal(fraud["row_id"].map(counts).fillna(0), wanted)


def test_rows_are_made_of_the_bases_alone_and_drawn_towards_all_rows(
    spark: SparkSession, rows: pd.DataFrame, fraud: pd.DataFrame
) -> None:
    config = OversampleConfig(max_exact_bytes=2**20, sampling_strategy={"fraud": 20_000})
    df = spark.createDataFrame(rows).repartition(3)
    is_base = "pmod(row_id, 5) = 0"
    made = oversample(df, ENCODER, config, random_state=11, run_id="run-1", bases=is_base).rows.toPandas()
    bases = fraud["row_id"].to_numpy()[fraud["row_id"] % 5 == 0]
    counts = made["base_row_id"].value_counts()
    wanted = copies_per_base(bases, 20_000 - len(bases), 11)
    np.testing.assert_array_equal(pd.Series(bases).map(counts).fillna(0), wanted)
    assert len(made) == wanted.sum()
    assert 0.7 < (made["neighbor_row_id"] % 5 != 0).mean() < 0.9
