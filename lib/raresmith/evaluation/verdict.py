"""What an evaluation found, as plain values, and the verdict in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raresmith.evaluation.counts import Confusion
from raresmith.evaluation.intervals import LEAST, Interval

MACRO = "macro"
"""What stands for the class where a figure is the unweighted mean over all classes that are judged."""
COMPARED = "average_precision"
"""The figure that the verdict rests on: it asks for no threshold and does not drown in the frequent class."""
Finding = Literal["Gain", "No gain", "Loss", "Too few to tell", "No comparison"]
"""What a verdict begins with."""


class MetricRow(NamedTuple):
    """A row of the table `metrics`, its columns in order."""

    run_id: str
    strategy: str
    classifier: str
    class_name: str
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
    """Mean over the seeds, with the interval of the paired bootstrap of all seeds; NaN where the rows are too few."""

    @property
    def finding(self) -> str:
        """ "gain" or "loss" where the interval leaves out 0, else "no clear difference"; "too few to tell" without."""
        if not self.difference.is_known:
            return "too few to tell"
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
class Ground:
    """The test rows that stand behind the figures of one class."""

    class_name: str
    n_rows: int
    n_positive: int
    n_entities: int | None = None
    """Entities with a row of the class, where the configuration names them: rows of one entity are alike."""

    @property
    def fewest(self) -> int:
        """How many of what there are fewest of: rows of the class, other rows, entities."""
        counts = (self.n_positive, self.n_rows - self.n_positive, self.n_entities)
        return min(count for count in counts if count is not None)

    def shortage(self, called: str) -> str:
        """What there is too little of, and how much is missing; `called` is what rows of the class are called."""
        if self.n_entities == self.fewest:
            found = f"the {self.n_positive:,} test rows that are {called} belong to {self.n_entities:,} entities"
        elif self.n_positive == self.fewest:
            found = f"{self.n_positive:,} of {self.n_rows:,} test rows are {called}"
        else:
            found = f"{self.fewest:,} of {self.n_rows:,} test rows are not {called}"
        return f"{found}, {LEAST - self.fewest:,} fewer than the {LEAST} that a verdict takes."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one classifier found of one class, or on the mean; the mappings are by strategy."""

    none: Interval | None
    """Average precision of the rows as they are, or None where that baseline was not asked for."""
    comparisons: tuple[Comparison, ...]
    grounds: tuple[Ground, ...]
    """Of the class, or of all classes behind the mean."""
    confusion: Mapping[str, Confusion[int]] = field(default_factory=dict)
    """On the test rows at the tuned threshold, for the first seed; empty for the mean."""
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    """Recall and precision on the test rows as the threshold falls, for the first seed; empty for the mean."""

    @property
    def finding(self) -> Finding:
        """Whether anything is clearly better than the rows as they are, or everything clearly worse."""
        found = {c.finding for c in self.comparisons}
        if self.none is None or not found:
            return "No comparison"
        if "too few to tell" in found:
            return "Too few to tell"
        return "Gain" if "gain" in found else "Loss" if found == {"loss"} else "No gain"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What one classifier found."""

    judge: Judge
    outcomes: Mapping[str, Outcome]
    """By class, the positive one first; where there are several, MACRO before them."""
    verdict: str
    """Its first line says it all, one line for each class and one for each strategy follow."""
    importances: Mapping[str, Mapping[str, float]]
    """By strategy the share of each feature column, mean over the seeds, the greatest first; empty where the
    classifier has none."""


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
    judged: tuple[str, ...]
    """The classes that are judged, as the raw table calls them: the positive one, then all others that rows were made
    of."""
    not_judged: Mapping[str, str]
    """Classes that rows were made of and that cannot be judged, with the split that has none of their rows."""
    train_rows: Mapping[str, Mapping[str, int]]
    """Rows of each class that the models were trained on, by strategy; for class_weight the weights add up to other
    numbers."""
    test_rows: Mapping[str, int]
    """Test rows of each class."""
    near_duplicates: NearDuplicates
    samples: Mapping[str, NDArray[np.float64]]
    """Feature rows of the classes that are judged, "real" and those of the strategies that made rows; shape
    (≤ 2000, d)."""

    @property
    def is_binary(self) -> bool:
        """Whether the table has two classes and one of them is judged, which then needs no name."""
        return len(self.test_rows) == 2 and len(self.judged) == 1

    @property
    def verdict(self) -> str:
        """The verdict in words: the first line says it all. Of each classifier by name where there are several."""
        texts = {name: found.verdict for name, found in self.judgements.items()}
        lines = [*texts.values()]
        if len(texts) > 1:
            openings = [f"{name}: {text.splitlines()[0]}" for name, text in texts.items()]
            lines = [" ".join(openings), *(f"{name}: {text}" for name, text in texts.items())]
        return "\n".join(lines + [not_judged(name, split) for name, split in self.not_judged.items()])


def not_judged(class_name: str, split: str) -> str:
    """Why a class that rows were made of is not judged."""
    return f"Class {class_name!r} is not judged: the {split} split has none of its rows."


def value_of(
    rows: Sequence[MetricRow], classifier: str, class_name: str, strategy: str, split: str, metric: str
) -> Interval:
    """A figure's mean over the seeds, with the lowest low and the highest high; NaN where there is none."""
    key = (strategy, classifier, class_name, split, metric)
    found = [r for r in rows if r[1:6] == key]
    if not found:
        return Interval(value=float("nan"))
    value = float(np.mean([r.value for r in found]))
    if any(r.low is None or r.high is None for r in found):
        return Interval(value=value)
    return Interval(value=value, low=min(r.low or 0.0 for r in found), high=max(r.high or 0.0 for r in found))


