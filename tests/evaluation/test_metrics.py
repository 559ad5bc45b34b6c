"""Figures from counts equal scikit-learn's figures from rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from raresmith.evaluation import metrics
from raresmith.evaluation.metrics import SCORE_STEPS, PairCounts, ScoreCounts, score_counts


@st.composite
def counted(draw: st.DrawFn) -> ScoreCounts:
    """Counts with ties, empty cells and at least one row of each class."""
    n = draw(st.integers(1, 25))
    scores = draw(st.lists(st.integers(0, SCORE_STEPS), min_size=n, max_size=n, unique=True))
    cells = st.lists(st.integers(0, 40), min_size=n, max_size=n).filter(any)
    return score_counts(scores, draw(cells), draw(cells))


def rows(counts: ScoreCounts) -> dict[str, np.ndarray]:
    """scikit-learn's arguments: one weighted row for each class and score."""
    n = len(counts.score)
    return {
        "y_true": np.repeat([1, 0], n),
        "y_score": np.tile(counts.score, 2) / SCORE_STEPS,
        "sample_weight": np.concatenate([counts.positive, counts.negative]),
    }


def called(counts: ScoreCounts, threshold: int) -> dict[str, np.ndarray]:
    arguments = rows(counts)
    score = arguments.pop("y_score")
    return {**arguments, "y_pred": (np.rint(score * SCORE_STEPS) >= threshold).astype(int)}


@given(counted())
def test_ranking_metrics_equal_scikit_learn(counts):
    found = metrics.ranking_metrics(counts)
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(**rows(counts)))
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(**rows(counts)))


@given(counted(), st.integers(0, SCORE_STEPS))
def test_metrics_at_a_threshold_equal_scikit_learn(counts, threshold):
    found, arguments = metrics.metrics_at(counts, threshold), called(counts, threshold)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(**arguments))
    assert found["precision"] == pytest.approx(reference.precision_score(**arguments, zero_division=0))
    assert found["recall"] == pytest.approx(reference.recall_score(**arguments, zero_division=0))
    assert found["f1"] == pytest.approx(reference.f1_score(**arguments, zero_division=0))


@given(counted(), st.integers(0, SCORE_STEPS))
def test_confusion_equals_scikit_learn(counts, threshold):
    found = metrics.confusion_at(counts, threshold)
    expected = reference.confusion_matrix(**called(counts, threshold), labels=[0, 1])
    assert [[found.true_negative, found.false_positive], [found.false_negative, found.true_positive]] == (
        expected.tolist()
    )


@given(counted())
def test_no_threshold_has_a_higher_f1_than_the_best(counts):
    best = metrics.metrics_at(counts, metrics.best_f1_threshold(counts))["f1"]
    assert best == pytest.approx(max(metrics.metrics_at(counts, int(t))["f1"] for t in counts.score))


@given(counted())
def test_precision_recall_curve_holds_the_points_of_scikit_learn(counts):
    recall, precision = metrics.precision_recall_curve(counts)
    arguments = rows(counts)
    expected_precision, expected_recall, _ = reference.precision_recall_curve(
        arguments["y_true"], arguments["y_score"], sample_weight=arguments["sample_weight"]
    )
    # scikit-learn lists thresholds upwards and ends with the point (recall 0, precision 1).
    assert recall == pytest.approx(expected_recall[:-1][::-1])
    assert precision == pytest.approx(expected_precision[:-1][::-1])


def test_a_long_precision_recall_curve_is_thinned_to_its_shape():
    generator = np.random.default_rng(0)
    counts = score_counts(np.arange(10_000), generator.integers(0, 2, 10_000), generator.integers(0, 30, 10_000))
    recall, precision = metrics.precision_recall_curve(counts, max_points=200)
    full_recall, full_precision = metrics.precision_recall_curve(counts, max_points=10**6)
    assert len(recall) <= 200 and recall[-1] == 1.0
    assert np.diff(recall).max() < 0.01
    assert set(zip(recall, precision, strict=True)) <= set(zip(full_recall, full_precision, strict=True))


@given(counted(), st.integers(0, SCORE_STEPS), st.randoms(use_true_random=False))
def test_partial_counts_add_up_in_any_order(counts, _, random):
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
def test_levels_change_no_figure(counts, threshold):
    cuts = metrics.level_cuts(counts, [threshold])
    levels = metrics.to_levels(counts, cuts)
    assert metrics.ranking_metrics(levels) == pytest.approx(metrics.ranking_metrics(counts))
    at = int(np.searchsorted(cuts, threshold)) + 1
    assert metrics.metrics_at(levels, at) == pytest.approx(metrics.metrics_at(counts, threshold))


def test_levels_are_few_and_close_where_there_are_many_scores():
    generator = np.random.default_rng(1)
    scores = np.arange(0, SCORE_STEPS, 50)
    share = scores / SCORE_STEPS
    counts = score_counts(scores, generator.poisson(share**4 * 3), generator.poisson((1 - share) ** 3 * 100))
    levels = metrics.to_levels(counts, metrics.level_cuts(counts))
    assert len(levels.score) <= 801
    assert metrics.ranking_metrics(levels) == pytest.approx(metrics.ranking_metrics(counts), abs=2e-3)


