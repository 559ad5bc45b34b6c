"""Evaluation from tables to verdict."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import EvaluateConfig
from raresmith.encoding.encoder import CategoricalFeature, Encoder, Label, NumericFeature
from raresmith.errors import ConfigError, DataError
from raresmith.evaluation.metrics import AT_THRESHOLD, RANKING
from raresmith.evaluation.verdict import MACRO, Evaluation, Judgement, MetricRow, Outcome, value_of
from raresmith.spark.evaluate.classifiers.random_forest import RandomForest
from raresmith.spark.evaluate.classifiers.registry import CLASSIFIERS
from raresmith.spark.evaluate.evaluate import evaluate, judged_labels
from raresmith.spark.tables import schema_of
from raresmith.tables import contracts

FEATURES = ("a", "b", "c")
ENCODER = Encoder(
    features=(
        *(
            NumericFeature(
                name=name, source=name, type="double", transform="linear", center=0.0, scale=1.0, low=0.0, high=1.0,
                impute=0.0, step=0.0, storage="float", encoded_low=0.0, encoded_high=1.0,
            )
            for name in ("a", "b")
        ),
        CategoricalFeature(name="c", source="c", type="string", categories=tuple("vwxyz"), seen=(2, 3, 4, 5, 6)),
    ),
    label=Label(name="fraud", type="string", classes=("chargeback", "good", "theft"), positive="theft"),
    raw_schema="{}",
)  # fmt: skip
FOREST = RandomForest.Parameters(num_trees=5, max_depth=4, max_bins=16)
CONFIG = EvaluateConfig(
    strategies=("class_weight", "none", "random", "smote", "refined"), bootstrap=40, top_k=3,
    classifiers={"random_forest": FOREST},
)  # fmt: skip


def forests(num_trees: int) -> dict[str, RandomForest.Parameters]:
    return {"random_forest": dataclasses.replace(FOREST, num_trees=num_trees)}


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> dict[str, DataFrame]:
    """Three classes; theft is rare, and likely where `a` is high and `c` is 3 or 6."""
    generator = np.random.default_rng(1)
    n = 1800
    frame = pd.DataFrame({name: generator.normal(size=n).astype("float32") for name in ("a", "b")})
    frame["c"] = generator.integers(2, 7, n).astype("float32")
    theft = (frame.a + generator.normal(0, 0.6, n) > 1.4) & frame.c.isin([3.0, 6.0])
    frame.insert(0, "label", np.select([theft, frame.b > 1.5], [2, 0], 1).astype("int32"))
    frame.insert(0, "split", np.array(["train", "validation", "test"])[np.arange(n) % 3])
    frame.insert(0, "row_id", np.arange(n))
    made = frame[(frame.split == "train") & (frame.label == 2)].drop(columns="split")
    made = pd.concat([made] * 4, ignore_index=True)
    refined = made.assign(a=(made.a + generator.normal(0, 0.3, len(made))).astype("float32"))
    cards = pd.DataFrame({"row_id": np.arange(n), "entity": np.arange(n) % 50, "day": np.arange(n) // 600})
    return {
        "features": spark.createDataFrame(frame).persist(),
        "synthetic": spark.createDataFrame(made.assign(row_id=10_000 + np.arange(len(made)))).persist(),
        "refined": spark.createDataFrame(refined.assign(row_id=20_000 + np.arange(len(made)))).persist(),
        "cards": spark.createDataFrame(cards).persist(),
    }


def run(tables: dict[str, DataFrame], config: EvaluateConfig = CONFIG, **others: DataFrame | None) -> Evaluation:
    given: dict[str, Any] = {**tables, **others}
    return evaluate(
        given["features"], given["synthetic"], given["refined"], ENCODER, config,
        run_id="r", random_state=7, cards=given["cards"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tables: dict[str, DataFrame]) -> Evaluation:
    return run(tables)


def forest_of(found: Evaluation) -> Judgement:
    return found.judgements["random_forest"]


def theft_of(found: Evaluation) -> Outcome:
    """What the forest found of the one class that rows were made of."""
    (name, outcome), *others = forest_of(found).outcomes.items()
    assert name == "theft" and not others
    return outcome


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_figures_do_not_depend_on_the_partitions(
    tables: dict[str, DataFrame], found: Evaluation, partitions: int
) -> None:
    again = run({name: df.repartition(partitions, "row_id") for name, df in tables.items()})
    assert again.metrics == found.metrics
    assert again.verdict == found.verdict
    assert forest_of(again).importances == forest_of(found).importances
    for name, rows in found.samples.items():
        assert np.array_equal(again.samples[name], rows)


def test_the_rows_fit_the_metrics_table(spark: SparkSession, found: Evaluation) -> None:
    rows = spark.createDataFrame(found.metrics, schema_of(contracts.metrics())).collect()
    assert len(rows) == len(found.metrics)
    keys = {(row["strategy"], row["split"], row["metric"], row["seed"]) for row in rows}
    assert len(keys) == len(rows) and {row["class"] for row in rows} == {"theft"}
    assert {"roc_auc", "average_precision"} <= RANKING.keys()
    assert {"accuracy", "precision", "recall", "f1"} <= AT_THRESHOLD.keys()
    both = {*RANKING, *AT_THRESHOLD, *(f"{name}@0.5" for name in AT_THRESHOLD)}
    cells = {"true_positive", "false_positive", "false_negative", "true_negative"}
    for strategy in CONFIG.strategies:
        assert {m for s, split, m, _ in keys if (s, split) == (strategy, "validation")} == {*both, "threshold"}
        compared = set() if strategy == "none" else {"average_precision_minus_none"}
        assert {m for s, split, m, _ in keys if (s, split) == (strategy, "test")} == {
            *both, *cells, *compared, "card_precision@3",
        }  # fmt: skip


def test_the_forests_have_learnt_and_every_figure_agrees_with_the_others(
    found: Evaluation, tables: dict[str, DataFrame]
) -> None:
    positives = tables["features"].where("split = 'test' and label = 2").count()
    for strategy in CONFIG.strategies:
        figures = {m.metric: m for m in found.metrics if (m.strategy, m.split) == (strategy, "test")}
        assert figures["roc_auc"].value > 0.8
        cells = theft_of(found).confusion[strategy]
        assert cells.true_positive + cells.false_negative == positives == found.test_rows["theft"]
        assert figures["true_positive"].value == cells.true_positive
        assert figures["recall"].value == pytest.approx(cells.true_positive / positives)
        recall, precision = theft_of(found).curves[strategy]
        steps = np.diff(np.append(0.0, recall))
        assert (steps * precision).sum() == pytest.approx(figures["average_precision"].value)
        interval = figures["average_precision"]
        assert interval.low is not None and interval.high is not None
        assert interval.low <= interval.high
        assert sum(forest_of(found).importances[strategy].values()) == pytest.approx(1.0)
    for c in theft_of(found).comparisons:
        base = value_of(found.metrics, "random_forest", "theft", "none", "test", "average_precision").value
        assert c.value - base == pytest.approx(c.difference.value)


def test_class_balance_counts_what_each_forest_was_trained_on(found: Evaluation, tables: dict[str, DataFrame]) -> None:
    counted = tables["features"].where("split = 'train'").groupBy("label").count().collect()
    train = {row["label"]: row["count"] for row in counted}
    before = {"chargeback": train[0], "good": train[1], "theft": train[2]}
    after = {**before, "theft": train[2] * 5}
    assert found.train_rows == {
        "class_weight": before, "none": before, "random": after, "smote": after, "refined": after,
    }  # fmt: skip


def test_samples_hold_the_positive_rows_of_each_origin(found: Evaluation) -> None:
    assert found.samples.keys() == {"real", "smote", "refined"}
    assert len(found.samples["smote"]) == 4 * len(found.samples["real"])
    assert found.samples["real"].shape[1] == len(FEATURES)


def test_each_seed_has_its_rows_and_the_verdict_holds_all(tables: dict[str, DataFrame]) -> None:
    config = CONFIG.replaced(strategies=("none", "smote"), seeds=(3, 4), classifiers=forests(3))
    found = run(tables, config, cards=None)
    aucs = {(m.strategy, m.seed): m.value for m in found.metrics if (m.split, m.metric) == ("test", "roc_auc")}
    assert aucs.keys() == {("none", 3), ("none", 4), ("smote", 3), ("smote", 4)}
    assert aucs["none", 3] != aucs["none", 4]
    assert [c.strategy for c in theft_of(found).comparisons] == ["smote"]
    assert not any(m.metric.startswith("card") for m in found.metrics)


def test_without_the_baseline_nothing_is_compared(tables: dict[str, DataFrame]) -> None:
    config = CONFIG.replaced(strategies=("class_weight",), classifiers=forests(2))
    found = run(tables, config, synthetic=None, refined=None, cards=None)
    assert theft_of(found).comparisons == () and found.verdict.startswith("No comparison")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_without_positive_rows_is_refused_by_name(tables: dict[str, DataFrame], split: str) -> None:
    features = tables["features"].where((F.col("split") != split) | (F.col("label") != 2))
    with pytest.raises(DataError, match=f"the {split} split has no positive rows .class 'theft' of column 'fraud'"):
        run(tables, features=features)


def test_an_empty_split_is_refused(tables: dict[str, DataFrame]) -> None:
    with pytest.raises(DataError, match="the test split has no positive rows"):
        run(tables, features=tables["features"].where("split != 'test'"))


def test_a_strategy_without_its_table_is_refused(tables: dict[str, DataFrame]) -> None:
    with pytest.raises(DataError, match="names 'refined', which needs the table 'refined'"):
        run(tables, refined=None)
    with pytest.raises(DataError, match="names 'random', which needs the table 'synthetic'"):
        run(tables, synthetic=None)


def test_an_unknown_positive_class_is_refused(tables: dict[str, DataFrame]) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.positive is 'fraud', but the classes of column 'fraud' are"):
        run(tables, CONFIG.replaced(positive="fraud"))


GUEST = """
from dataclasses import dataclass

