"""The forest: cuts where they matter, categories as sets, the same trees however the rows lie."""

import numpy as np
import pytest
from pyspark.sql import functions as F
from sklearn.utils.class_weight import compute_class_weight

from raresmith.config import EvaluateConfig
from raresmith.encoding.encoder import CategoricalFeature, Encoder, Label, NumericFeature
from raresmith.spark.evaluate.classifiers.random_forest import (
    Bins,
    balanced_weights,
    fit_bins,
    importances,
    in_fixed_order,
    place_cuts,
    train_forest,
    with_score,
    with_vectors,
)


def numeric(name: str) -> NumericFeature:
    return NumericFeature(
        name=name, source=name, type="double", transform="linear", center=0.0, scale=1.0, low=0.0, high=1.0,
        impute=0.0, step=0.0, storage="float", encoded_low=0.0, encoded_high=1.0,
    )  # fmt: skip


def categorical(name: str, n: int) -> CategoricalFeature:
    return CategoricalFeature(
        name=name, source=name, type="string", categories=tuple(map(str, range(n))), seen=tuple(range(2, n + 2))
    )


def encoder_of(*features: NumericFeature | CategoricalFeature, classes: tuple[str, ...] = ("no", "yes")) -> Encoder:
    label = Label(name="fraud", type="string", classes=classes, positive=classes[-1])
    return Encoder(features=features, label=label, raw_schema="{}")


def test_few_values_get_a_cut_between_any_two():
    assert place_cuts(np.array([3.0, 1.0, 1.0, 2.0]), np.array([7.0]), max_bins=8) == (1.5, 2.5, 5.0)


def test_a_constant_column_gets_no_cut():
    assert place_cuts(np.zeros(5), np.zeros(2), max_bins=8) == ()


def test_rare_values_of_positive_rows_get_cuts_of_their_own():
    values = np.concatenate([np.zeros(10_000), np.linspace(1, 2, 100)])
    cuts = place_cuts(values, np.linspace(1.4, 1.6, 30), max_bins=32)
    assert len(cuts) <= 31
    assert sum(1.4 < cut < 1.6 for cut in cuts) >= 8
    assert sum(1.0 < cut < 2.0 for cut in cuts) >= 20


def test_cuts_follow_the_quantiles_where_values_are_many():
    values = np.random.default_rng(0).normal(size=50_000)
    cuts = np.array(place_cuts(values, values[:100], max_bins=64))
    assert len(cuts) <= 63 and (np.diff(cuts) > 0).all()
    assert np.abs(np.searchsorted(np.sort(values), cuts) / 50_000 - 0.5).min() < 0.03


def test_the_sample_for_the_cuts_does_not_depend_on_the_partitions(spark, monkeypatch):
    monkeypatch.setattr(
        "raresmith.spark.evaluate.classifiers.random_forest.SAMPLE_CELLS", 0
    )  # the floor of 10,000 rows
    rows = spark.range(30_000).select(
        F.col("id").alias("row_id"),
        (F.col("id") % 97 == 0).cast("int").alias("label"),
        (F.pmod(F.xxhash64("id"), F.lit(10_007)) / 10_007).cast("float").alias("a"),
    )
    found = [
        fit_bins(rows.repartition(n), encoder_of(numeric("a")), positive=1, max_bins=32, random_state=5) for n in (1, 7)
    ]
    assert found[0] == found[1]
    assert 28 <= len(found[0].cuts["a"]) <= 31


def test_vectors_hold_bins_and_codes_and_say_which_is_which(spark):
    encoder = encoder_of(numeric("a"), categorical("c", 3), numeric("flat"))
    rows = spark.createDataFrame(
        [(1, 0, 0.5, 4.0, 9.0), (2, 1, 2.5, 2.0, 9.0)], "row_id long, label int, a float, c float, flat float"
    )
    vectors = with_vectors(rows, encoder, Bins(cuts={"a": (0.5, 1.0), "flat": ()}))
    assert vectors.columns == ["row_id", "label", "x"]
    assert [list(row["x"]) for row in vectors.orderBy("row_id").collect()] == [[1.0, 4.0, 0.0], [2.0, 2.0, 0.0]]
    attributes = vectors.schema["x"].metadata["ml_attr"]["attrs"]
    assert attributes["numeric"] == [{"idx": 0, "name": "a"}, {"idx": 2, "name": "flat"}]
    assert attributes["nominal"] == [{"idx": 1, "name": "c", "num_vals": 5}]


