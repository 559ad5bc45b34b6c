"""Figures, comparisons and verdicts are of one classifier each."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raresmith.evaluation.counts import PairCounts, score_counts
from raresmith.evaluation.judgement import Settings, Trial, judge
from raresmith.evaluation.metrics import exact_figures
from raresmith.evaluation.verdict import Judge, value_of

LABEL = (np.random.default_rng(0).random(2000) < 0.1).astype(int)
SETTINGS = Settings(run_id="r", n_resamples=60, top_k=5, random_state=2)
FOREST, LOGISTIC = (Judge(name=name, title=name, noun=name) for name in ("forest", "logistic"))


def scores(noise: float, seed: int) -> np.ndarray:
    return np.clip(LABEL * 30 + np.random.default_rng(seed).normal(20, noise, 2000), 0, 100).astype(int) * 10_000


def trial(classifier: str, strategy: str, noise: float, baseline_noise: float | None = None, seed: int = 0) -> Trial:
    counts = score_counts(scores(noise, seed), LABEL, 1 - LABEL)
    pairs = None
    if baseline_noise is not None:
        pairs = PairCounts(
            first=scores(baseline_noise, seed), second=scores(noise, seed), positive=LABEL, negative=1 - LABEL
        )
    return Trial(
        classifier=classifier, strategy=strategy, seed=seed, validation=counts, test=counts, beside_baseline=pairs,
        card_precision=0.25, importances={"a": 0.25, "b": 0.75} if classifier == "forest" else {},
    )  # fmt: skip


FOREST_TRIALS = [trial("forest", "none", 30), trial("forest", "smote", 10, baseline_noise=30)]
LOGISTIC_TRIALS = [trial("logistic", "none", 10), trial("logistic", "smote", 30, baseline_noise=10)]


def test_each_classifier_is_compared_with_itself() -> None:
    _, found = judge([*FOREST_TRIALS, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    assert [of.comparisons[0].finding for of in found.values()] == ["gain", "loss"]
    assert found["forest"].verdict.startswith("Gain: smote is clearly better")
    assert found["logistic"].verdict.startswith("Loss: ")


def test_a_second_classifier_changes_nothing_of_the_first() -> None:
    alone, found_alone = judge(FOREST_TRIALS, [FOREST], SETTINGS)
    both, found_both = judge([*FOREST_TRIALS, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    assert tuple(row for row in both if row.classifier == "forest") == alone
    assert found_both["forest"].comparisons == found_alone["forest"].comparisons
    assert found_both["forest"].verdict == found_alone["forest"].verdict
    assert value_of(both, "forest", "none", "test", "f1") == value_of(alone, "forest", "none", "test", "f1")


def test_the_difference_is_that_of_the_same_seed() -> None:
    trials = [
        trial("forest", "none", 30, seed=1),
        trial("forest", "none", 20, seed=2),
        trial("forest", "smote", 10, baseline_noise=30, seed=1),
        trial("forest", "smote", 15, baseline_noise=20, seed=2),
    ]
    rows, found = judge(trials, [FOREST], SETTINGS)
    precision = [exact_figures(of.test, {})["average_precision"] for of in trials]
    differences = {row.seed: row.value for row in rows if row.metric == "average_precision_minus_none"}
    assert differences == pytest.approx({1: precision[2] - precision[0], 2: precision[3] - precision[1]})
    assert found["forest"].comparisons[0].difference.value == pytest.approx(np.mean(list(differences.values())))


def test_importances_are_means_over_the_seeds_and_absent_where_a_classifier_has_none() -> None:
    other = replace(trial("forest", "none", 30, seed=1), importances={"a": 0.45, "b": 0.55})
    _, found = judge([FOREST_TRIALS[0], other, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    means: list[tuple[str, Any]] = [("b", pytest.approx(0.65)), ("a", pytest.approx(0.35))]
    assert list(found["forest"].importances["none"].items()) == means
    assert found["logistic"].importances == {}


def test_every_row_names_its_figure_once() -> None:
    rows, _ = judge([*FOREST_TRIALS, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    keys = [row[1:5] for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row.value for row in rows if row.metric == "card_precision@5"} == {0.25}
    assert {row.low for row in rows if row.metric == "threshold"} == {None}
