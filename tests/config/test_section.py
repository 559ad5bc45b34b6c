"""Sections tell all their mistakes at once, change by copies, and take the own keys of what they name."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.config.test_file import MINIMAL

from raresmith.config import ConfigErrors, OversampleConfig, PublishConfig, RefineConfig, parse_config
from raresmith.errors import ConfigError
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.oversampling.smote import SMOTE

CONF = Path(__file__).resolve().parent.parent.parent / "conf"
WRONG = {
    "run": {"name": "a b", "warehouse": "w"},
    "source": {"path": "raw.parquet", "label": "y", "formt": "csv"},
    "oversample": {"k_neighbors": 0, "sampler": "SVMSMOTE", "min_recall": 2, "neighbors": "here"},
    "refine": {"steps": "many", "privacy": {"delta": 2}},
    "evaluate": {"classifiers": {"random_forest": {"num_trees": 0, "depth": 3}}},
    "publish": {"constraints": {"ranges": {"amount": {}}, "sums": [{"columns": ["a"], "total": "a"}]}},
    "report": {},
}


def oversample_config(**settings: Any) -> OversampleConfig:
    """A section with the own keys of its method, which are no fields of it."""
    return OversampleConfig(**settings)


def test_all_mistakes_of_all_sections_are_told_at_once() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(WRONG, Path("/conf/a.toml"))
    first, *told = str(raised.value).splitlines()
    assert first == f"/conf/a.toml has {len(told)} mistakes:"
    assert sorted(line.strip() for line in told) == sorted(
        [
            "there is no section [report]; did you mean 'prepare'?",
            "run.name must hold only letters, digits, '-' and '_', got 'a b'",
            "[source] has no key 'formt'; did you mean 'format'?",
            "oversample.sampler needs oversample.method = \"imblearn\", got 'smote'; set that, or leave "
            "oversample.sampler out",
            "oversample.k_neighbors must be at least 1, got 0",
            "oversample.min_recall must be in (0, 1], got 2",
            "oversample.neighbors must be one of 'auto', 'exact', 'cells', 'partition', got 'here'",
            "refine.steps must be a whole number, got 'many'",
            "refine.privacy.delta must be in (0, 1), got 2",
            "[refine.privacy] lacks 'epsilon': Most that training may spend, above 0; the noise is as large as the "
            "steps and the batch size then ask for.",
            "evaluate.classifiers.random_forest.num_trees must be from 1 to 10000, got 0",
            "[evaluate.classifiers.random_forest] has no key 'depth'; did you mean 'max_depth'?",
            "publish.constraints.sums.columns must name at least two different columns, got ['a']",
            "publish.constraints.sums has the total 'a' among its columns ['a']; name another, or leave it out of them",
        ]
    )


def test_one_mistake_is_one_line_that_names_the_file() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config({"run": {"name": "r"}, "source": {"path": "p", "label": "y"}}, Path("/conf/a.toml"))
    assert str(raised.value) == (
        "/conf/a.toml: [run] lacks 'warehouse': Folder or s3a:// URL that holds the Delta tables; a relative path "
        "counts from the configuration file."
    )


def test_a_door_spells_the_keys_of_every_mistake() -> None:
    with pytest.raises(ConfigErrors) as raised:
        oversample_config(k_neighbors=0, min_recall=0.0)
    told = str(raised.value.spelt(lambda key: f"<{key.rpartition('.')[2]}>"))
    assert "<k_neighbors> must be at least 1, got 0" in told
    assert "<min_recall> must be in (0, 1], got 0.0" in told


def test_a_section_is_replaced_by_a_checked_copy() -> None:
    config = PublishConfig()
    assert config.replaced(min_distance=0.5) == PublishConfig(min_distance=0.5)
    assert config == PublishConfig()
    with pytest.raises(ConfigErrors, match=r"publish.min_distance must be at least 0, got -1"):
        config.replaced(min_distance=-1)


def test_the_own_keys_of_a_method_stand_beside_the_others_and_go_with_it() -> None:
    config = oversample_config(k_neighbors=7, neighbors="cells")
    assert config.parameters == SMOTE.Parameters(k_neighbors=7)
    assert config.replaced(min_recall=0.5).parameters == config.parameters
    assert config.replaced(k_neighbors=8).parameters == SMOTE.Parameters(k_neighbors=8)
    other = config.replaced(method="random")
    assert other.parameters == OVERSAMPLERS["random"].Parameters() and other.neighbors == "cells"
    assert config == OversampleConfig(parameters=SMOTE.Parameters(k_neighbors=7), neighbors="cells")
    assert config.document()["k_neighbors"] == 7 and "k_neighbors" not in other.document()


def test_a_generator_has_its_own_step_size_unless_one_is_said() -> None:
    sizes = [RefineConfig(**given).step_size for given in ({}, {"model": "gan"}, {"learning_rate": 0.5})]
    assert sizes == [3e-3, 2e-4, 0.5]


def test_a_configuration_is_read_without_spark_torch_or_what_they_bring() -> None:
    heavy = "{'torch', 'pyspark', 'delta', 'deltalake', 'pandas', 'pyarrow', 'numba', 'sklearn', 'imblearn'}"
    code = (
        "import sys; from raresmith.config import load_config; from raresmith.config.reference import json_schema; "
        f"load_config({str(CONF / 'local.toml')!r}); json_schema(); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_key_called_self_is_a_mistake_like_any_other() -> None:
    with pytest.raises(ConfigError, match=r"\[oversample\] has no key 'self'"):
        parse_config({**MINIMAL, "oversample": {"self": 1}}, Path("/a/run.toml"))


def test_a_value_within_a_table_is_one_mistake() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config({**MINIMAL, "oversample": {"sampling_strategy": {"a": 1.5}}}, Path("/a/run.toml"))
    assert [str(mistake) for mistake in raised.value.mistakes] == [
        "oversample.sampling_strategy.a must be a whole number, got 1.5"
    ]


def test_all_variables_that_are_not_set_are_told() -> None:
    document = {"run": {"name": "r", "warehouse": "${NO_A}"}, "source": {"path": "${NO_B}", "label": "y"}}
    with pytest.raises(ConfigErrors) as raised:
        parse_config(document, Path("/a/run.toml"))
    assert [name in str(raised.value) for name in ("NO_A", "NO_B")] == [True, True]


def test_mistakes_cross_processes_whole() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config({**MINIMAL, "refine": {"steps": 0, "patience": 0}}, Path("/a/run.toml"))
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), len(again.mistakes), again.file) == (str(raised.value), 2, raised.value.file)
