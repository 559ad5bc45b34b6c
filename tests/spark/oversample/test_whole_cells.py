"""Oversamplers of whole cells, that is imbalanced-learn's samplers, on a table of any size."""

from pathlib import Path
from typing import Any

import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.spark.conf import spark_conf
from tests.spark.oversample.test_oversample import IDENTITY, MIXED, encoder_of, mixed_rows, numeric
from threadpoolctl import threadpool_limits

from raresmith.config import OversampleConfig
from raresmith.encoding.encoder import Encoder
from raresmith.errors import ConfigError, DataError
from raresmith.oversampling.base import copies_per_base
from raresmith.oversampling.imblearn_adapter import sampler_state
from raresmith.spark import ImblearnSampler
from raresmith.spark.oversample.oversample import Oversampled, oversample

ENCODER = encoder_of(*[numeric(name) for name in ("a", "b.c", "d", "e")])
N_FRAUD, N_FINE, N_TO_MAKE = 900, 11_100, 2500
PARAMS = {"KMeansSMOTE": {"cluster_balance_threshold": 0.02}}


def rows_of(n_fraud: int = N_FRAUD, n_fine: int = N_FINE, seed: int = 0) -> pd.DataFrame:
    """Fraud around three places among the others."""
    rng = np.random.default_rng(seed)
    n = n_fraud + n_fine
    values = rng.standard_normal((n, 4))
    values[:n_fraud] = 0.4 * values[:n_fraud] + rng.choice([[-1.5] * 4, [0.0] * 4, [1.5, -1.5, 1.5, 0]], n_fraud)
    labels = np.repeat(np.array([1, 0], "int32"), [n_fraud, n_fine])
    known = pd.DataFrame({"row_id": rng.permutation(n) * 1_000_003 - 5, "split": "train", "label": labels})
    return pd.concat([known, pd.DataFrame(values.astype("float32"), columns=ENCODER.names)], axis=1)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return rows_of()


def made_of(
    spark: SparkSession, rows: pd.DataFrame, partitions: int = 3, encoder: Encoder = ENCODER, **settings: Any
) -> Oversampled:
    chosen: dict[str, Any] = {
        "sampler": "SVMSMOTE",
        "cell_rows": 1000,
        "sampling_strategy": {"fraud": N_FRAUD + N_TO_MAKE},
    } | settings
    chosen.setdefault("sampler_params", PARAMS.get(chosen["sampler"], {}))
    df = spark.createDataFrame(rows).repartition(partitions)
    return oversample(df, encoder, OversampleConfig(method="imblearn", **chosen), random_state=11, run_id="run-1")


def collected(made: Oversampled) -> pd.DataFrame:
    return made.rows.toPandas().sort_values("row_id", ignore_index=True)


@pytest.fixture(scope="module")
def oversampled(spark: SparkSession, rows: pd.DataFrame) -> Oversampled:
    return made_of(spark, rows)


@pytest.fixture(scope="module")
def expected(oversampled: Oversampled) -> pd.DataFrame:
    return collected(oversampled)


@pytest.mark.parametrize("name", ["SVMSMOTE", "KMeansSMOTE", "BorderlineSMOTE", "SMOTE"])
def test_a_table_of_one_cell_gets_the_rows_that_imbalanced_learn_makes_of_it(spark: SparkSession, name: str) -> None:
    rows = rows_of(n_fraud=200, n_fine=1800)
    made = made_of(spark, rows, sampler=name, cell_rows=2000, sampling_strategy={"fraud": 700})
    assert made.measures["fraud"] == {
        "sampler": name, "cells": 1, "largest_cell": 2000, "kept_of_others": 1.0,
    }  # fmt: skip
    in_order = rows.sort_values("row_id")
    x, y = in_order[ENCODER.names].to_numpy(), in_order["label"].to_numpy()
    smallest = int(in_order.query("label == 1")["row_id"].min())
    peer = getattr(imblearn.over_sampling, name)(
        sampling_strategy={1: 700}, random_state=sampler_state(11, smallest), k_neighbors=5, **PARAMS.get(name, {})
    )
    with threadpool_limits(1):
        expected = peer.fit_resample(x, y)[0][2000:2500]
    assert len(expected) == 500
    table = made.rows.toPandas()
    assert set(table["method"]) == {"imblearn"}
    found = table[ENCODER.names].to_numpy()
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_the_table_has_the_columns_of_the_contract_and_exactly_as_many_rows_as_asked(
    oversampled: Oversampled, expected: pd.DataFrame, rows: pd.DataFrame
) -> None:
    assert list(expected.columns) == [*IDENTITY, *ENCODER.names]
    assert len(expected) == N_TO_MAKE
    assert expected["row_id"].is_unique
    assert expected["gap"].between(0, 1, inclusive="left").all()
    fraud = set(rows.query("label == 1")["row_id"])
    assert set(expected["base_row_id"]) | set(expected["neighbor_row_id"]) <= fraud
    assert (expected["base_row_id"] != expected["neighbor_row_id"]).all()
    told = oversampled.measures["fraud"]
    assert 3 < told["cells"] < 13
    assert told["largest_cell"] <= 2000
    assert (expected["method"] == "imblearn").mean() > 0.9


