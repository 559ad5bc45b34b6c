"""From the counted scores of trained models to figures, comparisons and the verdict of each classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from raresmith.evaluation.counts import (
    SCORE_STEPS,
    Confusion,
    Floats,
    PairCounts,
    ScoreCounts,
    best_f1_threshold,
    confusion_at,
    precision_recall_curve,
)
from raresmith.evaluation.intervals import Interval, bootstrap_intervals, paired_differences, percentile_interval
from raresmith.evaluation.metrics import exact_figures
from raresmith.evaluation.verdict import COMPARED, Comparison, Judge, Judgement, MetricRow, say_verdict, value_of

BASELINE = "none"
"""The strategy that the others are compared with: the rows as they are."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trained model and its scores, counted."""

    classifier: str
    strategy: str
    seed: int
    validation: ScoreCounts
    test: ScoreCounts
    beside_baseline: PairCounts | None = None
    """The test rows by the scores of the same classifier and seed under BASELINE (first) and of this one (second)."""
    card_precision: float | None = None
    importances: Mapping[str, float] = field(default_factory=dict)

    def threshold(self) -> int:
        """From which score (millionths) on rows are called positive: the best for F1 on the validation rows."""
        return best_f1_threshold(self.validation)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How figures are taken."""

    run_id: str
    n_resamples: int
    top_k: int
    """Cards a day, of card precision."""
    random_state: int


def judge(
    trials: Sequence[Trial], judges: Sequence[Judge], settings: Settings
) -> tuple[tuple[MetricRow, ...], dict[str, Judgement]]:
    """The figures of every trial, and by classifier what they say.

    Parameters
    ----------
    trials
        Of every classifier the same strategies and seeds, in the configuration's order.
    judges
        The classifiers.
    """
    rows: list[MetricRow] = []
    judgements: dict[str, Judgement] = {}
    for each in judges:
        own = [trial for trial in trials if trial.classifier == each.name]
        baselines = {trial.seed: trial for trial in own if trial.strategy == BASELINE}
        draws: dict[str, list[Floats]] = {}
        for trial in own:
            figures = _figures(trial, settings)
            if trial.beside_baseline is not None:
                drawn = paired_differences(trial.beside_baseline, settings.n_resamples, settings.random_state)
                draws.setdefault(trial.strategy, []).append(drawn)
                first, second = (exact_figures(t.test, {})[COMPARED] for t in (baselines[trial.seed], trial))
                figures["test", f"{COMPARED}_minus_{BASELINE}"] = percentile_interval(second - first, drawn)
            rows += [_metric_row(settings.run_id, trial, *key, interval) for key, interval in figures.items()]
        judgements[each.name] = _judgement(each, own, rows, draws)
    return tuple(rows), judgements


def _figures(trial: Trial, settings: Settings) -> dict[tuple[str, str], Interval]:
    """The figures of one trial alone, by split and name."""
    threshold = trial.threshold()
    thresholds = {"": threshold, "@0.5": SCORE_STEPS // 2}
    figures = {
        (split, name): interval
        for split, counts in (("validation", trial.validation), ("test", trial.test))
        for name, interval in bootstrap_intervals(
            counts, thresholds, settings.n_resamples, settings.random_state
        ).items()
    }
    figures["validation", "threshold"] = Interval(value=threshold / SCORE_STEPS)
    cells = confusion_at(trial.test, threshold)
    for cell in fields(Confusion):
        figures["test", cell.name] = Interval(value=float(getattr(cells, cell.name)))
    if trial.card_precision is not None:
        figures["test", f"card_precision@{settings.top_k}"] = Interval(value=trial.card_precision)
    return figures


def _metric_row(run_id: str, trial: Trial, split: str, metric: str, interval: Interval) -> MetricRow:
    low, high = (None if np.isnan(end) else end for end in (interval.low, interval.high))
    return MetricRow(run_id, trial.strategy, trial.classifier, split, metric, interval.value, low, high, trial.seed)


def _judgement(
    judge: Judge, trials: Sequence[Trial], rows: Sequence[MetricRow], draws: Mapping[str, Sequence[Floats]]
) -> Judgement:
    """What the trials of one classifier say; `draws` are the differences from the baseline by strategy."""
    firsts = {trial.strategy: trial for trial in reversed(trials)}
    strategies = list(dict.fromkeys(trial.strategy for trial in trials))

    def figure(strategy: str, metric: str) -> Interval:
        return value_of(rows, judge.name, strategy, "test", metric)

    comparisons = tuple(
        Comparison(
            strategy=strategy,
            value=figure(strategy, COMPARED).value,
            # The resamples of all seeds together hold the chance in the rows and the chance in the models.
            difference=percentile_interval(
                figure(strategy, f"{COMPARED}_minus_{BASELINE}").value, np.concatenate(draws[strategy])
            ),
        )
        for strategy in strategies
        if strategy in draws
    )
    test = trials[0].test
    return Judgement(
        judge=judge,
        verdict=say_verdict(
            figure(BASELINE, COMPARED) if BASELINE in firsts else None,
            comparisons,
            test.n_positive,
            test.n_positive + test.n_negative,
        ),
        comparisons=comparisons,
        confusion={s: confusion_at(firsts[s].test, firsts[s].threshold()) for s in strategies},
        curves={s: precision_recall_curve(firsts[s].test) for s in strategies},
        importances=_importances(trials, strategies),
    )


def _importances(trials: Sequence[Trial], strategies: Sequence[str]) -> dict[str, dict[str, float]]:
    """Means over the seeds, the greatest first."""
    found = {}
    for strategy in strategies:
        shares = [trial.importances for trial in trials if trial.strategy == strategy]
        if all(shares):
            means = {name: float(np.mean([of[name] for of in shares])) for name in shares[0]}
            found[strategy] = dict(sorted(means.items(), key=lambda item: (-item[1], item[0])))
    return found
