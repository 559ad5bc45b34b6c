"""Figures of a binary classifier from counts per distinct score, so that they work for a test table of any size.

Scores are whole numbers of millionths, which bounds the number of distinct ones: a table of 10^9 rows becomes at most
a million pairs of counts. On scores so rounded every figure equals scikit-learn's on the single rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCORE_STEPS = 1_000_000
"""Scores are counted as whole numbers of 1 / SCORE_STEPS."""

_CHUNK_CELLS = 2_000_000
"""Counts drawn at once by the bootstrap (16 MB an array); bounds its memory and changes nothing else."""


@dataclass(frozen=True, kw_only=True)
class ScoreCounts:
    """How many rows of either class have each score; arrays of equal length, scores strictly descending."""

    score: Integers
    """In millionths: 0 to SCORE_STEPS."""
    positive: Integers
    negative: Integers

    @property
    def n_positive(self) -> int:
        """Rows of the positive class."""
        return int(self.positive.sum())

    @property
    def n_negative(self) -> int:
        """Rows of the other classes."""
        return int(self.negative.sum())


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Rows by their class and by whether their score reaches a threshold."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and the 2.5 % and 97.5 % percentiles of its bootstrap; NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def score_counts(score: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> ScoreCounts:
    """Counts per distinct score from partial ones in any order; shapes (n,), scores in millionths.

    Scores without rows are left out.
    """
    values, place = np.unique(-np.asarray(score, dtype=np.int64), return_inverse=True)
    totals = []
    for counts in (positive, negative):
        total = np.zeros(len(values), dtype=np.int64)
        np.add.at(total, place, np.asarray(counts, dtype=np.int64))
        totals.append(total)
    held = totals[0] + totals[1] > 0
    return ScoreCounts(score=-values[held], positive=totals[0][held], negative=totals[1][held])


def confusion_at(counts: ScoreCounts, threshold: int) -> Confusion:
    """The confusion counts when every row with a score of at least `threshold` (millionths) is called positive."""
    called = counts.score >= threshold
    hits, falses = int(counts.positive[called].sum()), int(counts.negative[called].sum())
    return Confusion(
        true_positive=hits,
        false_positive=falses,
        false_negative=counts.n_positive - hits,
        true_negative=counts.n_negative - falses,
    )


def metrics_at(counts: ScoreCounts, threshold: int) -> dict[str, float]:
    """Accuracy, precision, recall and F1 when scores of at least `threshold` (millionths) are called positive.

    A figure whose denominator is 0 is 0, as scikit-learn's with zero_division=0.
    """
    figures = _figures_at(*_as_one_resample(counts), counts.score >= threshold)
    return {name: float(values[0]) for name, values in figures.items()}


def ranking_metrics(counts: ScoreCounts) -> dict[str, float]:
    """ROC AUC (trapezoids) and average precision (sum of recall steps times precision, as scikit-learn defines it)."""
    figures = _ranking_figures(*_as_one_resample(counts))
    return {name: float(values[0]) for name, values in figures.items()}


def best_f1_threshold(counts: ScoreCounts) -> int:
    """The score (millionths) from which on to call rows positive for the highest F1; of equals the highest."""
    hits, falses = np.cumsum(counts.positive), np.cumsum(counts.negative)
    f1 = 2 * hits / (hits + falses + counts.n_positive)
    return int(counts.score[int(np.argmax(f1))])


def precision_recall_curve(counts: ScoreCounts, max_points: int = 400) -> tuple[Floats, Floats]:
    """Recall and precision as the threshold falls, arrays of equal length of at most `max_points`.

    Where there are more scores than points, the ones nearest above evenly spaced recalls are kept.
    """
    hits, falses = np.cumsum(counts.positive), np.cumsum(counts.negative)
    recall, precision = hits / counts.n_positive, hits / (hits + falses)
    if len(recall) > max_points:
        kept = np.unique(np.searchsorted(recall, np.linspace(recall[0], 1.0, max_points)))
        recall, precision = recall[kept], precision[kept]
    return recall, precision


def level_cuts(counts: ScoreCounts, thresholds: Sequence[int] = (), max_scores: int = 400) -> Integers:
    """Ascending scores (millionths) that cut all scores into few levels without changing a figure.

    Ranking figures depend only on where the negatives lie between the scores of positives, so each distinct score of a
    positive becomes a level and all scores between two of them another. With more than `max_scores` distinct scores of
    positives, those at even quantiles of the positives are taken: then the figures of the levels are close to, not
    equal to, those of the scores. `thresholds` are always cuts.
    """
    held = counts.positive > 0
    scores, weights = counts.score[held], counts.positive[held]
    if len(scores) > max_scores:
        reached = np.cumsum(weights)
        scores = scores[np.searchsorted(reached, np.linspace(1, reached[-1], max_scores))]
    return np.unique(np.concatenate([scores, scores + 1, np.asarray(thresholds, dtype=np.int64)]))


def to_levels(counts: ScoreCounts, cuts: Integers) -> ScoreCounts:
    """The same rows by level: `score` is then the number of the level, 0 below the first cut."""
    return score_counts(np.searchsorted(cuts, counts.score, side="right"), counts.positive, counts.negative)


def bootstrap_intervals(
    counts: ScoreCounts, thresholds: dict[str, int], n_resamples: int, random_state: int
) -> dict[str, Interval]:
    """Every figure with its 95 % interval over Poisson resamples of the rows.

    Parameters
    ----------
    thresholds : suffix of the figure's name to threshold in millionths: {"": 310000, "_at_0.5": 500000} gives `f1` and
        `f1_at_0.5`.

    Notes
    -----
    Each row counts Poisson(1) times in a resample, so a cell of n equal rows counts Poisson(n) times (Chamandy et al.
    2012, "Estimating uncertainty for massive data streams"). Resamples without rows of both classes say nothing and
    are left out.
    """
    cuts = level_cuts(counts, list(thresholds.values()))
    levels = to_levels(counts, cuts)
    called = {suffix: levels.score > np.searchsorted(cuts, t) for suffix, t in thresholds.items()}
    drawn: dict[str, list[Floats]] = {}
    for positive, negative in _resamples(levels.positive, levels.negative, n_resamples, random_state):
        for name, values in _all_figures(positive, negative, called).items():
            drawn.setdefault(name, []).append(values)
    exact = ranking_metrics(counts)
    for suffix, threshold in thresholds.items():
        exact |= {f"{name}{suffix}": value for name, value in metrics_at(counts, threshold).items()}
    return {name: percentile_interval(value, np.concatenate(drawn[name])) for name, value in exact.items()}


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """How many rows of either class have each pair of levels under two classifiers; arrays of equal length."""

    first: Integers
    second: Integers
    positive: Integers
    negative: Integers


def paired_differences(pairs: PairCounts, n_resamples: int, random_state: int) -> Floats:
    """Average precision of the second minus the first classifier on the same Poisson resamples of the rows.

    Shape (resamples,), fewer than `n_resamples` where one had no rows of both classes.
    """
    places = [_level_starts(pairs.first), _level_starts(pairs.second)]
    differences = []
    for positive, negative in _resamples(pairs.positive, pairs.negative, n_resamples, random_state):
        first, second = (
            _ranking_figures(
                np.add.reduceat(positive[:, order], starts, axis=1), np.add.reduceat(negative[:, order], starts, axis=1)
            )["average_precision"]
            for order, starts in places
        )
        differences.append(second - first)
    return np.concatenate(differences)


def percentile_interval(value: float, draws: Floats) -> Interval:
    """`value` with the 2.5 % and 97.5 % percentiles of `draws`; without draws NaN."""
    if len(draws) == 0:
        return Interval(value=value)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))


def card_precision(day: ArrayLike, entity: ArrayLike, score: ArrayLike, positive: ArrayLike, top_k: int) -> float:
    """Mean over the days of the share of truly positive cards among the `top_k` cards with the highest scores.

    Parameters
    ----------
    day, entity, score, positive : one row for each card and day, shape (n,): the highest score of its rows that day
        and whether one of them is positive. Only the cards that can matter need to be there: the first
        top_k · (number of earlier days + 1) of each day.

    Notes
    -----
    Cards detected (truly positive and among the top) on an earlier day are left out. A day with fewer cards still
    divides by `top_k`. Among equal scores the smaller entity comes first. Le Borgne et al. 2022, "Reproducible Machine
    Learning for Credit Card Fraud Detection", chapter 4.
    """
    days, entities = np.asarray(day), np.asarray(entity)
    scores, positives = np.asarray(score), np.asarray(positive, dtype=bool)
    order = np.lexsort((entities, -scores, days))
    detected: set[object] = set()
    shares = []
    for today in np.unique(days):
        rows = [i for i in order[days[order] == today] if entities[i] not in detected][:top_k]
        hits = [entities[i] for i in rows if positives[i]]
        detected.update(hits)
        shares.append(len(hits) / top_k)
    return float(np.mean(shares))


def _as_one_resample(counts: ScoreCounts) -> tuple[Floats, Floats]:
    return counts.positive[None, :].astype(np.float64), counts.negative[None, :].astype(np.float64)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _figures_at(positive: Floats, negative: Floats, called: NDArray[np.bool_]) -> dict[str, Floats]:
    """Figures at a threshold for each resample; counts of shape (resamples, scores), `called` of shape (scores,)."""
    hits, falses = positive[:, called].sum(axis=1), negative[:, called].sum(axis=1)
    n_positive, n_negative = positive.sum(axis=1), negative.sum(axis=1)
    return {
        "accuracy": _ratio(hits + n_negative - falses, n_positive + n_negative),
        "precision": _ratio(hits, hits + falses),
        "recall": _ratio(hits, n_positive),
        "f1": _ratio(2 * hits, hits + falses + n_positive),
    }


def _ranking_figures(positive: Floats, negative: Floats) -> dict[str, Floats]:
    """Figures without a threshold for each resample; counts of shape (resamples, scores), highest score first."""
    hits, falses = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    n_positive, n_negative = hits[:, -1], falses[:, -1]
    # Of the positives tied with a negative, half count as ranked above it.
    area = (negative * (hits - positive / 2)).sum(axis=1)
    steps = (positive * _ratio(hits, hits + falses)).sum(axis=1)
    return {"roc_auc": _ratio(area, n_positive * n_negative), "average_precision": _ratio(steps, n_positive)}


def _all_figures(positive: Floats, negative: Floats, called: dict[str, NDArray[np.bool_]]) -> dict[str, Floats]:
    figures = _ranking_figures(positive, negative)
    for suffix, mask in called.items():
        figures |= {f"{name}{suffix}": values for name, values in _figures_at(positive, negative, mask).items()}
    return figures


def _resamples(
    positive: Integers, negative: Integers, n_resamples: int, random_state: int
) -> Iterator[tuple[Floats, Floats]]:
    """Poisson resamples of two rows of counts in bounded chunks, each of shape (chunk, cells)."""
    # A stream for each class, drawn resample by resample: the size of a chunk does not change a number.
    streams = [np.random.default_rng([random_state, i]) for i in (0, 1)]
    chunk = max(1, _CHUNK_CELLS // len(positive))
    for start in range(0, n_resamples, chunk):
        size = (min(chunk, n_resamples - start), len(positive))
        drawn = [
            stream.poisson(counts, size).astype(np.float64)
            for stream, counts in zip(streams, (positive, negative), strict=True)
        ]
        usable = (drawn[0].sum(axis=1) > 0) & (drawn[1].sum(axis=1) > 0)
        yield drawn[0][usable], drawn[1][usable]


def _level_starts(levels: Integers) -> tuple[Integers, Integers]:
    """The order that sorts cells by falling level, and where in it each level starts."""
    order = np.argsort(-levels, kind="stable")
    ordered = levels[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
