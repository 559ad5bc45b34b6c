"""A run is described by one file, and what it cannot mean is refused in one sentence."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from raresmith.config import Config, SplitConfig, load_config, parse_config
from raresmith.config.file import ALWAYS_READ, HOW_RUN, SECTIONS
from raresmith.errors import ConfigError

MINIMAL = {"run": {"name": "r", "warehouse": "w"}, "source": {"path": "raw.parquet", "label": "y"}}
FOREST = {"classifiers": {"random_forest": {"num_trees": 0}}}
PRIVATE = {"model": "gan", "latent": "noise", "validate_every": 0, "privacy": {"epsilon": 1.0}}
TIMED = {"source": {**MINIMAL["source"], "timestamp": "t"}}
WEEKS = {
    "strategy": "time",
    "train": ["2018-07-25", "2018-07-31"],
    "validation": ["2018-07-18", "2018-07-24"],
    "test": ["2018-08-08", "2018-08-14"],
}
REPOSITORY = Path(__file__).resolve().parent.parent.parent


def parsed(**sections: object) -> Config:
    return parse_config({**MINIMAL, **sections}, Path("/conf/a.toml"))


@pytest.mark.parametrize("name", ["local", "handbook", "creditcard", "bank"])
def test_every_shipped_configuration_loads(name: str) -> None:
    assert load_config(REPOSITORY / "conf" / f"{name}.toml").run.name == name


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"oversample": {"k_neighbours": 5}},
            r"\[oversample\] has no key 'k_neighbours'; did you mean 'k_nei",
        ),
        ({"smoothing": {}}, r"there is no section \[smoothing\]; there are \['evaluate', .*'split'\]"),
        ({"oversample": {"k_neighbors": 0}}, r"oversample.k_neighbors must be at least 1, got 0"),
        ({"oversample": {"k_neighbors": "five"}}, r"oversample.k_neighbors must be a whole number, got 'five'"),
        ({"oversample": {"k_neighbors": True}}, r"oversample.k_neighbors must be a whole number, got True"),
        ({"oversample": {"sampling_strategy": 1.5}}, r"oversample.sampling_strategy must be in \(0, 1\], got 1.5"),
        ({"oversample": {"sampling_strategy": "most"}}, r"oversample.sampling_strategy .* got 'most'"),
        ({"split": {"fractions": [0.5, 0.5]}}, r"split.fractions must be three shares"),
        ({"split": {"strategy": "random"}}, r"split.strategy must be one of 'hash', 'entity', 'time', got 'random'"),
        ({"split": {"strategy": "entity"}}, r"split.entity must name a column"),
        ({"refine": {"batch_size": 5}}, r"refine.batch_size must be even and at least 4, got 5"),
        ({"refine": {"privacy": {"delta": 0.1}}}, r"\[refine.privacy\] lacks 'epsilon'"),
        ({"refine": {"privacy": {"epsilon": 0.0}}}, r"refine.privacy.epsilon must be a number above 0, got 0.0"),
        ({"refine": {"privacy": {"epsilon": math.inf}}}, r"refine.privacy.epsilon must be a number above 0, got inf"),
        ({"refine": {"privacy": {"epsilon": 1.0, "delta": 1.0}}}, r"refine.privacy.delta must be in \(0, 1\), got 1.0"),
        (
            {"refine": {"privacy": {"epsilon": 1.0, "max_grad_norm": -1.0}}},
            r"refine.privacy.max_grad_norm must be a number above 0, got -1.0",
        ),
        ({"refine": {**PRIVATE, "model": "redraw"}}, r'refine.privacy does not go with refine.model = "redraw", of'),
        (
            {"refine": {**PRIVATE, "model": "wgan_gp"}},
            r'does not go with refine.model = "wgan_gp", .*only "gan" learns',
        ),
        (
            {"refine": {**PRIVATE, "latent": "synthetic"}},
            r'does not go with refine.latent = "synthetic", .* set "noise"',
        ),
        ({"refine": {**PRIVATE, "accumulate": 2}}, r"does not go with refine.accumulate = 2, .* set 1"),
        ({"refine": {**PRIVATE, "precision": "bfloat16"}}, r'does not go with refine.precision = "bfloat16", .*32'),
        ({"refine": {**PRIVATE, "compile": True}}, r"does not go with refine.compile = true, .* set false"),
        (
            {"refine": {**PRIVATE, "validate_every": 9}},
            r"does not go with refine.validate_every = 9, for looks .* set 0",
        ),
        ({"refine": {"accumulate": 0}}, r"refine.accumulate must be at least 1, got 0"),
        ({"refine": {"model": "redraw", "compile": True}}, r"refine.compile = true does not go with .*redraw"),
        ({"refine": {"learning_rate": 0.0}}, r"refine.learning_rate must be in \(0, 1\), got 0.0"),
        ({"evaluate": {"strategies": []}}, r"evaluate.strategies must name at least one"),
        (
            {"oversample": {"method": "crossover"}, "evaluate": {"strategies": ["none", "smote"]}},
            r"evaluate.strategies names 'smote' but oversample.method is 'crossover'; name that",
        ),
        ({"oversample": {"method": "imblearn"}}, r"\[oversample\] lacks 'sampler': Class of imblearn.over_sampling"),
        (
            {"oversample": {"sampler": "SVMSMOTE"}},
            r'oversample.sampler needs oversample.method = "imblearn", got \'smote\'; set that',
        ),
        (
            {
                "oversample": {
                    "method": "imblearn",
                    "sampler": "SMOTE",
                    "sampler_params": {"random_state": 1, "n_jobs": 2},
                }
            },
            r"oversample.sampler_params names \['n_jobs', 'random_state'\], which raresmith sets itself; leave",
        ),
        (
            {"oversample": {"method": "imblearn", "sampler": "SMOTE", "sampler_params": {"k_neighbors": [1]}}},
            r"oversample.sampler_params.k_neighbors must be .*a number or text, got \[1\]",
        ),
        (
            {"oversample": {"method": "imblearn", "sampler": ""}},
            r"oversample.sampler must name a class of imblearn.over",
        ),
        (
            {"refine": {"architecture": "small"}},
            r'refine.architecture needs refine.model = "gan" or "vae" or "wgan_gp", got \'redraw\'; set that',
        ),
        ({"refine": {"model": "gna"}}, r"refine.model: 'gna' is none of .*; did you mean 'gan'\?"),
        ({"evaluate": {"num_trees": 5}}, r"\[evaluate\] has no key 'num_trees'"),
        ({"evaluate": {"classifiers": {}}}, r"evaluate.classifiers must name at least one classifier"),
        ({"evaluate": {"classifiers": {"forest": {}}}}, r"evaluate.classifiers: 'forest' is none of"),
        ({"evaluate": {"classifiers": {"random_forest": 5}}}, r"evaluate.classifiers.random_forest must be a table"),
        (
            {"evaluate": {"strategies": ["nothing"]}},
            r"evaluate.strategies names 'nothing' but .*'none', 'class_weight'",
        ),
        ({"oversample": {"method": "smot"}}, r"oversample.method: 'smot' is none of .*; did you mean 'smote'\?"),
        ({"oversample": {"parameters": {"k_neighbors": 1}}}, r"\[oversample\] has no key 'parameters'"),
        (
            {"oversample": {"method": "imblearn", "sampler": "SMOTE", "cell_rows": 999}},
            r"oversample.cell_rows must be at least 1000, got 999",
        ),
        ({"publish": {"source": "crossover"}}, r"publish.source names 'crossover' but oversample.method is 'smote'"),
        ({"publish": {"min_distance": -0.1}}, r"publish.min_distance must be at least 0, got -0.1"),
        ({"publish": {"min_distance": float("nan")}}, r"publish.min_distance must be at least 0, got nan"),
        (
            {"oversample": {"method": "random"}, "publish": {"min_distance": 0.5, "source": "random"}},
            r'publish.min_distance would leave out all rows of publish.source = "random", which are copies; set',
        ),
        ({"evaluate": FOREST}, r"evaluate.classifiers.random_forest.num_trees must be from 1 to 10000, got 0"),
        ({"prepare": {"normalise": "zscore"}}, r"prepare.normalise must be one of 'standard'.*got 'zscore'"),
        ({"prepare": {"normalise_columns": {"a": "x"}}}, r"prepare.normalise_columns.a must be one of"),
        ({"prepare": {"calendar": ["night"]}}, r"source.timestamp must name a column because prepare.calendar is set"),
        (
            {**TIMED, "prepare": {"windows": [{"entity": "c", "risk": True}]}},
            r"prepare.windows.risk of c needs delay_days of at least 1: without a delay a row would see its own label",
        ),
        (
            {**TIMED, "prepare": {"windows": [{"entity": "c", "mean": ["amount", "y"]}]}},
            r"prepare.windows.mean of c needs delay_days of at least 1: without a delay a row would see its own label",
        ),
        (
            {
                **TIMED,
                "split": {"delay_days": 7},
                "prepare": {"windows": [{"entity": "c", "risk": True, "delay_days": 1}]},
            },
            r"prepare.windows.risk of c ends delay_days = 1 days before a row, but a label is known only after 7 days",
        ),
        (
            {"source": {**MINIMAL["source"], "label_delay_days": 7}, "split": {"delay_days": 3}},
            r"split.delay_days is 3, but source.label_delay_days says that a label is known after 7 days; set at least",
        ),
        (
            {"source": {**MINIMAL["source"], "label_delay_days": 8}, "split": WEEKS},
            r"7 whole days after split.train ends; it must be at least split.delay_days = 8 days later",
        ),
        ({"prepare": {"features": ["x", "y"]}}, r"prepare.features names the label 'y', which is the answer"),
        ({"split": {"strategy": "entity", "entity": "y"}}, r"split.entity names the label 'y', which is the answer"),
        (
            {"spark": {"conf": {"spark.sql.session.timeZone": "Europe/Berlin"}}},
            r"spark.conf sets 'spark.sql.session.timeZone', which is UTC in every run",
        ),
        ({"source": {**MINIMAL["source"], "key": ["y"]}}, r"source.key names the label 'y', which is the answer"),
        ({"split": {**WEEKS, "known_entity": "y"}}, r"split.known_entity names the label 'y'"),
        ({"evaluate": {"entity": "y"}}, r"evaluate.entity names the label 'y', which is the answer"),
        ({**TIMED, "prepare": {"windows": [{"entity": "y"}]}}, r"prepare.windows.entity names the label 'y'"),
        ({"run": {"name": "a b", "warehouse": "w"}}, r"run.name must hold only letters, .* got 'a b'"),
        ({"run": {"name": "a"}}, r"\[run\] lacks 'warehouse'"),
        ({"run": {"name": "a", "warehouse": "b[c]"}}, r"run.warehouse has '\[' in its path, .* another folder, got"),
        ({"run": {"name": "a", "warehouse": "b%41"}}, "run.warehouse has '%41' in its path"),
        ({"run": {"name": "a", "warehouse": "file:/b%2541"}}, "run.warehouse has '%41' in its path"),
        ({"run": {"name": "a", "warehouse": "s3a://b/c%20d"}}, "run.warehouse has '%20' in its path"),
        *[
            ({"run": {"name": "a", "warehouse": f"s3a://b/c{odd}d"}}, re.escape(f"has {odd!r} in its path"))
            for odd in r"[]\^|`#?"
        ],
        ({"simulate": {"rows": 0}}, r"simulate.rows must be at least 1, got 0"),
        ({"simulate": {"rows": 1, "start": "soon"}}, r"simulate.start must be an ISO date, got 'soon'"),
        ({"source": {"path": "${RARESMITH_NOWHERE}/x", "label": "y"}}, r"environment variable RARESMITH_NOWHERE"),
    ],
)
def test_a_setting_that_cannot_be_run_is_named_with_what_was_found_and_expected(
    sections: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(**sections)


def time_split(**changes: object) -> SplitConfig:
    days = {
        "train": ("2018-07-25", "2018-07-31"),
        "validation": ("2018-07-18", "2018-07-24"),
        "test": ("2018-08-08", "2018-08-14"),
    }
    return SplitConfig(strategy="time", delay_days=7, **{**days, **changes})  # type: ignore[arg-type]


def test_the_test_days_may_start_just_after_the_delay() -> None:
    assert time_split().days("test")[0].day == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": ("2018-08-07", "2018-08-14")}, "6 whole days after split.train ends"),
        ({"validation": ("2018-08-01", "2018-08-03")}, "4 whole days after split.validation ends; it must be at least"),
        ({"validation": ("2018-07-18", "2018-07-25")}, "split.validation and split.train share days"),
        ({"train": ("2018-07-31", "2018-07-25")}, "split.train must not end before it starts"),
        ({"train": ("25 July", "31 July")}, "split.train must be a first and a last day as ISO dates"),
        ({"validation": ("2018-08-15", "2018-08-20")}, "split.validation must end before split.test starts"),
    ],
)
def test_a_split_in_time_that_leaks_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        time_split(**changes)


@pytest.mark.parametrize("named", ["source", "split"])
def test_split_and_windows_wait_for_labels_as_long_as_the_run_does(named: str) -> None:
    windows = [
        {"entity": "card", "mean": ["amount"]},
        {"entity": "shop", "risk": True},
        {"entity": "shop", "days": [2], "mean": ["y"], "delay_days": 9},
    ]
    source = {**TIMED["source"], **({"label_delay_days": 7} if named == "source" else {})}
    split = {**WEEKS, **({"delay_days": 7} if named == "split" else {})}
    found = parsed(source=source, split=split, prepare={"windows": windows})
    assert (found.source.label_delay_days, found.split.delay_days) == (7, 7)
    assert [window.delay_days for window in found.prepare.windows] == [0, 7, 9]


def test_one_delay_is_one_run_whoever_names_it() -> None:
    """And the configurations that there are, which name it twice, stay what they are."""
    risk = {"entity": "shop", "risk": True}
    source, of_seven = {**TIMED["source"], "label_delay_days": 7}, {"delay_days": 7}
    ways = [
        parsed(source=source, split=WEEKS, prepare={"windows": [risk]}),
        parsed(**TIMED, split=WEEKS | of_seven, prepare={"windows": [risk | of_seven]}),
    ]
    keys = ["source.label_delay_days", "split.delay_days", "prepare.windows"]
    assert ways[0].values(keys) == ways[1].values(keys)


def test_a_relative_path_counts_from_the_configuration_file_and_a_url_stays() -> None:
    assert parsed().run.warehouse == "/conf/w"
    assert parsed(run={"name": "r", "warehouse": "s3a://bucket/w/"}).run.warehouse == "s3a://bucket/w"


@pytest.mark.parametrize("scheme", ["file:", "file://", "file://localhost"])
def test_a_file_url_is_the_path_that_it_names(scheme: str) -> None:
    run, source = {"name": "r", "warehouse": f"{scheme}/a%20b/c#d?/"}, {"path": f"{scheme}/%C3%BC/*.csv", "label": "y"}
    found = parsed(run=run, source=source)
    assert (found.run.warehouse, found.source.path) == ("/a b/c#d?", "/ü/*.csv")


def test_paths_take_defaults_and_values_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = {"path": "${RARESMITH_TEST_DATA:-/data}/x", "label": "y"}
    assert parsed(source=source).source.path == "/data/x"
    monkeypatch.setenv("RARESMITH_TEST_DATA", "/else")
    assert parsed(source=source).source.path == "/else/x"


def test_the_name_of_a_table_is_no_path() -> None:
    source = {"path": "main.${RARESMITH_TEST_SCHEMA:-fraud}.cards", "label": "y", "format": "table"}
    assert parsed(source=source).source.path == "main.fraud.cards"


@pytest.mark.parametrize(
    ("format", "options", "unfit"),
    [
        ("parquet", {"null_words": ["x"]}, "null_words"),
        ("json", {"separator": ";", "sheet": "a"}, "separator and sheet"),
        ("excel", {"sheet": "a", "encoding": "UTF-8"}, "encoding"),
        ("csv", {"sheet": "a", "separator": ";"}, "sheet"),
    ],
)
def test_options_of_another_format_are_refused(format: str, options: dict[str, object], unfit: str) -> None:
    source = {"path": "x", "label": "y", "format": format, "options": options}
    with pytest.raises(
        ConfigError, match=rf"source.format is '{format}', of which \[source.options\] cannot say {unfit};"
    ):
        parsed(source=source)


def test_what_cannot_be_simulated_is_refused() -> None:
    source = {"path": "a.b", "label": "is_fraud", "format": "table"}
    with pytest.raises(ConfigError, match=r"\[simulate\] cannot make a table of source.format = 'table'; set parquet"):
        parsed(source=source, simulate={"rows": 10})


INCREMENTAL = {"name": "r", "warehouse": "w", "incremental": True}


def test_an_incremental_run_does_without_the_refined_rows() -> None:
    config = parse_config({**MINIMAL, "run": INCREMENTAL, "oversample": {"method": "adasyn"}}, Path("/a"), "2026-11-20")
    assert config.evaluate.strategies == ("none", "class_weight", "random", "adasyn")
    assert config.publish.source == "adasyn"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"simulate": {"rows": 1}}, r"\[simulate\], which would make the same rows every day; delete it"),
        (
            {
                "source": {**MINIMAL["source"], "timestamp": "t"},
                "split": {
                    "strategy": "time",
                    "train": ["2025-01-01", "2025-01-02"],
                    "validation": ["2025-01-03", "2025-01-03"],
                    "test": ["2025-01-04", "2025-01-04"],
                },
            },
            r'split.strategy = "time", for all rows of a day have one date; set "hash" or "entity"',
        ),
        (
            {"source": {**MINIMAL["source"], "timestamp": "t"}, "prepare": {"windows": [{"entity": "c"}]}},
            r"prepare.windows, for a day's table does not hold the entity's past",
        ),
        ({"evaluate": {"entity": "c"}}, r"evaluate.entity, for a day's table does not hold the entities of earlier"),
        ({"evaluate": {"strategies": ["none", "refined"]}}, r'"refined" in evaluate.strategies, for refine makes all'),
        (
            {"oversample": {"cleaning": "enn"}},
            r"oversample.undersampling_strategy or cleaning, for they look at all rows",
        ),
        ({"oversample": {"method": "imblearn", "sampler": "SMOTE"}}, 'oversample.method = "imblearn", whose samplers'),
        ({"publish": {"source": "refined"}}, r'publish.source = "refined", for refine makes .*; set "smote"'),
    ],
)
def test_what_an_incremental_run_cannot_do_is_refused(sections: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"run.incremental does not go with {message}"):
        parse_config({**MINIMAL, "run": INCREMENTAL, **sections}, Path("/conf/a.toml"), "2026-11-20")


def test_the_run_id_is_the_name_and_the_logical_date() -> None:
    assert parsed().run_id == "r"
    assert parse_config(MINIMAL, Path("/conf/a.toml"), "2026-01-02").run_id == "r-2026-01-02"
    with pytest.raises(ConfigError, match="logical date must be an ISO date, got 'yesterday'"):
        parse_config(MINIMAL, Path("/conf/a.toml"), "yesterday")


def test_the_keys_that_decide_no_row_and_those_that_always_count_are_keys() -> None:
    keys = {f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields}
    assert {*HOW_RUN, *ALWAYS_READ} <= {*keys, *Config.model_fields}


def test_a_recording_configuration_notes_what_is_read_of_it_also_by_its_own_methods() -> None:
    plain = parsed(split={"train": ["2025-01-01", "2025-01-02"]}, publish={"constraints": {"not_null": ["a"]}})
    for read, keys in (
        (lambda config: (config.source, config.prepare, config.run_id), []),
        (lambda config: config.split.days("train"), ["split.train"]),
        (lambda config: config.oversample.removes, ["oversample.cleaning", "oversample.undersampling_strategy"]),
        (lambda config: config.refine.step_size, ["refine.learning_rate", "refine.model"]),
        (lambda config: config.oversample.parameters.k_neighbors, ["oversample.parameters"]),
        (lambda config: config.publish.constraints.columns, ["publish.constraints"]),
        (lambda config: config.evaluate.classifiers["random_forest"], ["evaluate.classifiers"]),
        (lambda config: config.simulate, ["simulate"]),
        # Where and how a run is executed.
        (lambda config: (config.run.warehouse, config.path, config.spark.conf, config.oversample.num_partitions), []),
    ):
        config = plain.recording()
        read(config)
        assert config.read_so_far() == sorted([*keys, *ALWAYS_READ])
    with pytest.raises(ValueError, match="only what recording"):
        plain.read_so_far()


@pytest.mark.parametrize("door", [lambda s: s.document(), dict, vars, repr, hash, lambda s: s.replaced(entity="c")])
def test_who_takes_a_section_whole_has_read_it_all(door: Callable[[SplitConfig], object]) -> None:
    config = parsed().recording()
    door(config.split)
    assert config.read_so_far() == sorted([*ALWAYS_READ, *(f"split.{name}" for name in SplitConfig.model_fields)])


@pytest.mark.parametrize(
    ("text", "message"), [("[run", "is not a TOML file"), ("run = 1\n[source]\n", r"run must be a section")]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration file .*missing.toml"):
        load_config(tmp_path / "missing.toml")


def test_the_method_of_oversampling_is_among_the_strategies_unless_they_are_named() -> None:
    found = parsed(oversample={"method": "crossover"}).evaluate.strategies
    assert found == ("none", "class_weight", "random", "crossover", "refined")
