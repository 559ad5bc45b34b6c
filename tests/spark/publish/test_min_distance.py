"""A made row nearer to a train row than publish.min_distance is left out, and no other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.spatial import cKDTree
from tests.spark.oversample.test_oversample import MIXED, categorical, encoder_of, mixed_rows, numeric

from raresmith.config import OversampleConfig
from raresmith.encoding.encoder import INDICATED, Encoder
from raresmith.errors import DataError
from raresmith.neighbors.distance import category_weight
from raresmith.spark.columns import ROW_ID
from raresmith.spark.publish.min_distance import raw_features, too_close

FRAUD = 1


def made_rows(train: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Raw rows around train rows, some of them on one; names and numbers as the encoder of `MIXED` has them."""
    rng = np.random.default_rng(seed)
    made = train.iloc[rng.integers(0, len(train), n)].reset_index(drop=True)
    for name, spread in (("a", 0.4), ("b.c", 4e8), ("wide", 0.4)):
        far = rng.random(n) * (np.arange(n) % 3)
        made[name] = (made[name] + spread * far * rng.standard_normal(n)).astype(made[name].dtype)
    made["kind"] = np.array(["a", "b", "c"])[made["kind"].astype(int) - 2]
    made[ROW_ID] = rng.permutation(n) * 7919 - 3
    return made[[ROW_ID, "a", "b.c", "wide", "kind"]].astype({"a": "float64", "b.c": "float64"})


def distances(
    queries: NDArray[Any], rows: NDArray[Any], is_categorical: NDArray[np.bool_], weight: float
) -> NDArray[np.float64]:
    """From every query to every row, by hand."""
    numbers = (queries[:, None, ~is_categorical] - rows[None, :, ~is_categorical]) ** 2
    found: NDArray[np.float64] = np.sqrt(
        numbers.sum(axis=2) + weight * (queries[:, None, is_categorical] != rows[None, :, is_categorical]).sum(axis=2)
    )
    return found


def found_of(
    spark: SparkSession,
    made: pd.DataFrame,
    train: pd.DataFrame,
    encoder: Encoder,
    min_distance: float,
    partitions: int = 3,
    **settings: Any,
) -> tuple[list[int], dict[str, Any]]:
    queries, rows = (spark.createDataFrame(df).repartition(partitions) for df in (made, train))
    found = too_close(queries, rows, encoder, FRAUD, min_distance, OversampleConfig(**settings), random_state=11)
    return sorted(row["row_id"] for row in found.rows.collect()), found.measures


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    return mixed_rows(n_fraud=300).query("label == 1").sort_values("row_id", ignore_index=True)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_those_are_left_out_whose_distance_to_the_closest_is_below_the_share_of_the_unit(
    spark: SparkSession, train: pd.DataFrame, share: float
) -> None:
    made = made_rows(train, 500)
    columns = train[MIXED.names].to_numpy(np.float64)
    is_categorical = np.array(MIXED.categorical)
    weight = category_weight(columns.T, is_categorical)
    between = distances(columns, columns, is_categorical, weight)
    np.fill_diagonal(between, np.inf)
    unit = np.median(between.min(axis=1))
    encoded = made.assign(kind=made["kind"].map({"a": 2, "b": 3, "c": 4}))[MIXED.names].to_numpy(np.float64)
    closest = distances(encoded, columns, is_categorical, weight).min(axis=1)
    assert np.abs(closest / unit - share).min() > 1e-6
    wanted = sorted(made[ROW_ID][closest < share * unit])
    found, measures = found_of(spark, made, train, MIXED, share)
    assert found == wanted
    assert 0 < len(wanted) < 500
    assert measures == {"neighbors": "exact", "recall": 1.0, "unit": pytest.approx(unit)}


