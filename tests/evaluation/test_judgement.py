"""Figures, comparisons and verdicts are of one classifier each."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raresmith.evaluation.counts import PairCounts, score_counts
from raresmith.evaluation.intervals import LEAST
from raresmith.evaluation.judgement import ClassScores, Settings, Trial, judge
from raresmith.evaluation.metrics import exact_figures
from raresmith.evaluation.verdict import MACRO, Judge, Judgement, MetricRow, Outcome, value_of

LABEL = (np.random.default_rng(0).random(2000) < 0.1).astype(int)
SETTINGS = Settings(run_id="r", n_resamples=60, top_k=5, random_state=2, is_binary=True)
FOREST, LOGISTIC = (Judge(name=name, title=name, noun=name) for name in ("forest", "logistic"))


def scores(noise: float, seed: int) -> np.ndarray:
    return np.clip(LABEL * 30 + np.random.default_rng(seed).normal(20, noise, 2000), 0, 100).astype(int) * 10_000


def class_scores(noise: float, baseline_noise: float | None, seed: int, n_positive: int = 10_000) -> ClassScores:
    """Of the first `n_positive` positive rows and all others."""
    kept = (LABEL == 0) | (np.cumsum(LABEL) <= n_positive)
    label, score = LABEL[kept], scores(noise, seed)[kept]
    counts, pairs = score_counts(score, label, 1 - label), None
    if baseline_noise is not None:
        first = scores(baseline_noise, seed)[kept]
        pairs = PairCounts(first=first, second=score, positive=label, negative=1 - label)
    return ClassScores(validation=counts, test=counts, beside_baseline=pairs, card_precision=0.25)


def trial(classifier: str, strategy: str, noise: float, baseline_noise: float | None = None, seed: int = 0) -> Trial:
    return Trial(
        classifier=classifier, strategy=strategy, seed=seed,
        classes={"1": class_scores(noise, baseline_noise, seed)},
        importances={"a": 0.25, "b": 0.75} if classifier == "forest" else {},
    )  # fmt: skip


def only(found: Judgement) -> Outcome:
    (outcome,) = found.outcomes.values()
    return outcome


FOREST_TRIALS = [trial("forest", "none", 30), trial("forest", "smote", 10, baseline_noise=30)]
LOGISTIC_TRIALS = [trial("logistic", "none", 10), trial("logistic", "smote", 30, baseline_noise=10)]


def test_each_classifier_is_compared_with_itself() -> None:
    _, found = judge([*FOREST_TRIALS, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    assert [only(of).comparisons[0].finding for of in found.values()] == ["gain", "loss"]
    assert found["forest"].verdict.startswith("Gain: smote is clearly better")
    assert found["logistic"].verdict.startswith("Loss: ")


def test_a_second_classifier_changes_nothing_of_the_first() -> None:
    alone, found_alone = judge(FOREST_TRIALS, [FOREST], SETTINGS)
    both, found_both = judge([*FOREST_TRIALS, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    assert tuple(row for row in both if row.classifier == "forest") == alone
    assert only(found_both["forest"]).comparisons == only(found_alone["forest"]).comparisons
    assert found_both["forest"].verdict == found_alone["forest"].verdict
    assert value_of(both, "forest", "1", "none", "test", "f1") == value_of(alone, "forest", "1", "none", "test", "f1")


def test_the_difference_is_that_of_the_same_seed() -> None:
    trials = [
        trial("forest", "none", 30, seed=1),
        trial("forest", "none", 20, seed=2),
        trial("forest", "smote", 10, baseline_noise=30, seed=1),
        trial("forest", "smote", 15, baseline_noise=20, seed=2),
    ]
    rows, found = judge(trials, [FOREST], SETTINGS)
    precision = [exact_figures(of.classes["1"].test, {})["average_precision"] for of in trials]
    differences = {row.seed: row.value for row in rows if row.metric == "average_precision_minus_none"}
    assert differences == pytest.approx({1: precision[2] - precision[0], 2: precision[3] - precision[1]})
    assert only(found["forest"]).comparisons[0].difference.value == pytest.approx(np.mean(list(differences.values())))


def test_importances_are_means_over_the_seeds_and_absent_where_a_classifier_has_none() -> None:
    other = replace(trial("forest", "none", 30, seed=1), importances={"a": 0.45, "b": 0.55})
    _, found = judge([FOREST_TRIALS[0], other, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    means: list[tuple[str, Any]] = [("b", pytest.approx(0.65)), ("a", pytest.approx(0.35))]
    assert list(found["forest"].importances["none"].items()) == means
    assert found["logistic"].importances == {}


def test_every_row_names_its_figure_once() -> None:
    rows, _ = judge([*FOREST_TRIALS, *LOGISTIC_TRIALS], [FOREST, LOGISTIC], SETTINGS)
    keys = [row[1:6] for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row.value for row in rows if row.metric == "card_precision@5"} == {0.25}
    assert {row.low for row in rows if row.metric == "threshold"} == {None}


def few(n_positive: int, n_entities: int | None = None) -> list[Trial]:
    """Two trials of which the second is far better on every one of `n_positive` positive rows."""
    return [
        Trial(
            classifier="forest",
            strategy=strategy,
            seed=0,
            classes={"1": replace(class_scores(noise, baseline, 0, n_positive), n_entities=n_entities)},
        )
        for strategy, noise, baseline in (("none", 60, None), ("smote", 1, 60))
    ]


@pytest.mark.parametrize(
    ("n_positive", "n_entities", "finding"),
    [
        (1, None, "Too few to tell"),
        (LEAST - 1, None, "Too few to tell"),
        (LEAST, None, "Gain"),
        (150, LEAST - 1, "Too few to tell"),
        (150, LEAST, "Gain"),
    ],
)
def test_below_the_least_number_there_is_neither_verdict_nor_interval(
    n_positive: int, n_entities: int | None, finding: str
) -> None:
    rows, found = judge(few(n_positive, n_entities), [FOREST], SETTINGS)
    assert only(found["forest"]).finding == finding and found["forest"].verdict.startswith(f"{finding}: ")
    has_interval = {row.metric for row in rows if row.split == "test" and row.low is not None}
    assert ("average_precision_minus_none" in has_interval) == (finding == "Gain")
    assert has_interval == set() or "average_precision" in has_interval
    on_validation = {row.low is not None for row in rows if row.split == "validation" and row.metric == "recall"}
    assert on_validation == {n_positive >= LEAST}


SEVERAL = replace(SETTINGS, is_binary=False)


def several(n_second: int = 10_000) -> list[Trial]:
    """A gain on class "1", which is the only class of FOREST_TRIALS, and a loss on class "2"."""
    classes = ({"2": class_scores(10, None, 3, n_second)}, {"2": class_scores(20, 10, 3, n_second)})
    return [
        replace(trial, classes={**trial.classes, **more}) for trial, more in zip(FOREST_TRIALS, classes, strict=True)
    ]


def figures(rows: tuple[MetricRow, ...], name: str, strategy: str) -> dict[tuple[str, str], MetricRow]:
    return {(row.split, row.metric): row for row in rows if (row.class_name, row.strategy) == (name, strategy)}


def test_a_second_class_changes_nothing_of_the_first_and_the_mean_is_over_both() -> None:
    alone, _ = judge(FOREST_TRIALS, [FOREST], SETTINGS)
    rows, found = judge(several(), [FOREST], SEVERAL)
    assert tuple(row for row in rows if row.class_name == "1") == alone
    assert list(found["forest"].outcomes) == [MACRO, "1", "2"]
    for strategy in ("none", "smote"):
        mean, *classes = (figures(rows, name, strategy) for name in (MACRO, "1", "2"))
        of_one_class = {"threshold", "true_positive", "false_positive", "false_negative", "true_negative"}
        assert {metric for _, metric in classes[0]} - {metric for _, metric in mean} == of_one_class
        for key, row in mean.items():
            assert row.value == pytest.approx(np.mean([of[key].value for of in classes]))
        key = "test", "average_precision"
        assert 0 < (mean[key].low or 0) < mean[key].value
        # They are judged on the same rows, so chance may move both the same way.
        widths = [(of[key].high or 0) - (of[key].low or 0) for of in (mean, *classes)]
        assert widths[0] == pytest.approx(np.mean(widths[1:]), rel=0.02)


def test_each_class_has_its_finding_beside_that_of_the_mean() -> None:
    _, found = judge(several(), [FOREST], SEVERAL)
    outcomes = found["forest"].outcomes
    assert [outcomes[name].finding for name in ("1", "2")] == ["Gain", "Loss"]
    differences = [of.comparisons[0].difference.value for of in outcomes.values()]
    assert differences[0] == pytest.approx((differences[1] + differences[2]) / 2)
    first, *lines = found["forest"].verdict.split("\n")
    assert "on the mean over the classes" in first
    assert lines[0].startswith("  '1': Gain: ") and lines[1].startswith("  '2': Loss: ")
    assert not outcomes[MACRO].confusion and not outcomes[MACRO].curves
    assert outcomes["2"].curves.keys() == {"none", "smote"}


def test_the_mean_tells_nothing_where_one_class_has_too_few() -> None:
    rows, found = judge(several(n_second=3), [FOREST], SEVERAL)
    findings = {name: outcome.finding for name, outcome in found["forest"].outcomes.items()}
    assert findings == {MACRO: "Too few to tell", "1": "Gain", "2": "Too few to tell"}
    assert found["forest"].verdict.startswith("Too few to tell: 3 of 1,")
    assert "test rows are of class '2'" in found["forest"].verdict.split("\n")[0]
    assert figures(rows, MACRO, "smote")["test", "average_precision"].low is None
