"""Intervals of figures by the Poisson bootstrap of rows that are counted per score."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from raresmith.evaluation.counts import Floats, Integers, PairCounts, ScoreCounts, level_cuts, to_levels
from raresmith.evaluation.metrics import Ranking, average_precision, figures

_CHUNK_CELLS = 2_000_000
"""Counts drawn at once by the bootstrap (16 MB an array); bounds its memory and changes nothing else."""
LEAST = 10
"""Fewest rows of a class, other rows, and entities with a row of the class that an interval may rest on: from there on
it is wrong as seldom as it promises, below not (docs/evaluate.md)."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and its 95 % interval; NaN where there is none, or where it would rest on too few rows."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


def bootstrap_draws(
    counts: ScoreCounts, thresholds: Mapping[str, int], n_resamples: int, random_state: int, stream: int = 0
) -> dict[str, Floats]:
    """Every figure of Poisson resamples of the rows, arrays of shape (resamples,).

    Parameters
    ----------
    thresholds : suffix of the figure's name to threshold in millionths: {"": 310000, "_at_0.5": 500000} gives `f1` and
        `f1_at_0.5`.
    stream : another one gives other resamples; the classes of a table have one each.

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
    for positive, negative in _resamples(levels.positive, levels.negative, n_resamples, random_state, stream):
        for name, values in figures(positive, negative, called).items():
            drawn.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in drawn.items()}


def paired_differences(pairs: PairCounts, n_resamples: int, random_state: int, stream: int = 0) -> Floats:
    """Average precision of the second minus the first classifier on the same Poisson resamples of the rows.

    Shape (resamples,), fewer than `n_resamples` where one had no rows of both classes.
    """
    places = [_level_starts(pairs.first), _level_starts(pairs.second)]
    differences = []
    for positive, negative in _resamples(pairs.positive, pairs.negative, n_resamples, random_state, stream):
        first, second = (
            average_precision(
                Ranking.of(*(np.add.reduceat(counts[:, order], starts, axis=1) for counts in (positive, negative)))
            )
            for order, starts in places
        )
        differences.append(second - first)
    return np.concatenate(differences)


def expanded_interval(value: float, draws: Floats, n: int) -> Interval:
    """`value` with its 95 % interval by `draws`, its resamples; none where it rests on fewer than LEAST.

    Parameters
    ----------
    n : how many there are of what there are fewest of: rows of the class, other rows, entities.

    Notes
    -----
    The expanded percentile interval of Hesterberg 2015, "What teachers should know about the bootstrap", The American
    Statistician 69:371-386: resamples of n rows spread less than the figure itself does, by √((n - 1) / n), and as a
    normal variable where Student's t would be due, so percentiles farther out than 2.5 % and 97.5 % are taken.
    """
    if n < LEAST or len(draws) == 0:
        return Interval(value=value)
    tail = 100 * NormalDist().cdf(-math.sqrt(n / (n - 1)) * _student(n - 1))
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def _student(degrees: float) -> float:
    """The 97.5 % quantile of Student's t, from 9 degrees on to three decimals and more.

    Abramowitz and Stegun 1964, 26.7.5.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (z, (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return sum(term / math.pow(degrees, power) for power, term in enumerate(terms))


def _resamples(
    positive: Integers, negative: Integers, n_resamples: int, random_state: int, stream: int
) -> Iterator[tuple[Floats, Floats]]:
    """Poisson resamples of two rows of counts in bounded chunks, each of shape (chunk, cells)."""
    # A stream for each class, drawn resample by resample: the size of a chunk does not change a number.
    streams = [np.random.default_rng([random_state, i, stream]) for i in (0, 1)]
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
