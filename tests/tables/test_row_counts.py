"""What is noted by key is told in words, here and nowhere else."""

from dataclasses import replace

from raresmith.tables import row_counts
from raresmith.tables.row_counts import kind_of, reason, told, told_reason, told_reasons
from raresmith.tables.stage_report import StageReport


def test_numbers_by_reason_are_told_in_words() -> None:
    noted = {
        "quarantined": {reason("infinite", "a:b"): 2, reason("duplicate_row"): 1},
        "own_category": {reason("null", "kind"): 3},
    }
    assert told_reasons(noted) == {
        "quarantined": {"infinite a:b": 2, "duplicate row": 1},
        "a category of its own": {"null kind": 3},
    }
    assert kind_of(reason("infinite", "a:b")) == "infinite"


def test_every_key_of_ours_has_words_and_other_names_speak_for_themselves() -> None:
    keys = row_counts.LEFT_OUT | {row_counts.TAKEN_OUT, row_counts.OWN_CATEGORY}
    assert not [key for key in keys if told(key) == key]
    assert all(told(key).endswith("left out") for key in row_counts.LEFT_OUT)
    assert told("augmented") == "augmented"
    assert told_reason("earlier_run") == "row of an earlier run"


def test_a_report_stands_beside_the_stage_and_its_verdict_at_the_margin() -> None:
    report = StageReport(stage="evaluate", rows={"metrics": 134}, seconds=2.0, words="one\ntwo", verdict="No gain: x")
    assert str(report).split("\n") == [
        "evaluate   134 metrics · 2.0 s",
        11 * " " + "one",
        11 * " " + "two",
        "No gain: x",
    ]
    assert str(StageReport(stage="refine", words="left out")) == "refine     no rows · 0.0 s\n           left out"


def test_a_stage_tells_of_its_note_the_same_when_it_is_done_and_later() -> None:
    note = {
        "stage": "prepare", "row_counts": {"features": 3, "imputed": {"null:x": 2}}, "seconds": 2.5, "words": "w",
        "verdict": None,
    }  # fmt: skip
    report = StageReport.of(note)
    assert report == StageReport(stage="prepare", rows={"features": 3}, seconds=2.5, words="w")
    assert StageReport.of(note, unchanged=True) == replace(report, seconds=0.0, unchanged=True)
    assert (
        StageReport.of({name: note[name] for name in ("stage", "row_counts", "seconds")}).words == ""
    )  # as once noted


def test_what_earlier_versions_noted_is_told_as_it_stands() -> None:
    assert told_reasons({"quarantined": {"null amount": 3}}) == {"quarantined": {"null amount": 3}}
