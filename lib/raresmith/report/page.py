"""The report: one HTML file that says what the made rows did, and on what ground that is said.

The words and the page are the templates beside this module, a section each; here is what they show.
"""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.intervals import LEAST, Interval
from raresmith.evaluation.metrics import AT_THRESHOLD, RANKING, metric_title
from raresmith.evaluation.verdict import (
    MACRO,
    Evaluation,
    Judgement,
    Outcome,
    Strategy,
    not_judged,
    opening,
    value_of,
)
from raresmith.report import plots
from raresmith.report.frequent_values import frequent_values
from raresmith.report.projection import project

SECTIONS = (
    "verdict",
    "figures",
    "curves",
    "balance",
    "scatter",
    "frequent_values",
    "training",
    "importances",
    "data_issues",
    "method",
    "provenance",
)
"""The templates in the order of the page."""
MOODS = {
    "Gain": "gain",
    "gain": "gain",
    "Loss": "loss",
    "loss": "loss",
    "Too few to tell": "few",
    "too few to tell": "few",
}
"""Colour of a verdict's or a finding's first word; "even" for any other."""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """All that the report shows."""

    evaluation: Evaluation
    encoder: Encoder
    run_id: str
    config_hash: str
    random_state: int
    seeds: tuple[int, ...]
    bootstrap: int
    """Resamples behind the intervals."""
    table_versions: Mapping[str, str | int] = field(default_factory=dict)
    """Version of each table read."""
    library_versions: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    """What `refine` noted of the training of its model in `runs.measures`; empty where there is none."""
    set_aside: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What became of rows and values that were not clean: "quarantined", "imputed", "dropped", ..., each with the
    number by reason."""
    warnings: Sequence[str] = ()
    """Sentences on what `prepare` found odd: splits that are not as they were asked for, and what else it warns of."""


def write_report(path: str | Path, data: ReportData) -> None:
    """Write the report to the local file `path` in one step; folders are made where they lack."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")  # two may write the same page at once
    unfinished.write_text(render_report(data), encoding="utf-8")
    os.replace(unfinished, path)  # noqa: PTH105


class Opening(NamedTuple):
    """How the verdict on a class, or on the mean over the classes, begins."""

    class_name: str
    text: str
    word: str
    rest: str
    mood: str
    outcome: Outcome


class Cell(NamedTuple):
    """A figure in a table."""

    value: float
    interval: Interval | None
    is_best: bool


class Table(NamedTuple):
    """Figures of every strategy."""

    titles: list[str]
    rows: list[tuple[Strategy, list[Cell]]]


def render_report(data: ReportData) -> str:
    """The report as one HTML document that needs no other file, no network and no script."""
    found = data.evaluation
    judges = [judgement.judge for judgement in found.judgements.values()]
    noun = judges[0].noun if len(judges) == 1 else "model"
    metrics = dict.fromkeys(row.metric for row in found.metrics if row.split == "test")
    samples = {name: rows for name, rows in found.samples.items() if len(rows) > 0}

    def table(classifier: str, class_name: str, split: str, metrics: Sequence[str]) -> Table:
        return _table(found, classifier, class_name, split, metrics)

    def value(classifier: str, class_name: str, strategy: str, split: str, metric: str) -> Interval:
        return value_of(found.metrics, classifier, class_name, strategy, split, metric)

    page = environment().get_template("page.html.j2")
    return page.render(
        data=data,
        found=found,
        sections=SECTIONS,
        plots=plots,
        openings={name: _openings(judgement, found) for name, judgement in found.judgements.items()},
        macro=MACRO,
        not_judged=[not_judged(name, split) for name, split in found.not_judged.items()],
        moods=MOODS,
        noun=noun,
        n_test=sum(found.test_rows.values()),
        least=LEAST,
        kinds={name: strategy.kind for name, strategy in found.strategies.items()},
        table=table,
        value=value,
        ranking=list(RANKING),
        tuned=list(AT_THRESHOLD),
        half=[f"{name}@0.5" for name in AT_THRESHOLD],
        cards=[name for name in metrics if name.startswith("card_precision@")],
        frequent_values=frequent_values(samples, data.encoder),
        largest_sample=max(map(len, samples.values()), default=0),
        projection=project(samples, data.encoder.categorical),
        training=_training(data.training),
        issues=[(what, why, n) for what, reasons in data.set_aside.items() for why, n in reasons.items()],
        provenance=_provenance(data, noun),
    )


