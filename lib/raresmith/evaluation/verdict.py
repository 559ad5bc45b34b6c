"""What an evaluation found, as plain values, and the verdict in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raresmith.evaluation.counts import Confusion
from raresmith.evaluation.intervals import Interval

COMPARED = "average_precision"
"""The figure that the verdict rests on: it asks for no threshold and does not drown in the frequent class."""
Finding = Literal["Gain", "No gain", "Loss", "No comparison"]
"""What a verdict begins with."""


class MetricRow(NamedTuple):
    """A row of the table `metrics`, its columns in order."""

    run_id: str
    strategy: str
    classifier: str
    split: str
    metric: str
    value: float
    low: float | None
    high: float | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A strategy's average precision beside that of the rows as they are, on the same test rows."""

    strategy: str
    value: float
    """Mean over the seeds."""
    difference: Interval
    """Mean over the seeds, with the interval of the paired bootstrap of all seeds."""

    @property
    def finding(self) -> str:
        """ "gain" or "loss" where the interval leaves out 0, else "no clear difference"."""
        if self.difference.low > 0:
            return "gain"
        if self.difference.high < 0:
            return "loss"
        return "no clear difference"


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """What a classifier is trained on."""

    name: str
    kind: Literal["none", "class_weight", "random", "reduced", "synthetic", "refined"]
    """A baseline, or the table whose made rows are added; it decides the colour in the report."""
    explained: str
    """In the report, in a few words."""

    @property
    def made_table(self) -> str:
        """The table of made rows that it needs, or "": random repeats real rows to as many as oversampling made."""
        return {"random": "synthetic", "synthetic": "synthetic", "refined": "refined"}.get(self.kind, "")

    @property
    def adds_made_rows(self) -> bool:
        """Whether made rows are trained on."""
        return self.kind in ("synthetic", "refined")

    @property
    def is_reduced(self) -> bool:
        """Whether the train rows that undersampling and cleaning took out are left out."""
        return self.kind == "reduced" or self.adds_made_rows


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What the report says of a classifier itself."""

    name: str
    title: str
    """In full, such as "random forest of Spark MLlib"."""
    noun: str
    """One trained model of it, such as "forest"."""
    settings: str = ""
    """What all strategies share."""
    remarks: tuple[str, ...] = ()
    """Paragraphs on how it measures."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What one classifier found; the mappings are by strategy, in the configuration's order."""

    judge: Judge
    verdict: str
    """Its first line says it all, one line for each strategy follows."""
    comparisons: tuple[Comparison, ...]
    confusion: Mapping[str, Confusion[int]]
    """On the test rows at the tuned threshold, for the first seed."""
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Recall and precision on the test rows as the threshold falls, for the first seed."""
    importances: Mapping[str, Mapping[str, float]]
    """Share of each feature column, mean over the seeds, the greatest first; empty where the classifier has none."""

    @property
    def finding(self) -> Finding:
        """The verdict in a word or two."""
        return finding_of(self.comparisons)


class NearDuplicates(NamedTuple):
    """Test rows that equal a train row in every feature, or nearly."""

    rows: int
    positive: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that the table `metrics` and the report hold."""

    metrics: tuple[MetricRow, ...]
    judgements: Mapping[str, Judgement]
    """By classifier, in the configuration's order."""
    strategies: Mapping[str, Strategy]
    """By name, in the configuration's order."""
    positive: str
    """The class that is judged, as the raw table calls it."""
    train_rows: Mapping[str, Mapping[str, int]]
    """Rows of each class that the models were trained on, by strategy; for class_weight the weights add up to other
    numbers."""
    test_rows: Mapping[str, int]
    """Test rows of each class."""
    near_duplicates: NearDuplicates
    samples: Mapping[str, NDArray[np.float64]]
    """Feature rows of the positive class, "real" and those of the strategies that made rows; shape (≤ 2000, d)."""

    @property
    def verdict(self) -> str:
        """The verdict in words, of each classifier by name where there are several."""
        texts = {name: found.verdict for name, found in self.judgements.items()}
        return "\n".join(texts.values() if len(texts) == 1 else (f"{name}: {text}" for name, text in texts.items()))


def value_of(rows: Sequence[MetricRow], classifier: str, strategy: str, split: str, metric: str) -> Interval:
    """A figure's mean over the seeds, with the lowest low and the highest high; NaN where there is none."""
    key = (strategy, classifier, split, metric)
    found = [r for r in rows if r[1:5] == key]
    if not found:
        return Interval(value=float("nan"))
    value = float(np.mean([r.value for r in found]))
    if any(r.low is None or r.high is None for r in found):
        return Interval(value=value)
    return Interval(value=value, low=min(r.low or 0.0 for r in found), high=max(r.high or 0.0 for r in found))


def finding_of(comparisons: Sequence[Comparison]) -> Finding:
    """Whether anything is clearly better than the rows as they are, or everything clearly worse."""
    found = {c.finding for c in comparisons}
    if not found:
        return "No comparison"
    return "Gain" if "gain" in found else "Loss" if found == {"loss"} else "No gain"


def say_verdict(none: Interval | None, comparisons: Sequence[Comparison], n_positive: int, n_rows: int) -> str:
    """The verdict in words: one line on the whole, one on the ground it stands on, one for each strategy.

    Parameters
    ----------
    none : average precision of the rows as they are, or None where that baseline was not asked for.
    """
    ground = f"{n_rows:,} test rows, {n_positive:,} of them positive"
    if none is None:
        return f'No comparison: evaluate.strategies lacks "none", the rows as they are ({ground}).'
    if not comparisons:
        return f"No comparison: only the rows as they are were tried ({ground})."
    found = {word: [c.strategy for c in comparisons if c.finding == word] for word in ("gain", "loss")}
    finding = finding_of(comparisons)
    if finding == "Gain":
        opening = f"{_listed(found['gain'])} clearly better than training on the rows as they are."
    elif finding == "Loss":
        opening = "everything that was tried is clearly worse than training on the rows as they are."
    elif found["loss"]:
        opening = (
            f"nothing is clearly better than training on the rows as they are, and {_listed(found['loss'])} "
            "clearly worse."
        )
    else:
        opening = "nothing that was tried is clearly better or worse than training on the rows as they are."
    lines = [
        f"{finding}: {opening}",
        f"Average precision on {ground}, with 95 % intervals from resampling the same rows for both:",
        f"  {'none':<13}{none.value:.3f}  ({none.low:.3f} to {none.high:.3f})",
    ]
    for c in comparisons:
        d = c.difference
        lines.append(f"  {c.strategy:<13}{c.value:.3f}  {c.finding}, {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})")
    return "\n".join(lines)


def _listed(names: list[str]) -> str:
    """ "a is", "a and b are", "a, b and c are"."""
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
