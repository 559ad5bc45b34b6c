import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.oversampling.plans import smote, surrounded
from tests.spark.conf import spark_conf

from raresmith.config import OversampleConfig
from raresmith.encoding.encoder import INDICATED, CategoricalFeature, Encoder, Feature, Label, NumericFeature
from raresmith.errors import DataError
from raresmith.oversampling.base import CellOversampler, copies_per_base
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.oversample.oversample import oversample

IDENTITY = ["row_id", "base_row_id", "neighbor_row_id", "gap", "method", "label", "run_id"]


def numeric(name: str, storage: Literal["float", "double"] = "float") -> NumericFeature:
    return NumericFeature(
        name=name,
        source=name,
        type="double",
        transform="linear",
        center=0,
        scale=1,
        low=0,
        high=1,
        impute=0,
        step=0,
        storage=storage,
        encoded_low=0,
        encoded_high=1,
    )


def categorical(name: str) -> CategoricalFeature:
    return CategoricalFeature(name=name, source=name, type="string", categories=("a", "b", "c"), seen=(2, 3, 4))


def encoder_of(*features: Feature, classes: tuple[str, ...] = ("fine", "fraud")) -> Encoder:
    return Encoder(
        features=features, label=Label(name="y", type="string", classes=classes, positive="fraud"), raw_schema=""
    )


MIXED = encoder_of(numeric("a"), numeric("b.c"), numeric("wide", "double"), categorical("kind"))


