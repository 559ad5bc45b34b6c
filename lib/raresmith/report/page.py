"""The report: one HTML file that says what the made rows did, and on what ground that is said."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.verdict import COMPARED, Comparison, Evaluation, value_of
from raresmith.report import plots
from raresmith.report.projection import project
from raresmith.report.style import CSS

EXPLAINED = {
    "none": "the train rows as they are",
    "class_weight": "each class weighs the same",
    "random": "positive rows repeated, as many as oversampling made",
    "reduced": "without the rows that undersampling and cleaning took out",
    "smote": "with the SMOTE rows",
    "smoten": "with the SMOTE-N rows",
    "crossover": "with rows crossed from a row and its neighbour",
    "borderline-1": "with SMOTE rows of rows in danger",
    "borderline-2": "with SMOTE rows of rows in danger, towards any class",
    "adasyn": "with ADASYN rows",
    "imblearn": "with the rows of a sampler of imbalanced-learn",
    "refined": "with the rows that the model refined",
}

# Measured on the Fraud Detection Handbook's weeks (docs/results.md): 67,240 train and 58,264 test rows.
BINNING = (
    "MLlib's forest cuts each number into bins before it grows a tree. Left to itself that costs a lot where most rows "
    "share one value: on the Fraud Detection Handbook's test week, 128 bins of MLlib's own reach an average precision "
    "of 0.58 (256 bins 0.63), scikit-learn's exact splits 0.66. raresmith places the cuts itself, at quantiles of the "
    "rows, of the positive rows and of the distinct values, and reaches 0.67 there with 128: no cost of the binning is "
    "left that could be measured. All strategies share the same cuts, which come from the real train rows."
)


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """All that the report shows."""

    evaluation: Evaluation
    encoder: Encoder
    run_id: str
    config_hash: str
    random_state: int
    seeds: tuple[int, ...]
    max_bins: int
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


def write_report(path: str | Path, data: ReportData) -> None:
    """Write the report to the local file `path` in one step; folders are made where they lack."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(render_report(data), encoding="utf-8")
    os.replace(unfinished, path)  # noqa: PTH105


def render_report(data: ReportData) -> str:
    """The report as one HTML document that needs no other file, no network and no script."""
    found = data.evaluation
    opening, *_ = found.verdict.split("\n")
    strategies = list(found.train_rows)
    sections = [
        _verdict(found, opening),
        _figures(found, strategies),
        _section(
            "Precision and recall",
            plots.legend(strategies)
            + plots.curves(found.curves, found.test_rows[found.positive] / sum(found.test_rows.values())),
            "How many of the positive test rows are found as the threshold falls, and how many of the rows found are "
            "positive. The dotted line is what guessing reaches.",
        ),
        _section(
            "Class balance before and after",
            plots.balance(found.train_rows, found.positive),
            "The rows that each forest was trained on. class_weight leaves the rows and gives both classes the same "
            "total weight.",
        ),
        _scatter(found, data.encoder),
        _training(data.training),
        _section(
            "What the forest looks at",
            plots.legend(strategies) + plots.importance_bars(found.importances),
            f"Share of each column in the fall of impurity: bars for {strategies[0]}, dots for the others.",
        ),
        _set_aside(data.set_aside),
        _method(data),
        _provenance(data),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(data.run_id)}: {escape(opening)}</title><style>{CSS}</style></head><body><main>"
        f'<header><p class="run">raresmith report · run <b>{escape(data.run_id)}</b></p></header>'
        f"{''.join(sections)}</main></body></html>\n"
    )


def _section(title: str, body: str, lead: str = "") -> str:
    words = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section><h2>{escape(title)}</h2>{words}{body}</section>"


