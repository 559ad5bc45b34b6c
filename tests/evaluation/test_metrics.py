"""Figures from counts equal scikit-learn's figures from rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from tests.evaluation.examples import called, counted, rows

from raresmith.evaluation import metrics
from raresmith.evaluation.counts import SCORE_STEPS, Confusion, Floats, ScoreCounts
from raresmith.evaluation.intervals import bootstrap_draws


@given(counted())
def test_ranking_metrics_equal_scikit_learn(counts: ScoreCounts) -> None:
    found = metrics.exact_figures(counts, {})
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(**rows(counts)))
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(**rows(counts)))


@given(counted(), st.integers(0, SCORE_STEPS))
def test_metrics_at_a_threshold_equal_scikit_learn(counts: ScoreCounts, threshold: int) -> None:
    found, arguments = metrics.exact_figures(counts, {"": threshold}), called(counts, threshold)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(**arguments))
    assert found["precision"] == pytest.approx(reference.precision_score(**arguments, zero_division=0))
    assert found["recall"] == pytest.approx(reference.recall_score(**arguments, zero_division=0))
    assert found["f1"] == pytest.approx(reference.f1_score(**arguments, zero_division=0))


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("roc_auc", "ROC AUC"),
        ("average_precision", "average precision"),
        ("f1@0.5", "F1@0.5"),
        ("card_precision@100", "card precision@100"),
    ],
)
def test_a_metric_has_the_name_that_people_write(metric: str, title: str) -> None:
    assert metrics.metric_title(metric) == title


def test_a_metric_is_one_function_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def specificity(of: Confusion[Floats]) -> Floats:
        return of.true_negative / (of.true_negative + of.false_positive)

    monkeypatch.setitem(metrics.AT_THRESHOLD, "specificity", metrics.Metric(specificity, "spec."))
    counts = ScoreCounts(score=np.array([9, 5]), positive=np.array([1, 0]), negative=np.array([1, 3]))
    found = metrics.exact_figures(counts, {"": 9, "@0.5": 5})
    assert (found["specificity"], found["specificity@0.5"]) == (0.75, 0.0)
    drawn = bootstrap_draws(counts, {"": 9, "@0.5": 5}, 30, 0)["specificity"]
    assert 0 < drawn.min() <= 0.75 <= drawn.max()
    assert metrics.metric_title("specificity@0.5") == "spec.@0.5"


def card_precision_by_pandas(frame: pd.DataFrame, top_k: int) -> float:
    detected: list[int] = []
    shares = []
    for _, today in frame.groupby("day"):
        cards = today.groupby("entity").agg(score=("score", "max"), positive=("positive", "max")).reset_index()
        cards = cards[~cards.entity.isin(detected)].sort_values(["score", "entity"], ascending=[False, True])
        hits = cards.head(top_k).query("positive == 1").entity.tolist()
        detected += hits
        shares.append(len(hits) / top_k)
    return sum(shares) / len(shares)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 6), st.booleans()), min_size=1),
    st.integers(1, 5),
)
def test_card_precision_equals_a_brute_force_over_rows(
    transactions: list[tuple[int, int, int, bool]], top_k: int
) -> None:
    frame = pd.DataFrame(transactions, columns=["day", "entity", "score", "positive"]).astype(int)
    cards = frame.groupby(["day", "entity"], as_index=False).max()
    found = metrics.card_precision(cards.day, cards.entity, cards.score, cards.positive, top_k)
    assert found == pytest.approx(card_precision_by_pandas(frame, top_k))


def test_a_card_detected_on_monday_makes_room_on_tuesday() -> None:
    # Card 1 is caught on day 0; on day 1 it would be first again, and card 2 takes its place.
    found = metrics.card_precision([0, 0, 1, 1], [1, 2, 1, 2], [9, 1, 9, 5], [True, False, True, True], top_k=1)
    assert found == 1.0
