"""Each key of the configuration, changed by itself: the stages that read it run again, and no other.

What they hand on makes the stages behind them run again as well; that is not asked here.
"""

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.small_run import noted_stages, stale_stages

from raresmith.config import Config
from raresmith.config.section import Section

ALL, NONE = "prepare oversample refine evaluate publish", ""
EXPECTED = {
    "": {ALL: "logical_date", NONE: "path"},
    "run": {ALL: "name random_state incremental", NONE: "warehouse"},
    # evaluate and publish read the raw table again, and as some of its rows were quarantined they judge them again: the
    # one for its cards, the other for its rows. The card of a model names the key.
    "source": {
        "prepare evaluate publish": "path label format schema timestamp ignore",
        "prepare refine evaluate publish": "key",
        "prepare": "label_delay_days",
    },
    "source.options": {
        "prepare": "separator quote escape encoding header line_breaks decimal thousands null_words date_format "
        "timestamp_format sheet"
    },
    "split": {"prepare": "strategy fractions entity train validation test delay_days known_entity"},
    "prepare": {
        "prepare": "calendar normalise normalise_columns max_categories on_infinite",
        "prepare evaluate publish": "features categorical on_null on_nan on_duplicate",
        # publish tells a copy by what the features come from.
        "prepare publish": "windows.entity windows.days windows.count windows.mean windows.risk windows.delay_days",
    },
    "oversample": {
        "oversample": "k_neighbors on_few_neighbors sampling_strategy neighbors max_exact_bytes",
        "oversample publish": "method",
        "oversample evaluate publish": "undersampling_strategy cleaning",
        NONE: "num_partitions min_recall enn_neighbors",  # all neighbours were in memory, and nothing was cleaned
    },
    "refine": {
        "refine": "model latent steps batch_size accumulate learning_rate precision compile validate_every patience "
        "checkpoint_every device privacy",
        NONE: "nproc_per_node max_restarts",
    },
    "evaluate": {
        "evaluate": "strategies seeds entity top_k bootstrap",
        "prepare evaluate": "positive",
    },
    "evaluate.classifiers.random_forest": {
        "evaluate": "num_trees max_depth max_bins min_instances_per_node subsampling_rate feature_subset_strategy "
        "engine"
    },
    "publish": {"publish": "originals source carried min_distance names"},
    "publish.constraints": {"publish": "not_null ranges combinations orders sums"},
    "spark": {NONE: "master driver_memory shuffle_partitions conf"},
    "simulate": {NONE: "rows customers terminals start days fraud_share"},
}
"""By section, which stages read which keys in the small run of the tests. A new key has to be put here as well."""


def with_value(of: Any, name: str, value: Any) -> Any:
    """A copy of a section, of parameters or of a table in which `name` has another value, unchecked."""
    if isinstance(of, Section):
        return of.model_copy(update={name: value})
    if isinstance(of, dict):
        return {**of, name: value}
    changed = copy.copy(of)
    object.__setattr__(changed, name, value)
    return changed


def within(value: Any) -> dict[str, Any] | None:
    """What `value` holds by name; None where it is the value of one key."""
    if isinstance(value, Section):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict) and any(map(dataclasses.is_dataclass, value.values())):
        return value
    return None


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """The name of each key in `value`, and `value` with another one in its place."""
    if isinstance(value, tuple) and value and isinstance(value[0], Section):
        yield from ((name, (other, *value[1:])) for name, other in changed(value[0]))
    elif (inside := within(value)) is not None:
        for name, old in inside.items():
            for key, other in changed(old):
                path = [part for part in (name, key) if part not in ("", "parameters")]  # as the file has them
                yield ".".join(path), with_value(value, name, other)
    else:
        yield "", "changed"


def test_each_key_makes_those_stages_run_again_that_read_it(finished_run: Config) -> None:
    notes = noted_stages(Path(finished_run.run.warehouse))
    assert stale_stages(notes, finished_run) == set()
    found = {key: stale_stages(notes, config) for key, config in changed(finished_run)}
    expected = {
        f"{section}.{key}".lstrip("."): set(stages.split())
        for section, keys_of in EXPECTED.items()
        for stages, keys in keys_of.items()
        for key in keys.split()
    }
    assert found == expected