def example(seed: int = 0) -> ScoreCounts:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, SCORE_STEPS, 3000)
    positive = generator.random(3000) < 0.2 * (scores / SCORE_STEPS) ** 2
    return score_counts(scores, positive, ~positive)


def test_intervals_are_those_of_a_bootstrap_over_rows():
    counts = example()
    found = metrics.bootstrap_intervals(counts, {"": 700_000}, n_resamples=2000, random_state=1)
    label = np.repeat([1, 0], [counts.n_positive, counts.n_negative])
    score = np.concatenate([np.repeat(counts.score, counts.positive), np.repeat(counts.score, counts.negative)])
    generator = np.random.default_rng(9)
    draws = {"average_precision": [], "f1": []}
    for _ in range(600):
        taken = generator.integers(0, len(label), len(label))
        draws["average_precision"].append(reference.average_precision_score(label[taken], score[taken]))
        draws["f1"].append(reference.f1_score(label[taken], score[taken] >= 700_000))
    for name, values in draws.items():
        low, high = np.percentile(values, [2.5, 97.5])
        width = high - low
        assert found[name].low == pytest.approx(low, abs=0.12 * width)
        assert found[name].high == pytest.approx(high, abs=0.12 * width)
        assert found[name].low < found[name].value < found[name].high


def test_intervals_name_the_thresholds():
    found = metrics.bootstrap_intervals(example(), {"": 700_000, "_at_0.5": 500_000}, 20, random_state=0)
    at = ["accuracy", "precision", "recall", "f1"]
    assert list(found) == ["roc_auc", "average_precision", *at, *(f"{name}_at_0.5" for name in at)]
    assert found["recall_at_0.5"].value == metrics.metrics_at(example(), 500_000)["recall"]


def test_intervals_do_not_depend_on_the_size_of_a_chunk(monkeypatch):
    counts = example()
    whole = metrics.bootstrap_intervals(counts, {"": 700_000}, n_resamples=50, random_state=3)
    monkeypatch.setattr(metrics, "_CHUNK_CELLS", 7 * len(counts.score))
    assert metrics.bootstrap_intervals(counts, {"": 700_000}, n_resamples=50, random_state=3) == whole
    assert metrics.bootstrap_intervals(counts, {"": 700_000}, n_resamples=50, random_state=4) != whole


def test_a_single_positive_row_still_gives_an_interval():
    counts = score_counts([900_000, 100_000], [1, 0], [2, 50])
    found = metrics.bootstrap_intervals(counts, {"": 900_000}, n_resamples=100, random_state=0)
    assert found["average_precision"].value == pytest.approx(1 / 3)
    assert 0 < found["average_precision"].low <= found["average_precision"].high <= 1


def paired(first: np.ndarray, second: np.ndarray, label: np.ndarray) -> PairCounts:
    frame = pd.DataFrame({"first": first, "second": second, "positive": label, "negative": 1 - label})
    cells = frame.groupby(["first", "second"], as_index=False).sum()
    return PairCounts(**{name: cells[name].to_numpy(dtype=np.int64) for name in cells})


def test_equal_classifiers_differ_by_nothing():
    generator = np.random.default_rng(0)
    score, label = generator.integers(0, 50, 500), generator.integers(0, 2, 500)
    assert not metrics.paired_differences(paired(score, score, label), 100, random_state=0).any()


def test_paired_differences_are_those_of_a_bootstrap_over_rows():
    generator = np.random.default_rng(5)
    label = (generator.random(4000) < 0.05).astype(int)
    signal = label * 30 + generator.normal(0, 20, 4000)
    first = np.clip(signal + generator.normal(0, 15, 4000), 0, 100).astype(int)
    second = np.clip(signal + generator.normal(0, 5, 4000), 0, 100).astype(int)
    found = metrics.paired_differences(paired(first, second, label), 1000, random_state=0)
    expected = []
    for _ in range(400):
        taken = generator.integers(0, 4000, 4000)
        expected.append(
            reference.average_precision_score(label[taken], second[taken])
            - reference.average_precision_score(label[taken], first[taken])
        )
    assert found.mean() == pytest.approx(np.mean(expected), abs=0.15 * np.std(expected))
    assert found.std() == pytest.approx(np.std(expected), rel=0.12)


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
def test_card_precision_equals_a_brute_force_over_rows(transactions, top_k):
    frame = pd.DataFrame(transactions, columns=["day", "entity", "score", "positive"]).astype(int)
    cards = frame.groupby(["day", "entity"], as_index=False).max()
    found = metrics.card_precision(cards.day, cards.entity, cards.score, cards.positive, top_k)
    assert found == pytest.approx(card_precision_by_pandas(frame, top_k))


def test_a_card_detected_on_monday_makes_room_on_tuesday():
    # Card 1 is caught on day 0; on day 1 it would be first again, and card 2 takes its place.
    found = metrics.card_precision([0, 0, 1, 1], [1, 2, 1, 2], [9, 1, 9, 5], [True, False, True, True], top_k=1)
    assert found == 1.0