from raresmith.spark.evaluate.classifiers.base import FEATURES, WEIGHT, Classifier


class Logistic(Classifier):
    name = "logistic"
    title = "logistic regression of Spark MLlib"
    noun = "regression"

    @dataclass(frozen=True, kw_only=True)
    class Parameters(Classifier.Parameters):
        penalty: float = 0.01

    def vectors(self, train, encoder, positive, random_state):
        from pyspark.ml.functions import array_to_vector
        from pyspark.sql import functions as F

        return lambda df: df.withColumn(FEATURES, array_to_vector(F.array(*(F.col(n) + 0.0 for n in encoder.names))))

    def fit(self, train, encoder, seed):
        from pyspark.ml.classification import LogisticRegression

        from raresmith.spark.evaluate.train_rows import with_classes

        regression = LogisticRegression(
            featuresCol=FEATURES, weightCol=WEIGHT, maxIter=20, regParam=self.parameters.penalty
        )
        return regression.fit(with_classes(train, encoder))
"""


@pytest.fixture
def logistic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    """A classifier that another distribution brings by an entry point."""
    (tmp_path / "guest_classifier.py").write_text(GUEST)
    info = tmp_path / "guest_classifier-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-classifier\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[raresmith.classifiers]\nlogistic = guest_classifier:Logistic\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    vars(CLASSIFIERS).pop("_brought", None)
    yield CLASSIFIERS["logistic"]
    vars(CLASSIFIERS).pop("_brought", None)
    sys.modules.pop("guest_classifier")


def test_a_second_classifier_stands_beside_the_first_and_changes_nothing_of_it(
    tables: dict[str, DataFrame], found: Evaluation, logistic: type[Any]
) -> None:
    strategies = ("none", "smote")
    parameters = {"random_forest": FOREST, "logistic": logistic.Parameters(penalty=0.001)}
    both = run(tables, CONFIG.replaced(classifiers=parameters, strategies=strategies))
    of = {name: [m for m in both.metrics if m.classifier == name] for name in parameters}
    assert of["random_forest"] == [m for m in found.metrics if m.strategy in strategies]
    keys = [[(m.strategy, m.split, m.metric, m.seed) for m in rows] for rows in of.values()]
    assert keys[0] == keys[1]
    assert [m.value for m in of["random_forest"]] != [m.value for m in of["logistic"]]

    assert list(both.judgements) == ["random_forest", "logistic"]
    before, forest, logistic_found = forest_of(found), *both.judgements.values()
    assert theft_of(both).comparisons == tuple(c for c in theft_of(found).comparisons if c.strategy == "smote")
    assert forest.importances == {name: before.importances[name] for name in strategies}
    assert logistic_found.importances == {} and logistic_found.judge.noun == "regression"
    for name, judgement in both.judgements.items():
        (comparison,) = judgement.outcomes["theft"].comparisons
        assert comparison.value == value_of(of[name], name, "theft", "smote", "test", "average_precision").value
        assert f"{name}: {judgement.verdict}" in both.verdict
        assert f"{name}: {judgement.verdict.splitlines()[0]}" in both.verdict.splitlines()[0]
    roc_auc = value_of(both.metrics, "logistic", "theft", "none", "test", "roc_auc")
    assert 0.7 < roc_auc.low < roc_auc.value < 1


def test_every_class_that_rows_are_made_of_is_judged_and_the_mean_over_them(
    tables: dict[str, DataFrame], logistic: type[Any]
) -> None:
    """Theft is the rarest and so the positive class, but rows are made of the class in the middle, chargeback."""
    train = tables["features"].where("split = 'train' AND label = 0").drop("split")
    made = {"synthetic": train.withColumn("row_id", F.col("row_id") + 10_000), "refined": None}
    config = CONFIG.replaced(strategies=("none", "smote"), classifiers={"logistic": logistic.Parameters(penalty=0.001)})
    found = run(tables, config, **made)
    assert found.judged == ("theft", "chargeback") and found.not_judged == {}
    outcomes = found.judgements["logistic"].outcomes
    assert list(outcomes) == [MACRO, "theft", "chargeback"]
    lines = found.verdict.split("\n")
    assert "on the mean over the classes" in lines[0] and "of class 'chargeback'" in lines[3]
    assert lines[1].startswith("  'theft': ") and lines[2].startswith("  'chargeback': ")
    for name in found.judged:
        cells = outcomes[name].confusion["smote"]
        assert cells.true_positive + cells.false_negative == found.test_rows[name]

    def figures(of: Evaluation, name: str) -> dict[tuple[str, str, str], MetricRow]:
        return {(row.strategy, row.split, row.metric): row for row in of.metrics if row.class_name == name}

    mean, theft, chargeback = (figures(found, name) for name in (MACRO, "theft", "chargeback"))
    assert set(theft) == set(chargeback) and ("none", "test", "card_precision@3") in mean
    for key, row in mean.items():
        assert row.value == pytest.approx((theft[key].value + chargeback[key].value) / 2)
    # The same models, asked for one class alone, say the same of it: the regression's vectors know no positive class.
    alone = run(tables, config.replaced(positive="chargeback"), **made)
    assert alone.judged == ("chargeback",)
    values = {key: row.value for key, row in chargeback.items()}
    assert {key: row.value for key, row in figures(alone, "chargeback").items()} == values
    assert len(found.samples["smote"]) == train.count() and len(found.samples["real"]) > train.count()


def test_a_class_that_is_called_like_the_mean_is_refused(tables: dict[str, DataFrame]) -> None:
    label = dataclasses.replace(ENCODER.label, classes=("macro", "good", "theft"))
    made = tables["features"].where("split = 'train' AND label = 0").drop("split")
    with pytest.raises(DataError, match="column 'fraud' has the class 'macro', which is what the mean"):
        evaluate(
            tables["features"], made, None, dataclasses.replace(ENCODER, label=label),
            CONFIG.replaced(strategies=("none", "smote")), run_id="r", random_state=7,
        )  # fmt: skip


def test_a_class_that_a_split_lacks_is_not_judged_and_named() -> None:
    rows = {
        "train": {0: 9, 1: 90, 2: 5, 3: 7}, "validation": {0: 9, 1: 90, 2: 5}, "test": {0: 9, 1: 90, 3: 2},
        "synthetic": {0: 81, 1: 0, 2: 85, 3: 83},
    }  # fmt: skip
    assert judged_labels(0, rows, ["synthetic"]) == ([0], {2: "test", 3: "validation"})
    assert judged_labels(1, rows, ["synthetic"]) == ([1, 0], {2: "test", 3: "validation"})
    assert judged_labels(2, rows, []) == ([2], {})