def test_made_rows_lie_where_the_class_lies(expected: pd.DataFrame, rows: pd.DataFrame) -> None:
    fraud = rows.query("label == 1").set_index("row_id")[ENCODER.names]
    made = expected[ENCODER.names].to_numpy()
    to_base = np.linalg.norm(made - fraud.loc[expected["base_row_id"]].to_numpy(), axis=1)
    among = np.linalg.norm(fraud.to_numpy()[:, None] - fraud.to_numpy()[None], axis=2)
    np.fill_diagonal(among, np.inf)
    # Two thirds of a step between neighbours at most, and SVM-SMOTE steps outwards as well.
    assert np.median(to_base) < np.median(among.min(axis=1))
    assert to_base.max() < 3


@pytest.mark.parametrize(("partitions", "adaptive"), [(1, "true"), (13, "true"), (13, "false")])
def test_any_partitions_and_adaptive_execution_give_the_same_bits(
    spark: SparkSession, rows: pd.DataFrame, expected: pd.DataFrame, partitions: int, adaptive: str
) -> None:
    with spark_conf(spark, {"spark.sql.adaptive.enabled": adaptive}):
        shuffled = rows.sample(frac=1, random_state=partitions)
        pd.testing.assert_frame_equal(collected(made_of(spark, shuffled, partitions)), expected, check_exact=True)


def test_a_cell_makes_as_many_rows_as_its_rows_have_copies(spark: SparkSession, rows: pd.DataFrame) -> None:
    fraud = rows.query("label == 1")
    # RandomOverSampler makes rows that are equal to their base, so that the cell of each is known by its values.
    made = collected(made_of(spark, rows, sampler="RandomOverSampler"))
    assert len(made) == copies_per_base(fraud["row_id"].to_numpy(), N_TO_MAKE, 11).sum()
    by_id = fraud.set_index("row_id")[ENCODER.names]
    np.testing.assert_array_equal(made[ENCODER.names].to_numpy(), by_id.loc[made["base_row_id"]].to_numpy())
    # About 2.8 of each row, in every place.
    place = rows.set_index("row_id")["a"].round()
    share = place.loc[made["base_row_id"]].value_counts() / place.loc[fraud["row_id"]].value_counts()
    assert share[place.loc[fraud["row_id"]].value_counts() > 50].between(2.2, 3.4).all()


def test_rows_of_a_refused_cell_are_smotes_and_say_so(spark: SparkSession, rows: pd.DataFrame) -> None:
    # No tenth of the table is half fraud, which KMeansSMOTE asks for by itself.
    made = collected(made_of(spark, rows, sampler="KMeansSMOTE", sampler_params={"cluster_balance_threshold": 0.9}))
    assert len(made) == N_TO_MAKE
    assert "smote" in set(made["method"]) <= {"smote", "imblearn"}


def test_a_rare_class_keeps_all_its_rows_and_sees_a_share_of_the_others(spark: SparkSession) -> None:
    rows = rows_of(n_fraud=20, n_fine=11_980)
    made = made_of(spark, rows, sampler="SMOTE", sampling_strategy={"fraud": 220})
    told = made.measures["fraud"]
    assert told["cells"] == 1
    assert told["largest_cell"] == 2000
    assert told["kept_of_others"] == pytest.approx(1980 / 11_980, abs=0.02)
    rows_made = collected(made)
    assert len(rows_made) == 200
    assert set(rows_made["base_row_id"]) <= set(rows.query("label == 1")["row_id"])
    # One cell with all rows of the class: SMOTE draws between rows that lie anywhere among them.
    assert rows_made["base_row_id"].nunique() > 10


def test_several_classes_with_categories_are_made_in_one_table(spark: SparkSession) -> None:
    encoder = encoder_of(*MIXED.features, classes=("fine", "fraud", "theft"))
    rows = mixed_rows(n_fine=3000, n_fraud=300, more=[120])
    rows["b.c"] /= 1e9
    for sampler in ("SVMSMOTE", "SMOTENC"):
        settings: dict[str, Any] = {
            "encoder": encoder,
            "sampler": sampler,
            "sampling_strategy": {"fraud": 800, "theft": 500},
        }
        made = made_of(spark, rows, **settings)
        assert set(made.measures) == {"fraud", "theft"}
        table = collected(made)
        assert table["label"].value_counts().to_dict() == {1: 500, 2: 380}
        assert (rows.set_index("row_id")["label"].loc[table["base_row_id"]].to_numpy() == table["label"]).all()
        assert set(table["kind"]) <= {2, 3, 4}
    pd.testing.assert_frame_equal(collected(made_of(spark, rows, 7, **settings)), table, check_exact=True)


