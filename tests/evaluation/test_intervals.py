"""Intervals are those of a bootstrap over rows."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn import metrics as reference
from tests.evaluation.examples import example

from raresmith.evaluation import intervals
from raresmith.evaluation.counts import PairCounts, score_counts
from raresmith.evaluation.metrics import AT_THRESHOLD, RANKING, exact_figures


def test_intervals_are_those_of_a_bootstrap_over_rows() -> None:
    counts = example()
    drawn = intervals.bootstrap_draws(counts, {"": 700_000}, n_resamples=2000, random_state=1)
    exact = exact_figures(counts, {"": 700_000})
    found = {name: intervals.expanded_interval(exact[name], draws, counts.n_positive) for name, draws in drawn.items()}
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


def test_draws_name_the_thresholds() -> None:
    thresholds = {"": 700_000, "_at_0.5": 500_000}
    found = intervals.bootstrap_draws(example(), thresholds, 20, random_state=0)
    assert (
        list(found)
        == list(exact_figures(example(), thresholds))
        == [*RANKING, *AT_THRESHOLD, *(f"{name}_at_0.5" for name in AT_THRESHOLD)]
    )
    assert {"roc_auc", "average_precision", "accuracy", "precision", "recall", "f1"} <= found.keys()
    alone = intervals.bootstrap_draws(example(), {"": 500_000}, 20, random_state=0)
    assert found["recall_at_0.5"] == pytest.approx(alone["recall"], abs=0.05)


def test_draws_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(random_state: int, stream: int = 0) -> dict[str, list[float]]:
        found = intervals.bootstrap_draws(example(), {"": 700_000}, 50, random_state, stream)
        return {name: draws.tolist() for name, draws in found.items()}

    whole = drawn(3)
    monkeypatch.setattr(intervals, "_CHUNK_CELLS", 7 * len(example().score))
    assert drawn(3) == whole
    assert drawn(4) != whole and drawn(3, stream=1) != whole


@pytest.mark.parametrize("n", [intervals.LEAST, 20, 50, 1000])
def test_an_interval_reaches_as_far_as_students_t_says(n: int) -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, 200_000)
    found = intervals.expanded_interval(3.1, draws, n)
    reach = 2.0 * np.sqrt(n / (n - 1)) * student.ppf(0.975, n - 1)
    assert found.value == 3.1
    assert found.low == pytest.approx(3 - reach, abs=0.06) and found.high == pytest.approx(3 + reach, abs=0.06)


def test_below_the_least_number_there_is_no_interval() -> None:
    """Of one positive row all resamples know the same recall: an interval of no width, which would be a lie."""
    counts = score_counts([900_000, 100_000], [1, 0], [2, 50])
    drawn = intervals.bootstrap_draws(counts, {"": 900_000}, n_resamples=100, random_state=0)
    assert set(drawn["recall"]) == {1.0}
    for n in (0, 1, intervals.LEAST - 1):
        found = intervals.expanded_interval(1.0, drawn["recall"], n)
        assert not found.is_known and np.isnan([found.low, found.high]).all() and found.value == 1.0
    assert intervals.expanded_interval(1.0, drawn["recall"], intervals.LEAST).is_known
    assert not intervals.expanded_interval(1.0, np.empty(0), intervals.LEAST).is_known


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
