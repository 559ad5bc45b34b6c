"""The verdict says what the intervals say."""

import numpy as np
import pytest

from raresmith.evaluation.intervals import LEAST, Interval
from raresmith.evaluation.verdict import MACRO, Comparison, Ground, MetricRow, Outcome, say_verdict, value_of

NONE = Interval(value=0.6, low=0.55, high=0.65)
ENOUGH = Ground(class_name="1", n_rows=58264, n_positive=385)


def comparison(strategy: str, low: float, high: float) -> Comparison:
    middle = (low + high) / 2
    difference = Interval(value=middle, low=low, high=high)
    return Comparison(strategy=strategy, value=0.6 + middle, difference=difference)


def said(none: Interval | None, comparisons: list[Comparison], ground: Ground = ENOUGH) -> list[str]:
    outcome = Outcome(none=none, comparisons=tuple(comparisons), grounds=(ground,))
    return say_verdict({ground.class_name: outcome}, is_binary=True).split("\n")


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (0.01, 0.05, "gain"),
        (-0.05, -0.01, "loss"),
        (-0.01, 0.05, "no clear difference"),
        (0.0, 0.0, "no clear difference"),
        (np.nan, np.nan, "too few to tell"),
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
    assert said(NONE, comparisons)[0] == opening


def test_the_verdict_names_the_ground_and_every_strategy() -> None:
    assert said(NONE, [comparison("smote", -0.01, 0.03)])[1:] == [
        "Average precision on 58,264 test rows, 385 of them positive, "
        "with 95 % intervals from resampling the same rows for both:",
        "  none         0.600  (0.550 to 0.650)",
        "  smote        0.610  no clear difference, +0.010 (-0.010 to +0.030)",
    ]


def test_without_a_baseline_there_is_no_verdict() -> None:
    assert said(None, [])[0].startswith('No comparison: evaluate.strategies lacks "none"')
    assert said(NONE, [])[0].startswith("No comparison: only the rows as they are were tried")


@pytest.mark.parametrize(
    ("n_rows", "n_positive", "n_entities", "found", "n"),
    [
        (300, 1, None, "1 of 300 test rows are positive", 1),
        (300, 295, None, "5 of 300 test rows are not positive", 5),
        (300, 90, 4, "the 90 test rows that are positive belong to 4 entities", 4),
    ],
)
def test_a_verdict_that_rests_on_too_few_says_what_is_missing(
    n_rows: int, n_positive: int, n_entities: int | None, found: str, n: int
) -> None:
    ground = Ground(class_name="1", n_rows=n_rows, n_positive=n_positive, n_entities=n_entities)
    lost = Comparison(strategy="smote", value=0.4, difference=Interval(value=-0.2))
    lines = said(Interval(value=0.6), [lost], ground)
    assert lines == [
        f"Too few to tell: {found}, {LEAST - n} fewer than the {LEAST} that a verdict takes.",
        f"Average precision on 300 test rows, {n_positive} of them positive, without intervals, which so few rows do "
        "not bear:",
        "  none         0.600",
        "  smote        0.400  too few to tell, -0.200",
    ]


def test_of_several_classes_the_mean_comes_first_and_each_class_has_its_line() -> None:
    grounds = [Ground(class_name=name, n_rows=900, n_positive=n) for name, n in (("theft", 40), ("chargeback", 90))]
    gain, even = comparison("smote", 0.01, 0.05), comparison("smote", -0.01, 0.05)
    outcomes = {
        MACRO: Outcome(none=NONE, comparisons=(gain,), grounds=tuple(grounds)),
        "theft": Outcome(none=NONE, comparisons=(even,), grounds=(grounds[0],)),
        "chargeback": Outcome(none=NONE, comparisons=(gain,), grounds=(grounds[1],)),
    }
    as_is = "training on the rows as they are"
    assert say_verdict(outcomes, is_binary=False).split("\n")[:4] == [
        f"Gain: smote is clearly better than {as_is}, on the mean over the classes.",
        f"  'theft': No gain: nothing that was tried is clearly better or worse than {as_is}.",
        f"  'chargeback': Gain: smote is clearly better than {as_is}.",
        "Average precision, mean over the classes, on 900 test rows, 40 of them of class 'theft', 90 of them of class "
        "'chargeback', with 95 % intervals from resampling the same rows for both:",
    ]


def test_a_figure_is_the_mean_over_the_seeds_with_the_widest_interval() -> None:
    rows = [
        MetricRow("r", "none", "forest", "1", "test", "f1", 0.4, 0.3, 0.5, 0),
        MetricRow("r", "none", "forest", "1", "test", "f1", 0.6, 0.5, 0.8, 1),
        MetricRow("r", "none", "forest", "1", "validation", "f1", 0.9, None, None, 1),
    ]
    assert value_of(rows, "forest", "1", "none", "test", "f1") == Interval(value=0.5, low=0.3, high=0.8)
    without_interval = value_of(rows, "forest", "1", "none", "validation", "f1")
    assert np.isnan([without_interval.low, without_interval.high]).all() and without_interval.value == 0.9
    assert np.isnan(value_of(rows, "forest", "1", "smote", "test", "f1").value)


def test_a_figure_is_of_one_classifier_and_one_class() -> None:
    rows = [
        MetricRow("r", "none", "forest", "1", "test", "f1", 0.4, 0.3, 0.5, 0),
        MetricRow("r", "none", "logistic", "1", "test", "f1", 0.8, 0.7, 0.9, 0),
        MetricRow("r", "none", "forest", "2", "test", "f1", 0.6, 0.3, 0.5, 0),
    ]
    assert value_of(rows, "forest", "1", "none", "test", "f1") == Interval(value=0.4, low=0.3, high=0.5)
    assert value_of(rows, "logistic", "1", "none", "test", "f1") == Interval(value=0.8, low=0.7, high=0.9)