def mixed_rows(n_fine: int = 400, n_fraud: int = 60, seed: int = 0, more: Sequence[int] = ()) -> pd.DataFrame:
    """A pandas table as the `features` table of MIXED has it; `more` are sizes of further classes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(2 + len(more)), [n_fine, n_fraud, *more])
    n = len(labels)
    return pd.DataFrame(
        {
            "row_id": rng.permutation(n) * 1_000_003 - 5,
            "split": "train",
            "label": labels.astype("int32"),
            "a": rng.standard_normal(n).astype("float32"),
            "b.c": (rng.standard_normal(n) * 1e9).astype("float32"),
            "wide": rng.standard_normal(n) + 123_456_789,
            "kind": rng.integers(2, 5, n).astype("float32"),
        }
    )


def made_of(
    spark: SparkSession, rows: pd.DataFrame, encoder: Encoder = MIXED, partitions: int = 3, **settings: Any
) -> DataFrame:
    config = OversampleConfig(**settings)
    df = spark.createDataFrame(rows).repartition(partitions)
    return oversample(df, encoder, config, random_state=11, run_id="run-1").rows


def collected(df: DataFrame) -> pd.DataFrame:
    return df.toPandas().sort_values("row_id", ignore_index=True)


def test_random_repeats_every_row_equally_often_give_or_take_one(spark: SparkSession) -> None:
    rows = mixed_rows()
    made = collected(made_of(spark, rows, method="random", sampling_strategy={"fraud": 227}))
    fraud = rows.query("label == 1").sort_values("row_id", ignore_index=True)
    counts = fraud["row_id"].map(made["base_row_id"].value_counts()).fillna(0)
    np.testing.assert_array_equal(counts, copies_per_base(fraud["row_id"].to_numpy(), 167, 11))
    assert (made["neighbor_row_id"] == made["base_row_id"]).all()
    assert made["row_id"].is_unique
    for name in MIXED.names:
        np.testing.assert_array_equal(made[name], fraud.set_index("row_id")[name].loc[made["base_row_id"]])
    other = collected(made_of(spark, rows, partitions=7, method="random", sampling_strategy={"fraud": 227}))
    pd.testing.assert_frame_equal(other, made, check_exact=True)


def test_random_repeats_a_single_row(spark: SparkSession) -> None:
    assert made_of(spark, mixed_rows(n_fraud=1), method="random").count() == 399


@pytest.mark.parametrize("neighbors", ["exact", "cells"])
def test_smoten_makes_the_rows_that_numpy_makes(spark: SparkSession, neighbors: str) -> None:
    codes = encoder_of(*[categorical(name) for name in ("a", "b.c", "d")])
    rng = np.random.default_rng(5)
    rows = mixed_rows()[["row_id", "split", "label"]]
    for name in codes.names:
        rows[name] = (2 + (rng.random(len(rows)) * 9 + rows["label"]) % 9).astype("int").astype("float32")
    settings: dict[str, Any] = {"method": "smoten", "neighbors": neighbors}
    made = collected(made_of(spark, rows, encoder=codes, **settings))
    other = collected(made_of(spark, rows, encoder=codes, partitions=7, num_partitions=2, **settings))
    pd.testing.assert_frame_equal(other, made, check_exact=True)
    fraud = rows.query("label == 1").sort_values("row_id")
    of_fraud, of_all = (
        [np.bincount(part[name].astype(int), minlength=12) for name in codes.names] for part in (fraud, rows)
    )
    columns = np.ascontiguousarray(fraud[codes.names].to_numpy().T)
    everywhere = np.full(3, True)
    plan = smote(fraud["row_id"].to_numpy(), columns, everywhere, 340, 5, 11, "smoten", counts=(of_fraud, of_all))
    expected = plan.rows(np.arange(340))
    order = np.argsort(expected.row_id)
    np.testing.assert_array_equal(made["neighbor_row_id"], expected.neighbor_row_id[order])
    np.testing.assert_array_equal(made[codes.names].to_numpy().T, expected.columns[:, order])


@pytest.fixture(scope="module")
def expected(spark: SparkSession) -> pd.DataFrame:
    return collected(made_of(spark, mixed_rows(), num_partitions=1))


def test_the_table_has_the_columns_and_types_of_the_contract(spark: SparkSession, expected: pd.DataFrame) -> None:
    made = made_of(spark, mixed_rows())
    assert made.columns == [*IDENTITY, "a", "b.c", "wide", "kind"]
    assert [f.dataType.simpleString() for f in made.schema.fields] == [
        *("bigint", "bigint", "bigint", "double", "string", "int", "string"),
        *("float", "float", "double", "float"),
    ]
    assert set(expected["method"]) == {"smote"}
    assert set(expected["label"]) == {1}
    assert set(expected["run_id"]) == {"run-1"}


def test_exactly_as_many_rows_as_asked_with_parents_among_the_minority_of_the_train_rows(spark: SparkSession) -> None:
    rows = mixed_rows()
    rows.loc[rows.index[-20:], "split"] = ["validation", "test"] * 10
    made = collected(made_of(spark, rows, sampling_strategy=0.5))
    assert len(made) == 200 - 40
    parents = set(rows.query("split == 'train' and label == 1")["row_id"])
    assert set(made["base_row_id"]) | set(made["neighbor_row_id"]) <= parents
    assert made["row_id"].is_unique
    assert made["gap"].between(0, 1, inclusive="left").all()


def test_spark_makes_the_rows_that_numpy_makes(expected: pd.DataFrame) -> None:
    fraud = mixed_rows().query("label == 1").sort_values("row_id")
    columns = np.ascontiguousarray(fraud[["a", "b.c", "wide", "kind"]].to_numpy("float64").T)
    plan = smote(fraud["row_id"].to_numpy(), columns, np.array([False] * 3 + [True]), 340, 5, 11)
    rows = plan.rows(np.arange(340))
    order = np.argsort(rows.row_id)
    np.testing.assert_array_equal(expected["row_id"], rows.row_id[order])
    np.testing.assert_array_equal(expected["neighbor_row_id"], rows.neighbor_row_id[order])
    np.testing.assert_array_equal(expected["wide"], rows.columns[2, order])
    np.testing.assert_array_equal(expected["a"], rows.columns[0, order].astype("float32"))


@pytest.mark.parametrize("adaptive", ["true", "false"])
@pytest.mark.parametrize("partitions", [1, 2, 7, 64])
def test_any_partitions_and_adaptive_execution_give_the_same_bits(
    spark: SparkSession, expected: pd.DataFrame, partitions: int, adaptive: str
) -> None:
    settings = {"spark.sql.adaptive.enabled": adaptive}
    if partitions == 7:
        settings["spark.sql.execution.arrow.maxRecordsPerBatch"] = "13"
    with spark_conf(spark, settings):
        made = made_of(spark, mixed_rows(), partitions=partitions, num_partitions=partitions)
        pd.testing.assert_frame_equal(collected(made), expected, check_exact=True)


def test_crossed_rows_are_the_same_for_any_partitions_and_hold_values_of_their_parents(spark: SparkSession) -> None:
    rows = mixed_rows()
    one, other = (collected(made_of(spark, rows, partitions=n, num_partitions=n, method="crossover")) for n in (1, 7))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert set(one["method"]) == {"crossover"}
    by_id = rows.set_index("row_id")[MIXED.names]
    base, neighbor = by_id.loc[one["base_row_id"]].to_numpy(), by_id.loc[one["neighbor_row_id"]].to_numpy()
    made = one[MIXED.names].to_numpy()
    assert ((made == base) | (made == neighbor)).all()
    assert (made != base).any(axis=1).all()
    assert (made != neighbor).any(axis=1).all()


@pytest.mark.parametrize("method", ["borderline-1", "borderline-2", "adasyn"])
@pytest.mark.parametrize("partitions", [1, 7])
def test_rows_made_by_their_surroundings_are_those_that_numpy_makes(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, method: str, partitions: int
) -> None:
    monkeypatch.setattr("raresmith.spark.neighbors.table_search._BLOCK_QUERIES", 7 * partitions)  # 60 rows ask
    rows = mixed_rows(more=[30])
    rows["b.c"] /= 1e9  # or else one column decides all
    encoder = encoder_of(*MIXED.features, classes=("fine", "fraud", "theft"))
    own = {"k_neighbors": 4} if method == "adasyn" else {"k_neighbors": 4, "m_neighbors": 7}
    settings = {"method": method, "sampling_strategy": {"fraud": 360}, **own}
    made = collected(made_of(spark, rows, encoder, partitions, num_partitions=partitions, **settings))
    in_order = rows.sort_values("row_id")
    columns = np.ascontiguousarray(in_order[MIXED.names].to_numpy("float64").T)
    row_ids, fraud = in_order["row_id"].to_numpy(), (in_order["label"] == 1).to_numpy()
    plan = surrounded(row_ids, columns, fraud, np.array([False] * 3 + [True]), 300, 4, 11, method, m=7)
    expected = plan.rows(np.arange(plan.n_to_make))
    order = np.argsort(expected.row_id)
    np.testing.assert_array_equal(made["row_id"], expected.row_id[order])
    np.testing.assert_array_equal(made["neighbor_row_id"], expected.neighbor_row_id[order])
    np.testing.assert_array_equal(made["wide"], expected.columns[2, order])
    np.testing.assert_array_equal(made["kind"], expected.columns[3, order])
    assert set(made["method"]) == {method}
    if method == "borderline-2":
        assert set(made["neighbor_row_id"]) & set(row_ids[~fraud])


def test_a_number_and_the_indicator_of_its_nulls_are_one_group() -> None:
    number = dataclasses.replace(numeric("a"), state="a_is_null")
    indicator = dataclasses.replace(categorical("a_is_null"), categories=INDICATED, seen=(2, 3))
    encoder = encoder_of(number, numeric("b"), indicator)
    assert FeatureColumns.of(encoder).groups == (0, 1, 0)


def test_the_order_of_the_input_rows_does_not_matter(spark: SparkSession, expected: pd.DataFrame) -> None:
    shuffled = mixed_rows().sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(collected(made_of(spark, shuffled)), expected, check_exact=True)


def test_several_classes_are_made_in_one_table(spark: SparkSession) -> None:
    encoder = encoder_of(*MIXED.features, classes=("fine", "fraud", "theft", "none of the train rows"))
    rows = mixed_rows(more=[25])
    made = collected(made_of(spark, rows, encoder))
    assert made["label"].value_counts().to_dict() == {2: 375, 1: 340}
    class_of = rows.set_index("row_id")["label"]
    assert (class_of[made["base_row_id"]].to_numpy() == made["label"]).all()
    assert (class_of[made["neighbor_row_id"]].to_numpy() == made["label"]).all()
    only = collected(made_of(spark, rows, encoder, sampling_strategy={"theft": 30, "fraud": 60}))
    assert only["label"].value_counts().to_dict() == {2: 5}


def test_nothing_to_make_is_an_empty_table_with_the_same_columns(spark: SparkSession, expected: pd.DataFrame) -> None:
    made = made_of(spark, mixed_rows(), sampling_strategy={"fraud": 60})
    assert made.count() == 0
    assert made.dtypes == made_of(spark, mixed_rows()).dtypes


def test_more_rows_than_a_batch_holds_arrive_once_each(spark: SparkSession) -> None:
    rows = mixed_rows(n_fraud=5)
    made = made_of(spark, rows, sampling_strategy={"fraud": 50_005}, num_partitions=2)
    assert made.agg(F.count_distinct("row_id"), F.count("*")).collect()[0][:] == (50_000, 50_000)
    assert {row["count"] for row in made.groupBy("base_row_id").count().collect()} == {10_000}


ONE = encoder_of(numeric("a"), numeric("constant"))


def rows_of(values: list[float] | NDArray[Any]) -> pd.DataFrame:
    n = len(values)
    return pd.DataFrame(
        {
            "row_id": np.arange(n + 20),
            "split": "train",
            "label": np.r_[np.ones(n, "int32"), np.zeros(20, "int32")].astype("int32"),
            "a": np.r_[np.asarray(values, "float32"), np.arange(20)].astype("float32"),
            "constant": np.float32(7),
        }
    )


def test_equal_rows_duplicates_and_constant_columns_are_no_trouble(spark: SparkSession) -> None:
    equal = collected(made_of(spark, rows_of([1e9] * 6), ONE))
    assert len(equal) == 14
    assert (equal["a"] == 1e9).all()
    assert (equal["base_row_id"] != equal["neighbor_row_id"]).all()
    duplicates = collected(made_of(spark, rows_of([1, 1, 1, 1, 1, 1, 500, 501]), ONE, k_neighbors=1))
    assert set(duplicates["constant"]) == {7}
    ones = duplicates[duplicates["base_row_id"] < 6]
    assert (ones["a"] == 1).all()
    assert (duplicates[duplicates["base_row_id"] >= 6]["a"].between(500, 501)).all()


def test_few_rows_use_the_neighbors_there_are_or_are_refused(spark: SparkSession) -> None:
    made = collected(made_of(spark, rows_of([0, 1]), ONE))
    assert len(made) == 18
    assert made["a"].between(0, 1).all()
    with pytest.raises(DataError, match=r"class 'fraud' has 5 train rows but oversample\.k_neighbors is 5"):
        made_of(spark, rows_of([0, 1, 2, 3, 4]), ONE, on_few_neighbors="refuse")
    with pytest.raises(DataError, match="class 'fraud' has 1 train row, and"):
        made_of(spark, rows_of([0]), ONE)
    with pytest.raises(DataError, match="hold only class 'fine'"):
        made_of(spark, rows_of([]), ONE)
    with pytest.raises(DataError, match="hold no class at all"):
        made_of(spark, rows_of([0, 1]).assign(split="test"), ONE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_no_number_is_refused_by_name(spark: SparkSession, value: float) -> None:
    rows = mixed_rows()
    rows.loc[rows.index[-1], "b.c"] = value
    with pytest.raises(DataError, match=r"feature 'b\.c' has a null, NaN, infinite"):
        made_of(spark, rows)


def test_a_row_id_that_comes_twice_is_refused(spark: SparkSession) -> None:
    rows = mixed_rows()
    rows["row_id"] = np.r_[np.arange(459), 458]
    with pytest.raises(DataError, match="row_id 458 comes twice"):
        made_of(spark, rows)


BASES = "run_id = 'run-1'"
DRAWN = [
    name
    for name, kind in OVERSAMPLERS.items()
    if not (kind.copies_rows or kind.needs_category_counts or issubclass(kind, CellOversampler))
]
"""Methods that draw towards neighbours and take numbers."""


@pytest.mark.parametrize(
    ("method", "neighbors"),
    [*((method, "exact") for method in DRAWN), ("smote", "cells"), ("crossover", "cells"), ("adasyn", "cells")],
)
def test_rows_are_made_of_the_bases_alone_and_drawn_towards_all_rows(
    spark: SparkSession, method: str, neighbors: Literal["exact", "cells"]
) -> None:
    rows = mixed_rows(n_fine=300, n_fraud=200)
    rows["run_id"] = np.where(np.arange(len(rows)) % 2, "run-0", "run-1")
    df = spark.createDataFrame(rows).repartition(3)
    config = OversampleConfig(method=method, neighbors=neighbors)
    made = collected(oversample(df, MIXED, config, 11, "run-1", BASES).rows)
    of = rows.set_index("row_id")["run_id"]
    assert set(made["base_row_id"].map(of)) == {"run-1"}
    assert set(made["neighbor_row_id"].map(of)) == {"run-0", "run-1"}
    # 150 - 100, by the counts of the bases; ADASYN rounds each base's share.
    assert abs(len(made) - 50) <= (20 if method == "adasyn" else 0)
    alone = oversample(df.where(BASES), MIXED, config, 11, "run-1").rows
    if method in ("smote", "crossover"):
        assert set(collected(alone)["row_id"]) == set(made["row_id"])


def test_only_the_bases_are_repeated(spark: SparkSession) -> None:
    rows = mixed_rows(n_fine=300, n_fraud=200)
    rows["run_id"] = np.where(np.arange(len(rows)) % 2, "run-0", "run-1")
    made = oversample(spark.createDataFrame(rows), MIXED, OversampleConfig(method="random"), 11, "run-1", BASES).rows
    found = collected(made)["base_row_id"]
    assert found.map(rows.set_index("row_id")["run_id"]).eq("run-1").all()
    assert len(found) == 50


@pytest.mark.parametrize(
    ("settings", "is_base", "reason"),
    [
        ({}, "label = 0", "the train rows hold only class 'fine'"),
        ({}, "false", "the train rows hold no class at all"),
        ({"sampling_strategy": 0.1}, "true", "there are 60 already"),
        ({"method": "borderline-1", "m_neighbors": 1}, "row_id % 7 = 0", "no row of class 'fraud' has at least half"),
        ({"sampling_strategy": {"fraud": 50}}, "true", ""),
        ({"sampling_strategy": {"fraud": 50}}, "label = 0", "the train rows hold only class 'fine'"),
    ],
)
def test_bases_that_allow_no_rows_are_no_error(
    spark: SparkSession, settings: dict[str, Any], is_base: str, reason: str
) -> None:
    df = spark.createDataFrame(mixed_rows())
    made = oversample(df, MIXED, OversampleConfig(**settings), 11, "run-1", is_base)
    assert made.rows.count() == 0
    assert (reason in made.left_out[0]) if reason else not made.left_out


def test_a_class_that_is_none_is_an_error_for_some_bases_too(spark: SparkSession) -> None:
    df = spark.createDataFrame(mixed_rows())
    config = OversampleConfig(sampling_strategy={"frod": 50})
    with pytest.raises(DataError, match=r"names \['frod'\]"):
        oversample(df, MIXED, config, 11, "run-1", "label = 0 OR row_id % 2 = 0")
