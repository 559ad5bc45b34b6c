"""Intervals of figures by the Poisson bootstrap of rows that are counted per score."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from raresmith.evaluation.counts import Floats, Integers, PairCounts, ScoreCounts, level_cuts, to_levels
from raresmith.evaluation.metrics import Ranking, average_precision, exact_figures, figures

_CHUNK_CELLS = 2_000_000
"""Counts drawn at once by the bootstrap (16 MB an array); bounds its memory and changes nothing else."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and the 2.5 % and 97.5 % percentiles of its bootstrap; NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def bootstrap_intervals(
    counts: ScoreCounts, thresholds: Mapping[str, int], n_resamples: int, random_state: int
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
        for name, values in figures(positive, negative, called).items():
            drawn.setdefault(name, []).append(values)
    return {
        name: percentile_interval(value, np.concatenate(drawn[name]))
        for name, value in exact_figures(counts, thresholds).items()
    }


def paired_differences(pairs: PairCounts, n_resamples: int, random_state: int) -> Floats:
    """Average precision of the second minus the first classifier on the same Poisson resamples of the rows.

    Shape (resamples,), fewer than `n_resamples` where one had no rows of both classes.
    """
    places = [_level_starts(pairs.first), _level_starts(pairs.second)]
    differences = []
    for positive, negative in _resamples(pairs.positive, pairs.negative, n_resamples, random_state):
        first, second = (
            average_precision(
                Ranking.of(*(np.add.reduceat(counts[:, order], starts, axis=1) for counts in (positive, negative)))
            )
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
