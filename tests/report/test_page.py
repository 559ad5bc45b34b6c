"""The report: one file, readable by everyone, nothing of the data's text taken for HTML."""

import re
import subprocess
import sys
import tomllib
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raresmith.report
from raresmith.encoding.encoder import Encoder, Label, NumericFeature
from raresmith.evaluation.counts import Confusion
from raresmith.evaluation.intervals import Interval
from raresmith.evaluation.verdict import (
    MACRO,
    Comparison,
    Evaluation,
    Ground,
    Judge,
    Judgement,
    MetricRow,
    NearDuplicates,
    Outcome,
    Strategy,
    say_verdict,
)
from raresmith.report.page import ReportData, render_report, write_report
from raresmith.report.plots import ticks

STRATEGIES = ("none", "smote")
NO_NEAR = NearDuplicates(rows=0, positive=0)
NAMES = ("a<b>", "amount")


def encoder() -> Encoder:
    features = tuple(
        NumericFeature(
            name=name, source=name, type="double", transform="linear", center=0.0, scale=1.0, low=0.0, high=1.0,
            impute=0.0, step=0.0, storage="float", encoded_low=0.0, encoded_high=1.0,
        )
        for name in NAMES
    )  # fmt: skip
    label = Label(name="y", type="int", classes=("0", "<1>"), positive="<1>")
    return Encoder(features=features, label=label, raw_schema="{}")


FOREST = Judge(
    name="random_forest", title="random forest of Spark MLlib", noun="forest", settings="at most 128 bins a column",
    remarks=("Bins & cuts.",),
)  # fmt: skip
LOGISTIC = Judge(name="logistic", title="logistic regression", noun="regression", settings="no penalty")


def outcome(comparisons: tuple[Comparison, ...], *names: str) -> Outcome:
    """Of one class, or of the mean over several."""
    few = any(not c.difference.is_known for c in comparisons)
    alone = STRATEGIES if len(names) == 1 else ()
    return Outcome(
        none=Interval(value=0.5) if few else Interval(value=0.5, low=0.4, high=0.6),
        comparisons=comparisons,
        grounds=tuple(Ground(class_name=name, n_rows=1000, n_positive=3 if few else 40) for name in names),
        confusion={
            s: Confusion(true_positive=30, false_positive=5, false_negative=10, true_negative=955) for s in alone
        },
        curves={s: (np.array([0.5, 1.0]), np.array([0.9, 0.1])) for s in alone},
    )


def judgement(judge: Judge, comparisons: tuple[Comparison, ...], classes: tuple[str, ...]) -> Judgement:
    importances = {s: {"amount": 0.7, "a<b>": 0.3} for s in STRATEGIES}
    outcomes = {MACRO: outcome(comparisons, *classes)} if len(classes) > 1 else {}
    outcomes |= {name: outcome(comparisons, name) for name in classes}
    return Judgement(
        judge=judge,
        outcomes=outcomes,
        verdict=say_verdict(outcomes, is_binary=len(classes) == 1),
        importances=importances if judge is FOREST else {},
    )


def evaluation(
    comparisons: tuple[Comparison, ...],
    judges: tuple[Judge, ...] = (FOREST,),
    classes: tuple[str, ...] = ("<1>",),
    near: NearDuplicates = NO_NEAR,
) -> Evaluation:
    figures = ("average_precision", "roc_auc", "card_precision@100", "precision", "recall", "f1", "accuracy")
    names = [*figures, *(f"{name}@0.5" for name in figures[3:])]
    judged = [*([MACRO] if len(classes) > 1 else []), *classes]
    rows = [
        MetricRow("r", s, judge.name, c, split, name, 0.5 + i / 100 + place / 5 + at / 10, 0.4, 0.6, 0)
        for place, judge in enumerate(judges)
        for at, c in enumerate(judged)
        for s in STRATEGIES
        for split in ("validation", "test")
        for i, name in enumerate(names)
    ]
    rows += [
        MetricRow("r", s, judge.name, c, "validation", "threshold", 0.31 + place / 5, None, None, 0)
        for place, judge in enumerate(judges)
        for c in classes
        for s in STRATEGIES
    ]
    generator = np.random.default_rng(0)
    return Evaluation(
        metrics=tuple(rows),
        judgements={judge.name: judgement(judge, comparisons, classes) for judge in judges},
        strategies={
            "none": Strategy(name="none", kind="none", explained="as they are"),
            "smote": Strategy(name="smote", kind="synthetic", explained="with rows of <SMOTE>"),
        },
        judged=classes,
        not_judged={"z": "validation"} if len(classes) > 1 else {},
        train_rows={"none": {"0": 900, "2": 80, "<1>": 100}, "smote": {"0": 900, "2": 80, "<1>": 900}},
        test_rows={"0": 960, "<1>": 40} if len(classes) == 1 else {"0": 940, "2": 20, "<1>": 40},
        near_duplicates=near,
        samples={"real": generator.normal(size=(50, 2)), "smote": generator.normal(size=(80, 2))},
    )