def _verdict(found: Evaluation, opening: str) -> str:
    word, _, rest = opening.partition(": ")
    mood = {"Gain": "gain", "Loss": "loss"}.get(word, "even")
    total, positives = sum(found.test_rows.values()), found.test_rows[found.positive]
    ground = (
        f"Judged by average precision on {total:,} test rows that no forest has seen, {positives:,} of them of the "
        f"positive class {found.positive!r}. The bars are 95 % intervals of the difference from training on the rows "
        "as they are, from resampling the same test rows for both; a bar across the line is no clear difference."
    )
    picture = plots.differences({c.strategy: c.difference for c in found.comparisons}) if found.comparisons else ""
    items = "".join(f"<li>{_comparison(c)}</li>" for c in found.comparisons)
    return (
        f'<section class="verdict {mood}"><h1><span class="word">{escape(word)}</span> {escape(_capital(rest))}</h1>'
        f'<p class="lead">{escape(ground)}</p>{picture}<ul class="findings">{items}</ul></section>'
    )


def _comparison(c: Comparison) -> str:
    d = c.difference
    css = {"gain": "gain", "loss": "loss"}.get(c.finding, "even")
    return (
        f'<b>{escape(c.strategy)}</b> <span class="tag {css}">{c.finding}</span> '
        f"{c.value:.3f}, {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})"
    )


def _figures(found: Evaluation, strategies: list[str]) -> str:
    names = list(dict.fromkeys(row.metric for row in found.metrics if row.split == "test"))
    cards = [name for name in names if name.startswith("card_precision@")]
    ranking = [COMPARED, "roc_auc", *cards]
    tuned = ["precision", "recall", "f1", "accuracy"]
    half = [f"{name}@0.5" for name in tuned]
    main = _table(found, strategies, "test", [*ranking, *tuned])
    confusion = "".join(
        f'<tr><th scope="row">{escape(s)}</th>'
        f"<td>{value_of(found.metrics, s, 'validation', 'threshold').value:.3f}</td>"
        f"<td>{c.true_positive:,}</td><td>{c.false_positive:,}</td><td>{c.false_negative:,}</td>"
        f"<td>{c.true_negative:,}</td></tr>"
        for s, c in found.confusion.items()
    )
    body = (
        f"{main}<details><summary>At the fixed threshold 0.5</summary>"
        f"{_table(found, strategies, 'test', half)}</details>"
        "<details><summary>Thresholds and confusion counts</summary>"
        '<div class="wide"><table><thead><tr><th scope="col">strategy</th><th scope="col">threshold</th>'
        '<th scope="col">true positive</th><th scope="col">false positive</th><th scope="col">false negative</th>'
        f'<th scope="col">true negative</th></tr></thead><tbody>{confusion}</tbody></table></div></details>'
        "<details><summary>On the validation rows, which the thresholds were chosen on</summary>"
        f"{_table(found, strategies, 'validation', [COMPARED, 'roc_auc', *tuned])}</details>"
    )
    return _section(
        "Figures on the test rows",
        body,
        "Each with its 95 % interval. Precision, recall, F1 and accuracy are at the threshold that gave the best F1 on "
        "the validation rows. The highest of each column is bold; that alone does not make it a clear difference.",
    )