@cache
def environment() -> Environment:
    """Where the templates are found and how they write figures; whatever they show is escaped."""
    # Not jinja2's PackageLoader: the package may be imported from the zip that spark-submit ships.
    package = files("raresmith.report")
    found = Environment(
        loader=FunctionLoader(lambda name: package.joinpath("templates", name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "count": "{:,}".format,
        "figure": "{:.3f}".format,
        "change": "{:+.3f}".format,
        "share": "{:.1%}".format,
        "quoted": repr,
    }
    found.globals["css"] = Markup(package.joinpath("report.css").read_text(encoding="utf-8").strip())
    return found


def _openings(judgement: Judgement, found: Evaluation) -> list[Opening]:
    openings = []
    for name, outcome in judgement.outcomes.items():
        text, word = opening(name, outcome, is_binary=found.is_binary), outcome.finding
        rest = text.removeprefix(f"{word}: ")
        openings.append(Opening(name, text, word, rest[:1].upper() + rest[1:], MOODS.get(word, "even"), outcome))
    return openings


def _table(found: Evaluation, classifier: str, class_name: str, split: str, metrics: Sequence[str]) -> Table:
    values = {
        (s, m): value_of(found.metrics, classifier, class_name, s, split, m) for s in found.strategies for m in metrics
    }
    best = {metric: max(values[s, metric].value for s in found.strategies) for metric in metrics}

    def cells(strategy: str) -> Iterator[Cell]:
        for metric in metrics:
            v = values[strategy, metric]
            yield Cell(v.value, v if v.is_known else None, v.value == best[metric])

    return Table(
        titles=[metric_title(metric) for metric in metrics],
        rows=[(strategy, list(cells(name))) for name, strategy in found.strategies.items()],
    )


def _training(noted: Mapping[str, Any]) -> dict[str, Any]:
    """The losses of the refining model and what the looks at its rows found; empty where there is none."""
    if not noted.get("losses"):
        return {}
    kept, looks = noted["step"], noted.get("looks", [])
    shown = [_over_steps(noted["loss_names"], noted["losses"], kept, "Losses")]
    if looks:
        names = ("cost", "two-sample AUC", "average precision")
        title = "Looks at refined rows by the validation rows"
        shown.append(_over_steps(names, [look[:4] for look in looks], kept, title))
    ending = noted["kept"] if looks else f"the weights of step {kept:,} were kept"
    return {"lead": f"Model {noted['model']!r}; {ending}.", "plots": shown, "looks": looks}


def _over_steps(names: Sequence[str], rows: Sequence[Sequence[float]], kept: int, title: str) -> dict[str, Any]:
    steps, *series = np.array(rows, dtype=float).T
    picture = plots.over_steps(dict(zip(names, series, strict=True)), steps, kept, title)
    return {"kinds": dict(zip(names, plots.SERIES, strict=False)), "picture": picture}


def _provenance(data: ReportData, noun: str) -> dict[str, str]:
    return {
        "run": data.run_id,
        "configuration": data.config_hash,
        "random_state": str(data.random_state),
        f"seeds of the {noun}s": ", ".join(map(str, data.seeds)),
        **{
            f"table {name}": f"version {version}" if isinstance(version, int) else f"rows so far, {version}"
            for name, version in data.table_versions.items()
        },
        **data.library_versions,
    }