def data(
    *comparisons: Comparison,
    training: dict[str, Any] | None = None,
    judges: tuple[Judge, ...] = (FOREST,),
    classes: tuple[str, ...] = ("<1>",),
    near: NearDuplicates = NO_NEAR,
) -> ReportData:
    return ReportData(
        evaluation=evaluation(comparisons, judges, classes, near),
        encoder=encoder(),
        run_id="demo-2025-01-31",
        config_hash="abc123",
        random_state=5,
        seeds=(0, 1),
        bootstrap=200,
        table_versions={"features": 3},
        library_versions={"pyspark": "4.2.0"},
        training=training or {},
        set_aside={"quarantined": {"amount is infinite": 1234}},
        warnings=("one <card> has most rows",),
    )


SMOTE = Comparison(strategy="smote", value=0.55, difference=Interval(value=0.05, low=0.01, high=0.09))


class Page(HTMLParser):
    """Whether every tag is closed in order, and the tags seen."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    assert page.open == []
    return page


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    text = render_report(data(SMOTE))
    tags = {tag for tag, _ in parsed(text).seen}
    assert not tags & {"script", "link", "img", "iframe"}
    assert not re.search(r"(src|href)=|url\(|@import", text)


def test_every_picture_has_words() -> None:
    pictures = [attrs for tag, attrs in parsed(render_report(data(SMOTE))).seen if tag == "svg"]
    assert len(pictures) == 5
    assert all(len(attrs["aria-label"] or "") > 20 and attrs["role"] == "img" for attrs in pictures)


def test_the_verdict_comes_first_and_all_facts_are_there() -> None:
    text = render_report(data(SMOTE))
    body = text[text.index("<main>") :]
    assert body.index("Smote is clearly better") < body.index("<h2>")
    for fact in ("demo-2025-01-31", "abc123", "version 3", "4.2.0", "amount is infinite", "1,234", "0.310", "bins"):
        assert fact in body


def test_test_rows_that_a_train_row_shows_already_are_told_beside_the_ground_of_the_verdict() -> None:
    text = render_report(data(SMOTE, near=NearDuplicates(rows=1234, positive=7)))
    lead = text[text.index("Judged by average precision") : text.index("The bars are")]
    assert "1,234 of the test rows, 7 of them positive, equal a train row in every feature" in lead
    assert "No test row equals a train row" in render_report(data(SMOTE))


def test_the_training_of_the_model_is_shown_with_the_step_that_was_kept() -> None:
    losses = [[100, 0.7, 0.9], [200, 0.6, 1.1], [300, 0.5, 1.3]]
    noted = {"model": "gan", "step": 200, "loss_names": ["discriminator", "generator"], "losses": losses}
    text = render_report(data(training=noted))
    assert "the weights of step 200 were kept" in text
    assert "discriminator from 0.7 to 0.5; generator from 0.9 to 1.3" in text
    looks = [[100, 0.4, 0.9, 0.512, 1.25], [200, 0.25, 0.7512, 0.5, 2.5]]
    text = render_report(data(training={**noted, "kept": "the weights of step 200 are kept, <b>", "looks": looks}))
    assert "the weights of step 200 are kept, &lt;b&gt;" in text
    assert "two-sample AUC from 0.9 to 0.751" in text
    assert "<td>0.250</td><td>0.751</td><td>0.500</td><td>2.5</td>" in text
    parsed(text)


def test_a_constant_loss_can_be_drawn() -> None:
    noted = {"model": "vae", "step": 1, "loss_names": ["divergence"], "losses": [[1, 0.0]]}
    assert "divergence from 0 to 0" in render_report(data(training=noted))


def test_text_of_the_data_is_never_html() -> None:
    text = render_report(data(SMOTE))
    assert "<1>" not in text and "a<b>" not in text and "<SMOTE>" not in text
    assert "&lt;1&gt;" in text and "a&lt;b&gt;" in text


def test_a_strategy_has_the_colour_of_its_kind_whatever_its_name() -> None:
    text = render_report(data(SMOTE))
    used = set(re.findall(r'class="[^"]*\bk-([\w-]+)', text))
    assert used == {"none", "synthetic"}
    assert all(f".k-{kind}{{" in text for kind in used)


def test_the_words_name_the_one_classifier_and_its_settings() -> None:
    text = render_report(data(SMOTE))
    for words in (
        "test rows that no forest has seen",
        "The rows that each forest was trained on",
        "What the forest looks at",
        "One random forest of Spark MLlib for each strategy and seed (0, 1), with the same settings; at most 128 bins",
        "seeds of the forests",
        "Bins &amp; cuts.",
        "<li>One &lt;card&gt; has most rows.</li>",
    ):
        assert words in text
    assert "<h3>" not in text


def test_a_second_classifier_stands_beside_the_first() -> None:
    one, two = (render_report(data(SMOTE, judges=judges)) for judges in ((FOREST,), (FOREST, LOGISTIC)))
    assert len([tag for tag, _ in parsed(two).seen if tag == "h1"]) == 2
    for fact in ("0.500", "0.700", "0.310", "0.510"):  # of either: average precision, threshold
        assert f"<td>{fact}" in two or f'<td class="best">{fact}' in two
    assert 'class="best">0.700' not in one and "<td>0.510</td>" not in one
    assert two.count("<h3>logistic regression</h3>") == 2 and two.count("What the forest looks at") == 1
    assert "One logistic regression for each strategy" in two and "that no model has seen" in two


def test_each_class_that_is_judged_is_shown_after_the_mean() -> None:
    text = render_report(data(SMOTE, classes=("<1>", "2")))
    parsed(text)
    verdict = text[text.index('<section class="verdict') : text.index("<h2>")]
    places = [verdict.index(words) for words in ("Mean over the classes", "Class &#39;&lt;1&gt;&#39;: Gain: ")]
    assert places == sorted(places) and "Class &#39;2&#39;: Gain: smote is clearly better" in verdict
    assert "Class &#39;z&#39; is not judged: the validation split has none of its rows." in verdict
    assert verdict.count("<svg") == 3 and text.count("<polyline") == 4
    for heading in ("mean over the classes", "class &#39;2&#39;"):
        assert f"<h3>{heading}</h3>" in text
    assert "of 1,080 rows 100 are &#x27;&lt;1&gt;&#x27;, 80 are &#x27;2&#x27;" in text
    assert text.count("Thresholds and confusion counts") == 2


def test_too_few_rows_have_a_mood_of_their_own_and_no_bar() -> None:
    few = Comparison(strategy="smote", value=0.55, difference=Interval(value=0.05))
    text = render_report(data(few))
    parsed(text)
    verdict = text[text.index('<section class="verdict few"') : text.index("<h2>")]
    assert "3 of 1,000 test rows are positive, " in verdict
    assert 'class="open k-synthetic"' in verdict and 'class="stroke' not in verdict and "nan" not in verdict
    assert 'class="tag few">too few to tell</span> 0.550, +0.050</li>' in verdict
    known = render_report(data(SMOTE))
    assert 'class="stroke' in known and 'class="open' not in known


def test_a_report_without_comparisons_is_a_report() -> None:
    assert "No comparison" in render_report(data())


def test_equal_data_make_equal_pages() -> None:
    assert render_report(data(SMOTE)) == render_report(data(SMOTE))


def test_the_report_is_written_in_one_step_into_new_folders(tmp_path: Path) -> None:
    path = tmp_path / "report" / "demo.html"
    write_report(path, data(SMOTE))
    assert path.read_text(encoding="utf-8") == render_report(data(SMOTE))
    assert [p.name for p in path.parent.iterdir()] == ["demo.html"]


LIB = Path(raresmith.report.__file__).parents[1]
FROM_ZIP = """
import sys
sys.path.insert(0, sys.argv[1])
from raresmith.report import page
assert page.__file__.startswith(sys.argv[1]), page.__file__
for name in page.SECTIONS:
    page.environment().get_template(f"{name}.html.j2")
print(page.environment().globals["css"])
"""


def test_the_templates_are_found_in_the_zip_that_is_shipped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "raresmith.zip", "w") as shipped:
        for path in (p for p in LIB.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            shipped.write(path, path.relative_to(LIB.parent))
    run = [sys.executable, "-c", FROM_ZIP, str(tmp_path / "raresmith.zip")]
    found = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert found.strip() == (LIB / "report" / "report.css").read_text(encoding="utf-8").strip()


def test_the_package_holds_every_file_that_is_no_module() -> None:
    pyproject = tomllib.loads((LIB.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = pyproject["tool"]["setuptools"]["package-data"]["raresmith"]
    held = {path for pattern in patterns for path in LIB.glob(pattern)}
    others = {p for p in LIB.rglob("*") if p.is_file() and p.suffix != ".py" and "__pycache__" not in p.parts}
    assert held == others and len(held) > 5


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-0.045, 0.045, [-0.04, -0.02, 0, 0.02, 0.04])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(expected)
