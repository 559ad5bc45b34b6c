"""Counts lose nothing that a figure needs."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from tests.evaluation.examples import called, counted, rows

from raresmith.evaluation import counts as of
from raresmith.evaluation.counts import SCORE_STEPS, ScoreCounts, score_counts
from raresmith.evaluation.metrics import exact_figures


@given(counted(), st.integers(0, SCORE_STEPS))
def test_confusion_equals_scikit_learn(counts: ScoreCounts, threshold: int) -> None:
    found = of.confusion_at(counts, threshold)
    expected = reference.confusion_matrix(**called(counts, threshold), labels=[0, 1])
    assert [[found.true_negative, found.false_positive], [found.false_negative, found.true_positive]] == (
        expected.tolist()
    )


@given(counted())
def test_no_threshold_has_a_higher_f1_than_the_best(counts: ScoreCounts) -> None:
    best = exact_figures(counts, {"": of.best_f1_threshold(counts)})["f1"]
    assert best == pytest.approx(max(exact_figures(counts, {"": int(t)})["f1"] for t in counts.score))


@given(counted())
def test_precision_recall_curve_holds_the_points_of_scikit_learn(counts: ScoreCounts) -> None:
    recall, precision = of.precision_recall_curve(counts)
    arguments = rows(counts)
    expected_precision, expected_recall, _ = reference.precision_recall_curve(
        arguments["y_true"], arguments["y_score"], sample_weight=arguments["sample_weight"]
    )
    # scikit-learn lists thresholds upwards and ends with the point (recall 0, precision 1).
    assert recall == pytest.approx(expected_recall[:-1][::-1])
    assert precision == pytest.approx(expected_precision[:-1][::-1])


def test_a_long_precision_recall_curve_is_thinned_to_its_shape() -> None:
    generator = np.random.default_rng(0)
    counts = score_counts(np.arange(10_000), generator.integers(0, 2, 10_000), generator.integers(0, 30, 10_000))
    recall, precision = of.precision_recall_curve(counts, max_points=200)
    full_recall, full_precision = of.precision_recall_curve(counts, max_points=10**6)
    assert len(recall) <= 200 and recall[-1] == 1.0
    assert np.diff(recall).max() < 0.01
    assert set(zip(recall, precision, strict=True)) <= set(zip(full_recall, full_precision, strict=True))


@given(counted(), st.integers(0, SCORE_STEPS), st.randoms(use_true_random=False))
def test_partial_counts_add_up_in_any_order(counts: ScoreCounts, _: int, random: random.Random) -> None:
    parts = [
        (score, positive, negative)
        for score, p, n in zip(counts.score, counts.positive, counts.negative, strict=True)
        for positive, negative in ((p // 2, n), (p - p // 2, 0))
    ]
    random.shuffle(parts)
    again = score_counts(*zip(*parts, strict=True))
    for name in ("score", "positive", "negative"):
        assert getattr(again, name).tolist() == getattr(counts, name).tolist()


@given(counted(), st.integers(0, SCORE_STEPS))
def test_levels_change_no_figure(counts: ScoreCounts, threshold: int) -> None:
    cuts = of.level_cuts(counts, [threshold])
    levels = of.to_levels(counts, cuts)
    at = int(np.searchsorted(cuts, threshold)) + 1
    assert exact_figures(levels, {"": at}) == pytest.approx(exact_figures(counts, {"": threshold}))


def test_levels_are_few_and_close_where_there_are_many_scores() -> None:
    generator = np.random.default_rng(1)
    scores = np.arange(0, SCORE_STEPS, 50)
    share = scores / SCORE_STEPS
    counts = score_counts(scores, generator.poisson(share**4 * 3), generator.poisson((1 - share) ** 3 * 100))
    levels = of.to_levels(counts, of.level_cuts(counts))
    assert len(levels.score) <= 801
    assert exact_figures(levels, {}) == pytest.approx(exact_figures(counts, {}), abs=2e-3)
