"""Rows taken out after oversampling."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.under_sampling import EditedNearestNeighbours, TomekLinks
from pyspark.sql import SparkSession
from tests.spark.oversample.test_oversample import IDENTITY, MIXED, encoder_of, mixed_rows, numeric

from raresmith.config import OversampleConfig
from raresmith.encoding.encoder import Encoder
from raresmith.spark.oversample.oversample import oversample

ENCODER = encoder_of(*[numeric(name) for name in ("a", "b.c", "d")])
CLEANERS = {
    "tomek": TomekLinks(sampling_strategy="all"),
    "enn": EditedNearestNeighbours(sampling_strategy="all", n_neighbors=3),
}


def rows_of(n_fine: int = 900, n_fraud: int = 120, seed: int = 0) -> pd.DataFrame:
    """Two clouds that overlap."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], [n_fine, n_fraud])
    known = {"row_id": rng.permutation(len(label)) * 1_000_003 - 5, "split": "train", "label": label.astype("int32")}
    values = (rng.standard_normal((len(label), 3)) + 1.2 * label[:, None]).astype("float32")
    return pd.concat([pd.DataFrame(known), pd.DataFrame(values, columns=ENCODER.names)], axis=1)


def reduced_of(
    spark: SparkSession, rows: pd.DataFrame, encoder: Encoder = ENCODER, partitions: int = 3, **settings: Any
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Made and removed rows, in order, and what was measured."""
    df = spark.createDataFrame(rows).repartition(partitions)
    made = oversample(df, encoder, OversampleConfig(**settings), random_state=11, run_id="run-1")
    assert made.removed is not None
    rows, removed = (df.toPandas().sort_values("row_id", ignore_index=True) for df in (made.rows, made.removed))
    made.release()
    return rows, removed, made.measures


def made_of(spark: SparkSession, rows: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    made = oversample(spark.createDataFrame(rows), ENCODER, OversampleConfig(**settings), random_state=11, run_id="r")
    return made.rows.toPandas()


def union_of(rows: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    columns = ["row_id", "label", *ENCODER.names]
    return pd.concat([rows[columns], made[columns]], ignore_index=True)


@pytest.mark.parametrize("cleaning", CLEANERS)
def test_the_rows_that_stay_are_those_that_imbalanced_learn_leaves(spark: SparkSession, cleaning: str) -> None:
    rows = rows_of()
    every = union_of(rows, made_of(spark, rows))
    CLEANERS[cleaning].fit_resample(every[ENCODER.names].to_numpy(), every["label"])
    left = set(every["row_id"].iloc[CLEANERS[cleaning].sample_indices_])
    made, removed, measures = reduced_of(spark, rows, cleaning=cleaning)
    assert measures["cleaning"] == {"neighbors": "exact", "recall": 1.0}
    assert set(made["row_id"]) | (set(rows["row_id"]) - set(removed["row_id"])) == left
    assert list(removed.columns) == ["row_id", "label", "reason", "run_id"]
    assert set(removed["reason"]) == {cleaning}
    assert len(made) < 780
    labels = rows.set_index("row_id")["label"]
    np.testing.assert_array_equal(removed["label"], labels.loc[removed["row_id"]])


@pytest.mark.parametrize("settings", [{}, {"num_partitions": 2}])
@pytest.mark.parametrize("cleaning", CLEANERS)
def test_any_partitions_take_out_the_same_rows(spark: SparkSession, cleaning: str, settings: dict[str, Any]) -> None:
    rows = mixed_rows()
    reduced = {"cleaning": cleaning, "undersampling_strategy": "auto", "sampling_strategy": 0.5}
    one, other = (reduced_of(spark, rows, MIXED, n, **reduced, **settings) for n in (1, 7))
    for first, second in zip(one[:2], other[:2], strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert list(one[0].columns) == [*IDENTITY, *MIXED.names]


def test_cells_find_nearly_all_of_the_links_that_the_whole_table_has(spark: SparkSession) -> None:
    rows = rows_of(n_fine=60_000, n_fraud=8000)
    settings: dict[str, Any] = {"cleaning": "tomek", "sampling_strategy": 0.3}
    every = union_of(rows, made_of(spark, rows, sampling_strategy=0.3))
    _, removed, measures = reduced_of(spark, rows, max_exact_bytes=2**20, **settings)
    assert measures["fraud"]["neighbors"] == "exact"
    assert measures["cleaning"]["cells"] > 8
    assert measures["cleaning"]["recall"] >= 0.95
    CLEANERS["tomek"].fit_resample(every[ENCODER.names].to_numpy(), every["label"])
    gone = set(every["row_id"]) - set(every["row_id"].iloc[CLEANERS["tomek"].sample_indices_])
    true = set(rows["row_id"]) & gone
    found = set(removed["row_id"])
    assert len(true & found) > 0.9 * len(true | found)
    again = reduced_of(spark, rows, max_exact_bytes=2**20, partitions=11, **settings)[1]
    pd.testing.assert_frame_equal(again, removed, check_exact=True)


@pytest.mark.parametrize(
    ("settings", "fine", "fraud"),
    [
        ({"undersampling_strategy": "auto", "sampling_strategy": 0.5}, 450, 450),
        ({"undersampling_strategy": 0.8, "sampling_strategy": 0.5}, 562, 450),
        ({"undersampling_strategy": {"fine": 7}, "sampling_strategy": {"fraud": 121}}, 7, 121),
        ({"undersampling_strategy": {"fine": 0, "fraud": 100}, "sampling_strategy": 0.5}, 0, 100),
        ({"undersampling_strategy": "auto", "sampling_strategy": 1.0}, 900, 900),
    ],
)
def test_exactly_as_many_rows_stay_as_asked_for(
    spark: SparkSession, settings: dict[str, Any], fine: int, fraud: int
) -> None:
    rows = rows_of()
    made, removed, _ = reduced_of(spark, rows, **settings)
    left = rows[~rows["row_id"].isin(removed["row_id"])]["label"].value_counts()
    assert left.get(0, 0) == fine
    assert left.get(1, 0) + len(made) == fraud
    assert set(removed["reason"]) <= {"undersampled"}


def test_which_rows_stay_depends_on_the_seed_and_not_on_what_they_hold(spark: SparkSession) -> None:
    rows = rows_of()
    settings: dict[str, Any] = {"undersampling_strategy": "auto", "sampling_strategy": 0.5}
    removed = reduced_of(spark, rows, **settings)[1]["row_id"]
    other = rows.assign(a=np.float32(0))
    pd.testing.assert_series_equal(reduced_of(spark, other, **settings)[1]["row_id"], removed)
    df = spark.createDataFrame(rows)
    again = oversample(df, ENCODER, OversampleConfig(**settings), random_state=12, run_id="r").removed
    assert again is not None
    assert 0.3 < again.toPandas()["row_id"].isin(removed).mean() < 0.7
