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
from raresmith.evaluation.intervals import Interval, bootstrap_draws, expanded_interval, paired_differences
from raresmith.evaluation.metrics import exact_figures
from raresmith.evaluation.verdict import (
    COMPARED,
    MACRO,
    Comparison,
    Ground,
    Judge,
    Judgement,
    MetricRow,
    Outcome,
    say_verdict,
    value_of,
)

BASELINE = "none"
"""The strategy that the others are compared with: the rows as they are."""
DIFFERENCE = "test", f"{COMPARED}_minus_{BASELINE}"
"""Split and name of the figure that the verdict rests on."""
_OF_ONE_CLASS = {"threshold", *(cell.name for cell in fields(Confusion))}
"""Figures that have no mean over classes."""


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How one model scores the rows of one class and all others, counted."""

    validation: ScoreCounts
    test: ScoreCounts
    beside_baseline: PairCounts | None = None
    """The test rows by the scores of the same classifier and seed under BASELINE (first) and of this one (second)."""
    n_entities: int | None = None
    """Entities (cards) with a test row of the class, where they are known."""
    card_precision: float | None = None

    def threshold(self) -> int:
        """From which score (millionths) on rows are called positive: the best for F1 on the validation rows."""
        return best_f1_threshold(self.validation)

    def ground(self, class_name: str) -> Ground:
        """The test rows that its figures stand on."""
        return Ground(
            class_name=class_name,
            n_rows=self.test.n_positive + self.test.n_negative,
            n_positive=self.test.n_positive,
            n_entities=self.n_entities,
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trained model and its scores."""

    classifier: str
    strategy: str
    seed: int
    classes: Mapping[str, ClassScores]
    """Of each class that is judged, the positive one first."""
    importances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How figures are taken."""

    run_id: str
    n_resamples: int
    top_k: int
    """Cards a day, of card precision."""
    random_state: int
    is_binary: bool
    """Whether the table has two classes and one of them is judged, which then needs no name."""


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """A figure, what it is on the resamples, and how many rows or entities these rest on."""

    value: float
    draws: Floats = field(default_factory=lambda: np.empty(0))
    fewest: int = 0

    def interval(self) -> Interval:
        return expanded_interval(self.value, self.draws, self.fewest)


_Figures = dict[tuple[str, str], _Figure]
"""By split and name."""


def judge(
    trials: Sequence[Trial], judges: Sequence[Judge], settings: Settings
) -> tuple[tuple[MetricRow, ...], dict[str, Judgement]]:
    """The figures of every trial, and by classifier what they say.

    Parameters
    ----------
    trials
        Of every classifier the same strategies, seeds and classes, in the configuration's order.
    judges
        The classifiers.
    """
    rows: list[MetricRow] = []
    judgements: dict[str, Judgement] = {}
    for each in judges:
        own = [trial for trial in trials if trial.classifier == each.name]
        baselines = {trial.seed: trial for trial in own if trial.strategy == BASELINE}
        differences: dict[tuple[str, str], list[_Figure]] = {}
        for trial in own:
            baseline = baselines.get(trial.seed)
            found = {
                name: _figures(scores, baseline.classes[name] if baseline else None, settings, stream)
                for stream, (name, scores) in enumerate(trial.classes.items())
            }
            if len(found) > 1:
                found = {MACRO: _means(list(found.values())), **found}
            for name, figures in found.items():
                rows += [_metric_row(settings.run_id, trial, name, *key, of.interval()) for key, of in figures.items()]
                if DIFFERENCE in figures:
                    differences.setdefault((name, trial.strategy), []).append(figures[DIFFERENCE])
        judgements[each.name] = _judgement(each, own, rows, differences, is_binary=settings.is_binary)
    return tuple(rows), judgements


def _figures(scores: ClassScores, baseline: ClassScores | None, settings: Settings, stream: int) -> _Figures:
    """The figures of one model on one class."""
    threshold = scores.threshold()
    thresholds = {"": threshold, "@0.5": SCORE_STEPS // 2}
    resampling = settings.n_resamples, settings.random_state, stream
    on_test = scores.ground("").fewest
    figures: _Figures = {}
    for split, counts, fewest in (
        ("validation", scores.validation, min(scores.validation.n_positive, scores.validation.n_negative)),
        ("test", scores.test, on_test),
    ):
        draws = bootstrap_draws(counts, thresholds, *resampling)
        for name, value in exact_figures(counts, thresholds).items():
            figures[split, name] = _Figure(value=value, draws=draws[name], fewest=fewest)
    figures["validation", "threshold"] = _Figure(value=threshold / SCORE_STEPS)
    cells = confusion_at(scores.test, threshold)
    for cell in fields(Confusion):
        figures["test", cell.name] = _Figure(value=float(getattr(cells, cell.name)))
    if scores.card_precision is not None:
        figures["test", f"card_precision@{settings.top_k}"] = _Figure(value=scores.card_precision)
    if scores.beside_baseline is not None and baseline is not None:
        first, second = (exact_figures(of.test, {})[COMPARED] for of in (baseline, scores))
        drawn = paired_differences(scores.beside_baseline, *resampling)
        figures[DIFFERENCE] = _Figure(value=second - first, draws=drawn, fewest=on_test)
    return figures


def _means(by_class: Sequence[_Figures]) -> _Figures:
    """The unweighted means over the classes of the figures that are shares."""
    means: _Figures = {}
    for key in by_class[0]:
        if key[1] in _OF_ONE_CLASS:
            continue
        found = [figures[key] for figures in by_class]
        # A resample without rows of a class is left out, so one class may have fewer. The classes are judged on the
        # same rows, so their figures hang together, and nobody knows how: sorted, they rise and fall as one, which is
        # the widest that their mean can be.
        shortest = min(len(of.draws) for of in found)
        means[key] = _Figure(
            value=float(np.mean([of.value for of in found])),
            draws=np.mean([np.sort(of.draws[:shortest]) for of in found], axis=0),
            fewest=min(of.fewest for of in found),
        )
    return means


def _metric_row(run_id: str, trial: Trial, class_name: str, split: str, metric: str, interval: Interval) -> MetricRow:
    low, high = (interval.low, interval.high) if interval.is_known else (None, None)
    return MetricRow(
        run_id, trial.strategy, trial.classifier, class_name, split, metric, interval.value, low, high, trial.seed
    )


def _judgement(
    judge: Judge,
    trials: Sequence[Trial],
    rows: Sequence[MetricRow],
    differences: Mapping[tuple[str, str], Sequence[_Figure]],
    *,
    is_binary: bool,
) -> Judgement:
    """What the trials of one classifier say; `differences` from the baseline by class and strategy, one a seed."""
    firsts = {trial.strategy: trial for trial in reversed(trials)}
    strategies = list(dict.fromkeys(trial.strategy for trial in trials))
    names = list(trials[0].classes)

    def figure(name: str, strategy: str, metric: str) -> Interval:
        return value_of(rows, judge.name, name, strategy, "test", metric)

    def comparison(name: str, strategy: str) -> Comparison:
        seeds = differences[name, strategy]
        return Comparison(
            strategy=strategy,
            value=figure(name, strategy, COMPARED).value,
            difference=expanded_interval(
                figure(name, strategy, DIFFERENCE[1]).value,
                # The resamples of all seeds together hold the chance in the rows and the chance in the models.
                np.concatenate([of.draws for of in seeds]),
                seeds[0].fewest,
            ),
        )

    outcomes = {}
    for name in [MACRO, *names] if len(names) > 1 else names:
        alone = {} if name == MACRO else {s: firsts[s].classes[name] for s in strategies}
        outcomes[name] = Outcome(
            none=figure(name, BASELINE, COMPARED) if BASELINE in firsts else None,
            comparisons=tuple(comparison(name, s) for s in strategies if (name, s) in differences),
            grounds=tuple(scores.ground(of) for of, scores in trials[0].classes.items() if name in (of, MACRO)),
            confusion={s: confusion_at(scores.test, scores.threshold()) for s, scores in alone.items()},
            curves={s: precision_recall_curve(scores.test) for s, scores in alone.items()},
        )
    return Judgement(
        judge=judge,
        outcomes=outcomes,
        verdict=say_verdict(outcomes, is_binary=is_binary),
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
