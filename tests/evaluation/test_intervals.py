"""Intervals are those of a bootstrap over rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference
from tests.evaluation.examples import example

from raresmith.evaluation import intervals
from raresmith.evaluation.counts import PairCounts, score_counts
from raresmith.evaluation.metrics import AT_THRESHOLD, RANKING, exact_figures


def test_intervals_are_those_of_a_bootstrap_over_rows() -> None:
    counts = example()
    found = intervals.bootstrap_intervals(counts, {"": 700_000}, n_resamples=2000, random_state=1)
    label = np.repeat([1, 0], [counts.n_positive, counts.n_negative])
    score = np.concatenate([np.repeat(counts.score, counts.positive), np.repeat(counts.score, counts.negative)])
    generator = np.random.default_rng(9)
    draws: dict[str, list[float]] = {"average_precision": [], "f1": []}
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


def test_intervals_name_the_thresholds() -> None:
    found = intervals.bootstrap_intervals(example(), {"": 700_000, "_at_0.5": 500_000}, 20, random_state=0)
    assert list(found) == [*RANKING, *AT_THRESHOLD, *(f"{name}_at_0.5" for name in AT_THRESHOLD)]
    assert {"roc_auc", "average_precision", "accuracy", "precision", "recall", "f1"} <= found.keys()
    assert found["recall_at_0.5"].value == exact_figures(example(), {"": 500_000})["recall"]


def test_intervals_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = example()
    whole = intervals.bootstrap_intervals(counts, {"": 700_000}, n_resamples=50, random_state=3)
    monkeypatch.setattr(intervals, "_CHUNK_CELLS", 7 * len(counts.score))
    assert intervals.bootstrap_intervals(counts, {"": 700_000}, n_resamples=50, random_state=3) == whole
    assert intervals.bootstrap_intervals(counts, {"": 700_000}, n_resamples=50, random_state=4) != whole


def test_a_single_positive_row_still_gives_an_interval() -> None:
    counts = score_counts([900_000, 100_000], [1, 0], [2, 50])
    found = intervals.bootstrap_intervals(counts, {"": 900_000}, n_resamples=100, random_state=0)
    assert found["average_precision"].value == pytest.approx(1 / 3)
    assert 0 < found["average_precision"].low <= found["average_precision"].high <= 1


def paired(first: np.ndarray, second: np.ndarray, label: np.ndarray) -> PairCounts:
    frame = pd.DataFrame({"first": first, "second": second, "positive": label, "negative": 1 - label})
    cells = frame.groupby(["first", "second"], as_index=False).sum()
    return PairCounts(**{str(name): cells[name].to_numpy(dtype=np.int64) for name in cells})


def test_equal_classifiers_differ_by_nothing() -> None:
    generator = np.random.default_rng(0)
    score, label = generator.integers(0, 50, 500), generator.integers(0, 2, 500)
    assert not intervals.paired_differences(paired(score, score, label), 100, random_state=0).any()


def test_paired_differences_are_those_of_a_bootstrap_over_rows() -> None:
    generator = np.random.default_rng(5)
    label = (generator.random(4000) < 0.05).astype(int)
    signal = label * 30 + generator.normal(0, 20, 4000)
    first = np.clip(signal + generator.normal(0, 15, 4000), 0, 100).astype(int)
    second = np.clip(signal + generator.normal(0, 5, 4000), 0, 100).astype(int)
    found = intervals.paired_differences(paired(first, second, label), 1000, random_state=0)
    expected = []
    for _ in range(400):
        taken = generator.integers(0, 4000, 4000)
        expected.append(
            reference.average_precision_score(label[taken], second[taken])
            - reference.average_precision_score(label[taken], first[taken])
        )
    assert found.mean() == pytest.approx(np.mean(expected), abs=0.15 * np.std(expected))
    assert found.std() == pytest.approx(np.std(expected), rel=0.12)
