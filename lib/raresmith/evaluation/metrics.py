"""The figures of a binary classifier: one function and one line of a table each.

Tables, intervals and the report's headings follow from the two tables here. Every function takes many resamples of the
test rows at once and gives an array of one figure each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raresmith.evaluation.counts import Confusion, Floats, ScoreCounts


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Resampled counts per score, the highest score first; each of shape (resamples, scores)."""

    positive: Floats
    negative: Floats
    hits: Floats
    """Positive rows with this score or a higher one."""
    falses: Floats
    """Negative rows with this score or a higher one."""

    @classmethod
    def of(cls, positive: Floats, negative: Floats) -> "Ranking":
        """The ranking with the sums that its figures share."""
        hits, falses = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
        return cls(positive=positive, negative=negative, hits=hits, falses=falses)


def average_precision(of: Ranking) -> Floats:
    """The sum of recall steps times precision, as scikit-learn defines it."""
    steps = (of.positive * _ratio(of.hits, of.hits + of.falses)).sum(axis=1)
    return _ratio(steps, of.hits[:, -1])


def roc_auc(of: Ranking) -> Floats:
    """The area under the receiver operating characteristic, by trapezoids."""
    # Of the positives tied with a negative, half count as ranked above it.
    area = (of.negative * (of.hits - of.positive / 2)).sum(axis=1)
    return _ratio(area, of.hits[:, -1] * of.falses[:, -1])


def precision(of: Confusion[Floats]) -> Floats:
    """Share of the rows called positive that are."""
    return _ratio(of.true_positive, of.true_positive + of.false_positive)


def recall(of: Confusion[Floats]) -> Floats:
    """Share of the positive rows that are called so."""
    return _ratio(of.true_positive, of.true_positive + of.false_negative)


def f1(of: Confusion[Floats]) -> Floats:
    """The harmonic mean of precision and recall."""
    return _ratio(2 * of.true_positive, 2 * of.true_positive + of.false_positive + of.false_negative)


def accuracy(of: Confusion[Floats]) -> Floats:
    """Share of the rows that are called what they are."""
    right = of.true_positive + of.true_negative
    return _ratio(right, right + of.false_positive + of.false_negative)


Counted = TypeVar("Counted", Ranking, Confusion[Floats])


class Metric(NamedTuple, Generic[Counted]):
    """A figure of a ranking or of the rows called positive, and what the report calls it."""

    figure: Callable[[Counted], Floats]
    title: str


RANKING = {
    "average_precision": Metric(average_precision, "average precision"),
    "roc_auc": Metric(roc_auc, "ROC AUC"),
}
"""Figures without a threshold, in the report's order."""
AT_THRESHOLD = {
    "precision": Metric(precision, "precision"),
    "recall": Metric(recall, "recall"),
    "f1": Metric(f1, "F1"),
    "accuracy": Metric(accuracy, "accuracy"),
}
"""Figures at a threshold, in the report's order."""


def metric_title(metric: str) -> str:
    """What the report calls a figure of the table `metrics`, such as "F1@0.5" for f1@0.5."""
    name, at, detail = metric.partition("@")
    known = RANKING.get(name) or AT_THRESHOLD.get(name)
    return (known.title if known else name.replace("_", " ")) + at + detail


def figures(positive: Floats, negative: Floats, called: Mapping[str, NDArray[np.bool_]]) -> dict[str, Floats]:
    """Every figure for each resample.

    Parameters
    ----------
    positive, negative : counts of shape (resamples, scores), the highest score first.
    called : for each suffix of the figures' names which scores are called positive there, of shape (scores,).

    Returns
    -------
    dict of arrays of shape (resamples,)
        A figure whose denominator is 0 is 0, as scikit-learn's with zero_division=0.
    """
    ranking = Ranking.of(positive, negative)
    found = {name: metric.figure(ranking) for name, metric in RANKING.items()}
    n_positive, n_negative = positive.sum(axis=1), negative.sum(axis=1)
    for suffix, mask in called.items():
        hits, falses = positive[:, mask].sum(axis=1), negative[:, mask].sum(axis=1)
        cells = Confusion(
            true_positive=hits,
            false_positive=falses,
            false_negative=n_positive - hits,
            true_negative=n_negative - falses,
        )
        found |= {f"{name}{suffix}": metric.figure(cells) for name, metric in AT_THRESHOLD.items()}
    return found


def exact_figures(counts: ScoreCounts, thresholds: Mapping[str, int]) -> dict[str, float]:
    """Every figure of the rows themselves; `thresholds` in millionths by the suffix of the figures' names."""
    positive, negative = (values[None, :].astype(np.float64) for values in (counts.positive, counts.negative))
    called = {suffix: counts.score >= threshold for suffix, threshold in thresholds.items()}
    found = figures(positive, negative, called)
    return {name: float(values[0]) for name, values in found.items()}


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


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