def test_a_row_at_the_very_distance_stays(spark: SparkSession) -> None:
    line = encoder_of(numeric("x"))
    train = pd.DataFrame({"row_id": range(4), "label": FRAUD, "x": np.array([0, 2, 4, 6], "float32")})
    train["label"] = train["label"].astype("int32")
    made = pd.DataFrame({ROW_ID: [10, 11, 12, 13], "x": [3.0, 7.0, 2.5, 6.0]})
    # Train rows are 2 apart.
    assert found_of(spark, made, train, line, 0.5)[0] == [12, 13]
    assert found_of(spark, made, train, line, 0.51)[0] == [10, 11, 12, 13]


def test_where_most_train_rows_equal_another_nothing_is_too_close(spark: SparkSession) -> None:
    line = encoder_of(numeric("x"))
    train = pd.DataFrame({"row_id": range(4), "label": np.int32(FRAUD), "x": np.array([0, 0, 0, 6], "float32")})
    made = pd.DataFrame({ROW_ID: [10, 11], "x": [0.0, 0.1]})
    found, measures = found_of(spark, made, train.astype({"label": "int32"}), line, 0.5)
    assert found == []
    assert measures["unit"] == 0


@pytest.mark.parametrize("partitions", [1, 13])
def test_any_partitions_leave_out_the_same_rows(spark: SparkSession, train: pd.DataFrame, partitions: int) -> None:
    made = made_rows(train, 200)
    assert found_of(spark, made, train, MIXED, 0.5, partitions) == found_of(spark, made, train, MIXED, 0.5)


def large(n: int = 45_000, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, Encoder]:
    """A class of more than a MiB near a plane, and rows made around it."""
    rng = np.random.default_rng(seed)
    names = ["a", "b.c", "d", "e"]
    values = rng.standard_normal((n, 2)) @ rng.standard_normal((2, 4)) + 0.1 * rng.standard_normal((n, 4))
    known = pd.DataFrame({"row_id": rng.permutation(n) * 1_000_003 - 5, "label": np.full(n, FRAUD, "int32")})
    train = pd.concat([known, pd.DataFrame(values.astype("float32"), columns=names)], axis=1)
    around = values[rng.integers(0, n, 3000)] + 0.05 * rng.standard_normal((3000, 4))
    made = pd.concat([pd.DataFrame({ROW_ID: np.arange(3000)}), pd.DataFrame(around, columns=names)], axis=1)
    return made, train, encoder_of(*[numeric(name) for name in names])


def test_cells_leave_out_nearly_all_that_are_too_close_and_no_other(spark: SparkSession) -> None:
    made, train, encoder = large()
    in_cells, told = found_of(spark, made, train, encoder, 1.0, max_exact_bytes=2**20)
    assert told["neighbors"] == "cells"
    assert told["cells"] > 8
    assert told["recall"] >= 0.95
    closest, _ = cKDTree(train[encoder.names]).query(made[encoder.names].astype("float32"))
    wanted = set(made[ROW_ID][closest < told["unit"]])
    assert 0 < len(wanted) < 3000
    assert set(in_cells) <= wanted
    assert len(in_cells) > 0.95 * len(wanted)
    exact, measured = found_of(spark, made, train, encoder, 1.0)
    assert exact == sorted(made[ROW_ID][closest < measured["unit"]])
    # Each is the median of 1,000 rows.
    assert told["unit"] == pytest.approx(measured["unit"], rel=0.05)
    assert found_of(spark, made, train, encoder, 1.0, 7, max_exact_bytes=2**20)[0] == in_cells


def test_features_of_windows_and_their_nulls_do_not_count() -> None:
    raw = replace(numeric("a"), state="a_is_null")
    window = replace(numeric("w"), made=True, state="w_is_null")
    a_null, w_null = (
        replace(categorical(f"{name}_is_null"), source="", made=True, categories=INDICATED, seen=(2, 3))
        for name in "aw"
    )
    assert raw_features(encoder_of(raw, window, a_null, w_null)).names == ["a", "a_is_null"]
    with pytest.raises(
        DataError, match=r"publish.min_distance needs a raw column that is a feature, and there is none"
    ):
        raw_features(encoder_of(window, w_null))