def _table(found: Evaluation, strategies: list[str], split: str, names: list[str]) -> str:
    head = "".join(f'<th scope="col">{escape(_shown(name))}</th>' for name in names)
    values = {(s, name): value_of(found.metrics, s, split, name) for s in strategies for name in names}
    best = {name: max(values[s, name].value for s in strategies) for name in names}
    rows = []
    for s in strategies:
        cells = []
        for name in names:
            v = values[s, name]
            css = ' class="best"' if v.value == best[name] else ""
            interval = f"<small>{v.low:.3f}–{v.high:.3f}</small>" if v.low == v.low else ""
            cells.append(f"<td{css}>{v.value:.3f}{interval}</td>")
        explained = f"<small>{escape(EXPLAINED[s])}</small>" if s in EXPLAINED else ""
        rows.append(
            f'<tr><th scope="row"><span class="chip k-{escape(s)}"></span>{escape(s)}{explained}</th>'
            f"{''.join(cells)}</tr>"
        )
    return (
        f'<div class="wide"><table><thead><tr><th scope="col">strategy</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _scatter(found: Evaluation, encoder: Encoder) -> str:
    lead = (
        "Rows of the positive class on the first two principal axes of the real ones, which lie grey behind the made "
        "rows: made rows far from them are not like the real ones, made rows in a few spots only repeat them."
    )
    samples = {name: rows for name, rows in found.samples.items() if len(rows) > 0}
    return _section("Real and made rows", plots.scatter(project(samples, encoder.categorical)), lead)


def _training(noted: Mapping[str, Any]) -> str:
    """The losses of the refining model and what the looks at its rows found."""
    if not noted.get("losses"):
        return ""
    names, kept = noted["loss_names"], noted["step"]
    body = plots.legend(names, plots.SERIES[: len(names)]) + _over_steps(names, noted["losses"], kept, "Losses")
    lead = f"Model {noted['model']!r}; the weights of step {kept:,} were kept."
    if noted.get("looks"):
        lead = f"Model {noted['model']!r}; {noted['kept']}."
        shown = ("cost", "two-sample AUC", "average precision")
        looks = [look[:4] for look in noted["looks"]]
        rows = "".join(
            f'<tr><th scope="row">{step:,}</th><td>{cost:.3f}</td><td>{auc:.3f}</td><td>{precision:.3f}</td>'
            f"<td>{distance:.3g}</td></tr>"
            for step, cost, auc, precision, distance in noted["looks"]
        )
        body += (
            plots.legend(shown, plots.SERIES)
            + _over_steps(shown, looks, kept, "Looks at refined rows by the validation rows")
            + '<details><summary>The looks as figures</summary><div class="wide"><table><thead><tr>'
            + "".join(f'<th scope="col">{name}</th>' for name in ("step", *shown, "distance to train rows"))
            + f"</tr></thead><tbody>{rows}</tbody></table></div></details>"
        )
    return _section("How the model was trained", body, lead)


def _over_steps(names: Sequence[str], rows: Sequence[Sequence[float]], kept: int, title: str) -> str:
    steps, *series = np.array(rows, dtype=float).T
    return plots.over_steps(dict(zip(names, series, strict=True)), steps, kept, title)


def _set_aside(set_aside: Mapping[str, Mapping[str, int]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(what)}</th><td class="text">{escape(reason)}</td><td>{count:,}</td></tr>'
        for what, reasons in set_aside.items()
        for reason, count in reasons.items()
    )
    body = (
        '<div class="wide"><table><thead><tr><th scope="col">what happened</th><th scope="col" class="text">why</th>'
        f'<th scope="col">number</th></tr></thead><tbody>{rows}</tbody></table></div>'
        if rows
        else "<p>Nothing was set aside, filled in or dropped.</p>"
    )
    return _section("Rows and values that were not clean", body)


def _method(data: ReportData) -> str:
    seeds = ", ".join(map(str, data.seeds))
    points = (
        "The split came first: encoder, neighbours, GAN and forests learnt from train rows only, thresholds and the "
        "step of the training that is kept were chosen on validation rows, and the test rows were read once.",
        f"One random forest of Spark MLlib for each strategy and seed ({seeds}), with the same settings; at most "
        f"{data.max_bins} bins a column. Figures are means over the seeds, intervals reach from the lowest to the "
        "highest.",
        f"Intervals are the 2.5 % and 97.5 % percentiles of {data.bootstrap:,} Poisson resamples of the rows. They "
        "hold the chance in the test rows; only more than one seed shows the chance in the forest.",
        BINNING,
    )
    return _section("How this was measured", f"<ul>{''.join(f'<li>{escape(p)}</li>' for p in points)}</ul>")


def _provenance(data: ReportData) -> str:
    facts = {
        "run": data.run_id,
        "configuration": data.config_hash,
        "random_state": str(data.random_state),
        "seeds of the forests": ", ".join(map(str, data.seeds)),
        **{
            f"table {name}": f"version {version}" if isinstance(version, int) else f"rows so far, {version}"
            for name, version in data.table_versions.items()
        },
        **dict(data.library_versions),
    }
    rows = "".join(f"<dt>{escape(k)}</dt><dd><code>{escape(v)}</code></dd>" for k, v in facts.items())
    return _section("Where this comes from", f"<dl>{rows}</dl>")


def _shown(metric: str) -> str:
    """A metric's name as people write it."""
    name, at, threshold = metric.partition("@")
    return {"roc_auc": "ROC AUC", "f1": "F1"}.get(name, name.replace("_", " ")) + at + threshold


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