@pytest.mark.parametrize("case", ["few", "equal", "constant", "wide"])
def test_hostile_rows_give_as_many_rows_as_asked(spark: SparkSession, case: str) -> None:
    rng = np.random.default_rng(1)
    n_fraud, n_fine, n_features = {"few": (3, 2500, 4), "wide": (60, 1200, 500)}.get(case, (1500, 2500, 4))
    encoder = encoder_of(*[numeric(f"f{i}") for i in range(n_features)])
    values = rng.standard_normal((n_fraud + n_fine, n_features)).astype("float32")
    if case == "equal":
        values[:n_fraud] = 1
    if case == "constant":
        values[:, 1:] = 7
    known = pd.DataFrame({"row_id": np.arange(len(values)), "split": "train"})
    known["label"] = np.repeat(np.array([1, 0], "int32"), [n_fraud, n_fine])
    rows = pd.concat([known, pd.DataFrame(values, columns=encoder.names)], axis=1)
    made = made_of(spark, rows, encoder=encoder, sampling_strategy={"fraud": n_fraud + 400})
    table = collected(made)
    assert len(table) == table["row_id"].nunique() == 400
    assert set(table["base_row_id"]) | set(table["neighbor_row_id"]) <= set(range(n_fraud))
    if case == "equal":
        assert made.measures["fraud"]["cells"] > 1
        assert (table[encoder.names] == 1).all(axis=None)
        assert (table["gap"] < 1).all()


def test_nothing_to_make_is_an_empty_table_with_the_same_columns(
    spark: SparkSession, rows: pd.DataFrame, oversampled: Oversampled
) -> None:
    made = made_of(spark, rows, sampling_strategy={"fraud": N_FRAUD})
    assert made.rows.count() == 0
    assert made.rows.dtypes == oversampled.rows.dtypes


def test_what_cannot_be_made_is_refused_on_the_driver(spark: SparkSession, rows: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"oversample.sampler must be one of"):
        made_of(spark, rows, sampler="SMOTETomek")
    with pytest.raises(DataError, match="SMOTENC takes numbers and categories, but all features are numbers"):
        made_of(spark, rows, sampler="SMOTENC")
    with pytest.raises(DataError, match="class 'fraud' has 1 train row"):
        made_of(spark, rows_of(n_fraud=1), sampling_strategy="auto")


def test_a_row_id_that_comes_twice_is_refused(spark: SparkSession, rows: pd.DataFrame) -> None:
    twice = pd.concat([rows, rows.iloc[[0]]])
    with pytest.raises(Exception, match=r"row_id .* comes twice"):
        made_of(spark, twice).rows.count()


def test_the_stage_of_a_pipeline_gives_the_same_rows(spark: SparkSession, rows: pd.DataFrame, tmp_path: Path) -> None:
    df = spark.createDataFrame(rows.drop(columns="split").rename(columns={"b.c": "c"}))
    sampler = ImblearnSampler(
        sampler="SVMSMOTE",
        samplerParams={"out_step": 0.25},
        samplingStrategy={"1": N_FRAUD + 500},
        cellRows=1000,
        inputCols=["a", "c", "d", "e"],
        rowIdCol="row_id",
        seed=11,
    )
    made = sampler.fit_resample(df).where("row_id IS NULL").toPandas()[["a", "c", "d", "e"]].to_numpy()
    settings: dict[str, Any] = {"sampler_params": {"out_step": 0.25}, "sampling_strategy": {"fraud": N_FRAUD + 500}}
    expected = made_of(spark, rows, **settings).rows.toPandas()[ENCODER.names].to_numpy()
    np.testing.assert_array_equal(made[np.lexsort(made.T)], expected[np.lexsort(expected.T)])
    sampler.save(str(tmp_path / "sampler"))
    assert ImblearnSampler.load(str(tmp_path / "sampler")).getOrDefault("samplerParams") == {"out_step": 0.25}
    with pytest.raises(ConfigError, match=r"^samplerParams names \['kind'\], but SVMSMOTE takes"):
        sampler.copy({sampler.samplerParams: {"kind": 1}}).fit_resample(df)
    with pytest.raises(ConfigError, match=r"^cellRows must be at least 1000, got 10"):
        sampler.copy({sampler.cellRows: 10}).fit_resample(df)
