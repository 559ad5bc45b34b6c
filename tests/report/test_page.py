"""The report: one file, readable by everyone, nothing of the data's text taken for HTML."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from raresmith.encoding.encoder import Encoder, Label, NumericFeature
from raresmith.evaluation.metrics import Confusion, Interval
from raresmith.evaluation.verdict import Comparison, Evaluation, MetricRow, say_verdict
from raresmith.report.page import ReportData, render_report, write_report
from raresmith.report.plots import ticks

STRATEGIES = ("none", "smote")
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


def evaluation(comparisons: tuple[Comparison, ...]) -> Evaluation:
    figures = ("average_precision", "roc_auc", "card_precision@100", "precision", "recall", "f1", "accuracy")
    names = [*figures, *(f"{name}@0.5" for name in figures[3:])]
    rows = [
        MetricRow("r", s, "random_forest", split, name, 0.5 + i / 100, 0.4, 0.6, 0)
        for s in STRATEGIES
        for split in ("validation", "test")
        for i, name in enumerate(names)
    ]
    rows += [MetricRow("r", s, "random_forest", "validation", "threshold", 0.31, None, None, 0) for s in STRATEGIES]
    generator = np.random.default_rng(0)
    return Evaluation(
        metrics=tuple(rows),
        verdict=say_verdict(Interval(value=0.5, low=0.4, high=0.6), comparisons, 40, 1000),
        comparisons=comparisons,
        positive="<1>",
        train_rows={"none": {"0": 900, "<1>": 100}, "smote": {"0": 900, "<1>": 900}},
        test_rows={"0": 960, "<1>": 40},
        confusion={
            s: Confusion(true_positive=30, false_positive=5, false_negative=10, true_negative=955) for s in STRATEGIES
        },
        curves={s: (np.array([0.5, 1.0]), np.array([0.9, 0.1])) for s in STRATEGIES},
        importances={s: {"amount": 0.7, "a<b>": 0.3} for s in STRATEGIES},
        samples={"real": generator.normal(size=(50, 2)), "smote": generator.normal(size=(80, 2))},
    )


def data(*comparisons: Comparison, training: dict | None = None) -> ReportData:
    return ReportData(
        evaluation=evaluation(comparisons),
        encoder=encoder(),
        run_id="demo-2025-01-31",
        config_hash="abc123",
        random_state=5,
        seeds=(0, 1),
        max_bins=128,
        bootstrap=200,
        table_versions={"features": 3},
        library_versions={"pyspark": "4.2.0"},
        training=training or {},
        set_aside={"quarantined": {"amount is infinite": 1234}},
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


def test_the_page_is_well_formed_and_needs_nothing_else():
    text = render_report(data(SMOTE))
    tags = {tag for tag, _ in parsed(text).seen}
    assert not tags & {"script", "link", "img", "iframe"}
    assert not re.search(r"(src|href)=|url\(|@import", text)


def test_every_picture_has_words():
    pictures = [attrs for tag, attrs in parsed(render_report(data(SMOTE))).seen if tag == "svg"]
    assert len(pictures) == 5
    assert all(len(attrs["aria-label"] or "") > 20 and attrs["role"] == "img" for attrs in pictures)


def test_the_verdict_comes_first_and_all_facts_are_there():
    text = render_report(data(SMOTE))
    body = text[text.index("<main>") :]
    assert body.index("Smote is clearly better") < body.index("<h2>")
    for fact in ("demo-2025-01-31", "abc123", "version 3", "4.2.0", "amount is infinite", "1,234", "0.310", "bins"):
        assert fact in body


def test_the_training_of_the_model_is_shown_with_the_step_that_was_kept():
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


def test_a_constant_loss_can_be_drawn():
    noted = {"model": "vae", "step": 1, "loss_names": ["divergence"], "losses": [[1, 0.0]]}
    assert "divergence from 0 to 0" in render_report(data(training=noted))


def test_text_of_the_data_is_never_html():
    text = render_report(data(SMOTE))
    assert "<1>" not in text and "a<b>" not in text
    assert "&lt;1&gt;" in text and "a&lt;b&gt;" in text


def test_a_report_without_comparisons_is_a_report():
    assert "No comparison" in render_report(data())


def test_equal_data_make_equal_pages():
    assert render_report(data(SMOTE)) == render_report(data(SMOTE))


def test_the_report_is_written_in_one_step_into_new_folders(tmp_path):
    path = tmp_path / "report" / "demo.html"
    write_report(path, data(SMOTE))
    assert path.read_text(encoding="utf-8") == render_report(data(SMOTE))
    assert [p.name for p in path.parent.iterdir()] == ["demo.html"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-0.045, 0.045, [-0.04, -0.02, 0, 0.02, 0.04])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high, 5) == pytest.approx(expected)
