"""Scored rows as counts per distinct score, so that figures can be had of a test table of any size.

Scores are whole numbers of millionths, which bounds the number of distinct ones: a table of 10^9 rows becomes at most
a million pairs of counts. On scores so rounded every figure equals scikit-learn's on the single rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Number = TypeVar("Number", int, Floats)

SCORE_STEPS = 1_000_000
"""Scores are counted as whole numbers of 1 / SCORE_STEPS."""


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
class Confusion(Generic[Number]):
    """Rows by their class and by whether their score reaches a threshold; numbers, or arrays of them by resample."""

    true_positive: Number
    false_positive: Number
    false_negative: Number
    true_negative: Number


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """How many rows of either class have each pair of levels under two classifiers; arrays of equal length."""

    first: Integers
    second: Integers
    positive: Integers
    negative: Integers


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


def confusion_at(counts: ScoreCounts, threshold: int) -> Confusion[int]:
    """The confusion counts when every row with a score of at least `threshold` (millionths) is called positive."""
    called = counts.score >= threshold
    hits, falses = int(counts.positive[called].sum()), int(counts.negative[called].sum())
    return Confusion(
        true_positive=hits,
        false_positive=falses,
        false_negative=counts.n_positive - hits,
        true_negative=counts.n_negative - falses,
    )


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
