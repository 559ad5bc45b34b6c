"""The verdict says what the intervals say."""

import numpy as np
import pytest

from raresmith.evaluation.intervals import Interval
from raresmith.evaluation.verdict import Comparison, MetricRow, say_verdict, value_of

NONE = Interval(value=0.6, low=0.55, high=0.65)


def comparison(strategy: str, low: float, high: float) -> Comparison:
    middle = (low + high) / 2
    difference = Interval(value=middle, low=low, high=high)
    return Comparison(strategy=strategy, value=0.6 + middle, difference=difference)


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (0.01, 0.05, "gain"),
        (-0.05, -0.01, "loss"),
        (-0.01, 0.05, "no clear difference"),
        (0.0, 0.0, "no clear difference"),
    ],
)
def test_a_finding_needs_an_interval_that_leaves_out_zero(low: float, high: float, finding: str) -> None:
    assert comparison("smote", low, high).finding == finding


@pytest.mark.parametrize(
    ("intervals", "opening"),
    [
        ([(0.01, 0.05), (-0.01, 0.01)], "Gain: smote is clearly better than training on the rows as they are."),
        (
            [(0.01, 0.05), (0.02, 0.03), (0.01, 0.02)],
            "Gain: smote, refined and random are clearly better than training on the rows as they are.",
        ),
        (
            [(-0.01, 0.05), (-0.01, 0.01)],
            "No gain: nothing that was tried is clearly better or worse than training on the rows as they are.",
        ),
        (
            [(-0.01, 0.05), (-0.03, -0.01)],
            "No gain: nothing is clearly better than training on the rows as they are, and refined is clearly worse.",
        ),
        (
            [(-0.02, -0.01), (-0.03, -0.01)],
            "Loss: everything that was tried is clearly worse than training on the rows as they are.",
        ),
    ],
)
def test_the_verdict_opens_with_the_whole(intervals: list[tuple[float, float]], opening: str) -> None:
    comparisons = [comparison(s, *i) for s, i in zip(("smote", "refined", "random"), intervals, strict=False)]
    assert say_verdict(NONE, comparisons, 385, 58264).split("\n")[0] == opening


def test_the_verdict_names_the_ground_and_every_strategy() -> None:
    text = say_verdict(NONE, [comparison("smote", -0.01, 0.03)], 385, 58264)
    assert text.split("\n")[1:] == [
        "Average precision on 58,264 test rows, 385 of them positive, "
        "with 95 % intervals from resampling the same rows for both:",
        "  none         0.600  (0.550 to 0.650)",
        "  smote        0.610  no clear difference, +0.010 (-0.010 to +0.030)",
    ]


def test_without_a_baseline_there_is_no_verdict() -> None:
    assert say_verdict(None, [], 5, 50).startswith('No comparison: evaluate.strategies lacks "none"')
    assert say_verdict(NONE, [], 5, 50).startswith("No comparison: only the rows as they are were tried")


def test_a_figure_is_the_mean_over_the_seeds_with_the_widest_interval() -> None:
    rows = [
        MetricRow("r", "none", "forest", "test", "f1", 0.4, 0.3, 0.5, 0),
        MetricRow("r", "none", "forest", "test", "f1", 0.6, 0.5, 0.8, 1),
        MetricRow("r", "none", "forest", "validation", "f1", 0.9, None, None, 1),
    ]
    assert value_of(rows, "forest", "none", "test", "f1") == Interval(value=0.5, low=0.3, high=0.8)
    without_interval = value_of(rows, "forest", "none", "validation", "f1")
    assert np.isnan([without_interval.low, without_interval.high]).all() and without_interval.value == 0.9
    assert np.isnan(value_of(rows, "forest", "smote", "test", "f1").value)


def test_a_figure_is_of_one_classifier() -> None:
    rows = [
        MetricRow("r", "none", "forest", "test", "f1", 0.4, 0.3, 0.5, 0),
        MetricRow("r", "none", "logistic", "test", "f1", 0.8, 0.7, 0.9, 0),
    ]
    assert value_of(rows, "forest", "none", "test", "f1") == Interval(value=0.4, low=0.3, high=0.5)
    assert value_of(rows, "logistic", "none", "test", "f1") == Interval(value=0.8, low=0.7, high=0.9)