def test_categories_beyond_max_bins_are_cut_like_numbers(spark):
    encoder = encoder_of(categorical("small", 6), categorical("large", 7))
    rows = spark.createDataFrame(
        [(i, i % 2, float(2 + i % 6), float(2 + i % 7)) for i in range(50)],
        "row_id long, label int, small float, large float",
    )
    bins = fit_bins(rows, encoder, positive=1, max_bins=8, random_state=0)
    assert list(bins.cuts) == ["large"]


def test_balanced_weights_are_scikit_learns():
    counts = {0: 9_871, 1: 133, 2: 1}
    labels = np.repeat(list(counts), list(counts.values()))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert list(balanced_weights(counts).values()) == pytest.approx(list(expected), abs=2**-16)


def test_a_class_without_rows_has_no_weight():
    assert balanced_weights({0: 5, 1: 5, 2: 0}) == {0: 1.0, 1: 1.0}


@pytest.fixture(scope="module")
def table(spark):
    """Rows whose class follows a number and a set of categories that has no order."""
    generator = np.random.default_rng(7)
    a, c = generator.normal(size=1500), generator.integers(0, 8, 1500)
    label = ((a > 0.8) & np.isin(c, [1, 4, 6])).astype(int)
    rows = [
        (int(i), int(label[i]), float(a[i]), float(c[i] + 2), float(generator.normal()), 1.0 + 3.0 * int(label[i]))
        for i in range(1500)
    ]
    return spark.createDataFrame(
        rows, "row_id long, label int, a float, `c_1` float, noise float, weight double"
    ).persist()


ENCODER = encoder_of(numeric("a"), categorical("c_1", 8), numeric("noise"))
CONFIG = EvaluateConfig(num_trees=7, max_depth=4, max_bins=16)


def scores(table, partitions: int, seed: int = 3) -> tuple[list[tuple[int, int]], dict[str, float]]:
    rows = table.repartition(partitions)
    bins = fit_bins(rows, ENCODER, 1, CONFIG.max_bins, 0)
    vectors = with_vectors(rows, ENCODER, bins)
    model = train_forest(in_fixed_order(vectors, 1500).persist(), ENCODER, CONFIG, seed)
    found = with_score(vectors, model, 1, "score").select("row_id", "score").orderBy("row_id").collect()
    return [tuple(row) for row in found], importances(model, ENCODER)


def test_the_forest_does_not_depend_on_the_partitions_and_learns(spark, table):
    first, shares = scores(table, 1)
    assert scores(table, 3) == (first, shares)
    assert scores(table, 7) == (first, shares)
    label = dict(table.select("row_id", "label").collect())
    positive = [score for row_id, score in first if label[row_id]]
    assert np.mean(positive) > 500_000 > 10 * np.mean([score for row_id, score in first if not label[row_id]])
    assert list(shares)[-1] == "noise" and sum(shares.values()) == pytest.approx(1.0)


def test_another_seed_gives_another_forest(spark, table):
    assert scores(table, 2, seed=3) != scores(table, 2, seed=4)


def test_a_fixed_order_survives_adaptive_execution(spark, table):
    ordered = in_fixed_order(table.repartition(5), 250_000)
    parts = ordered.select("row_id", F.spark_partition_id().alias("part")).collect()
    again = in_fixed_order(table.repartition(2), 250_000)
    assert parts == again.select("row_id", F.spark_partition_id().alias("part")).collect()
    assert len({row["part"] for row in parts}) == 3
