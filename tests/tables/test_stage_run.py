"""What a stage made is held against the settings that it read, whatever they are, and against those alone."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tests.config.test_file import MINIMAL

from raresmith.config import Config, parse_config
from raresmith.errors import DataError
from raresmith.generators.registry import GENERATORS
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark.evaluate.classifiers.registry import CLASSIFIERS
from raresmith.tables.stage_run import StageRun, note_of, read_note, refuse_unnoted

REQUIRED = {"imblearn": {"sampler": "BorderlineSMOTE"}}
"""Keys that have no default, by oversampler."""


def config(day: str = "", **sections: Any) -> Config:
    return parse_config({**MINIMAL, **sections}, Path("/conf/a.toml"), day)


def run(of: Config, stage: str = "prepare", *, features: int = 0) -> StageRun:
    return StageRun(config=of, stage=stage, inputs={"features": features})


def noted(of: Config, *keys: str, features: int = 0) -> dict[str, Any]:
    """The trace of a stage that read `keys`."""
    working = of.recording()
    for section, name in (key.split(".") for key in keys):
        getattr(getattr(working, section), name)
    return run(working, features=features).trace()


def test_a_stage_is_done_while_what_it_read_is_the_same_and_whatever_it_did_not_read() -> None:
    note = noted(config(), "split.fractions", "evaluate.positive", features=3)
    assert run(config(), features=3).made(note)
    unread = config(split={"delay_days": 2}, evaluate={"seeds": [1]}, oversample={"num_partitions": 3}, spark={})
    assert run(unread, features=3).made(note)
    for other in (
        config(split={"fractions": [0.5, 0.3, 0.2]}),
        config(evaluate={"positive": "1"}),
        config(run={**MINIMAL["run"], "random_state": 1}),
        config(run={**MINIMAL["run"], "name": "other"}),
        config(day="2026-01-02"),
        config(day="2026-01-02", run={**MINIMAL["run"], "name": "r", "incremental": True}),
    ):
        assert not run(other, features=3).made(note)
    assert not run(config(), features=4).made(note)
    assert not run(config(), "oversample", features=3).made(note)


def test_the_note_of_an_earlier_version_or_of_a_key_that_is_gone_makes_the_stage_run_again() -> None:
    asking = run(config())
    note = noted(config(), "split.fractions")
    assert not asking.made({}) and not asking.made({"fingerprint": note["fingerprint"]})
    assert not asking.made(read_note({"fingerprint": note["fingerprint"], "settings": None}))
    gone = {**note, "settings": [*note["settings"], "split.shares"]}
    assert not asking.made(gone)
    assert note_of('{"by": "another"}') == note_of("no JSON") == note_of("[]") == note_of(None) == {}


def test_rows_are_refused_where_the_stage_that_wrote_them_noted_others_or_none() -> None:
    commit = {"stage": "prepare", "run_id": "r", "fingerprint": "f"}
    for noted in ({}, {"prepare": {"fingerprint": "g"}}, {"oversample": {"fingerprint": "f"}}):
        with pytest.raises(
            DataError, match=r"^prepare was ended between its rows in features of .* runs .*; run prepare"
        ):
            refuse_unnoted(config(), "features", commit, noted)
    refuse_unnoted(config(), "features", commit, {"prepare": {"fingerprint": "f"}})
    refuse_unnoted(config(), "features", {}, {})  # no run of ours wrote them


def test_who_goes_on_from_what_was_made_before_has_read_what_that_had() -> None:
    card = noted(config(), "refine.steps")
    working = run(config().recording())
    assert "refine.steps" not in working.trace()["settings"]
    working.goes_on_from(card)
    assert working.trace() == card


@pytest.mark.parametrize(
    ("key", "registry"),
    [("oversample.parameters", OVERSAMPLERS), ("refine.parameters", GENERATORS), ("evaluate.classifiers", CLASSIFIERS)],
)
def test_the_own_keys_of_all_that_can_be_named_are_among_the_settings(key: str, registry: Any) -> None:
    section, _, field = key.partition(".")
    plain = config()

    def under(parameters: Any) -> Config:
        value = {"it": parameters} if field == "classifiers" else parameters
        return plain.model_copy(update={section: getattr(plain, section).model_copy(update={field: value})})

    for name, kind in registry.available().items():
        parameters = kind.Parameters(**REQUIRED.get(name, {}))
        note = noted(under(parameters), key)
        assert run(under(replace(parameters))).made(note)
        for own in fields(parameters):
            other = replace(parameters)
            object.__setattr__(other, own.name, "changed")
            assert not run(under(other)).made(note), f"{name}: {own.name}"