def say_verdict(outcomes: Mapping[str, Outcome], *, is_binary: bool) -> str:
    """The verdict in words: a line on the whole, one for each class where there are several, then the figures.

    Parameters
    ----------
    outcomes : by class, or MACRO first and then by class.
    is_binary : whether the table has two classes, of which the one that is judged needs no name.
    """
    (name, first), *others = outcomes.items()
    lines = [opening(name, first, is_binary=is_binary)]
    lines += [f"  {name!r}: {opening(name, outcome, is_binary=is_binary)}" for name, outcome in others]
    if first.finding != "No comparison":
        lines += _figures(first, _ground(first, is_binary=is_binary))
    return "\n".join(lines)


def opening(name: str, outcome: Outcome, *, is_binary: bool) -> str:
    """One line on a class, or on the mean over the classes."""
    ground, finding = _ground(outcome, is_binary=is_binary), outcome.finding
    if outcome.none is None:
        return f'No comparison: evaluate.strategies lacks "none", the rows as they are ({ground}).'
    if finding == "No comparison":
        return f"No comparison: only the rows as they are were tried ({ground})."
    if finding == "Too few to tell":
        weakest = min(outcome.grounds, key=lambda ground: ground.fewest)
        return f"{finding}: {weakest.shortage(_called(weakest.class_name, is_binary=is_binary))}"
    found = {word: [c.strategy for c in outcome.comparisons if c.finding == word] for word in ("gain", "loss")}
    mean = ", on the mean over the classes" if name == MACRO else ""
    if finding == "Gain":
        text = f"{_listed(found['gain'])} clearly better than training on the rows as they are{mean}."
    elif finding == "Loss":
        text = f"everything that was tried is clearly worse than training on the rows as they are{mean}."
    elif found["loss"]:
        text = (
            f"nothing is clearly better than training on the rows as they are{mean}, and {_listed(found['loss'])} "
            "clearly worse."
        )
    else:
        text = f"nothing that was tried is clearly better or worse than training on the rows as they are{mean}."
    return f"{finding}: {text}"


def _called(class_name: str, *, is_binary: bool) -> str:
    """What rows of a class are called."""
    return "positive" if is_binary else f"of class {class_name!r}"


def _ground(outcome: Outcome, *, is_binary: bool) -> str:
    """The test rows, and how many of them are of each class."""
    parts = (f"{of.n_positive:,} of them {_called(of.class_name, is_binary=is_binary)}" for of in outcome.grounds)
    return f"{outcome.grounds[0].n_rows:,} test rows, {', '.join(parts)}"


def _figures(outcome: Outcome, ground: str) -> list[str]:
    """The ground, and the average precision of each strategy on it."""
    mean = ", mean over the classes," if len(outcome.grounds) > 1 else ""
    none = outcome.none
    assert none is not None
    if outcome.finding == "Too few to tell":
        return [
            f"Average precision{mean} on {ground}, without intervals, which so few rows do not bear:",
            f"  {'none':<13}{none.value:.3f}",
            *(f"  {c.strategy:<13}{c.value:.3f}  {c.finding}, {c.difference.value:+.3f}" for c in outcome.comparisons),
        ]
    lines = [
        f"Average precision{mean} on {ground}, with 95 % intervals from resampling the same rows for both:",
        f"  {'none':<13}{none.value:.3f}  ({none.low:.3f} to {none.high:.3f})",
    ]
    for c in outcome.comparisons:
        d = c.difference
        lines.append(f"  {c.strategy:<13}{c.value:.3f}  {c.finding}, {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})")
    return lines


def _listed(names: list[str]) -> str:
    """ "a is", "a and b are", "a, b and c are"."""
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
