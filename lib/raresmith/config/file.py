"""One TOML file describes a run; here is what holds across its sections, and how it is read."""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Self

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_jsonable_python

from raresmith.config.label_delay import label_mistakes, with_label_delay
from raresmith.config.section import ConfigErrors, Section, unknown_key
from raresmith.config.sections.evaluate import EvaluateConfig
from raresmith.config.sections.oversample import OversampleConfig
from raresmith.config.sections.prepare import PrepareConfig
from raresmith.config.sections.publish import PublishConfig
from raresmith.config.sections.refine import RefineConfig
from raresmith.config.sections.run import RunConfig, local_path
from raresmith.config.sections.simulate import SimulateConfig
from raresmith.config.sections.source import SourceConfig
from raresmith.config.sections.spark import SparkConfig
from raresmith.config.sections.split import SplitConfig
from raresmith.errors import ConfigError

STRATEGIES = "raresmith.spark.evaluate.strategies:BUILT_IN"
"""Those that are not the rows of an oversampler."""
HOW_RUN = frozenset(
    {
        *("path", "spark", "run.warehouse"),
        *("oversample.num_partitions", "refine.nproc_per_node", "refine.max_restarts"),
        *("run.name", "logical_date"),  # which are in the run id
    }
)
"""Sections and keys that say where or how a run is executed, and so decide no row of any table."""
ALWAYS_READ = frozenset({"run.random_state", "run.incremental"})
"""What belongs to every stage, read or not: whose seed it is, and which rows it leaves alone."""


class Config(Section):
    """The whole file."""

    run: RunConfig
    source: SourceConfig
    split: SplitConfig = Field(default_factory=SplitConfig)
    prepare: PrepareConfig = Field(default_factory=PrepareConfig)
    oversample: OversampleConfig = Field(default_factory=OversampleConfig)
    refine: RefineConfig = Field(default_factory=RefineConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    publish: PublishConfig = Field(default_factory=PublishConfig)
    spark: SparkConfig = Field(default_factory=SparkConfig)
    simulate: SimulateConfig | None = None
    path: SkipJsonSchema[Path]
    """Where it was read from."""
    logical_date: SkipJsonSchema[str] = ""
    """The day the scheduler runs it for, or ""."""

    def mistakes(self) -> Iterator[ConfigError]:
        """What one section asks that another does not allow."""
        needs_timestamp = {
            'split.strategy is "time"': self.split.strategy == "time",
            "prepare.calendar is set": bool(self.prepare.calendar),
            "prepare.windows is set": bool(self.prepare.windows),
        }
        for reason, needed in needs_timestamp.items():
            if needed and not self.source.timestamp:
                yield ConfigError(f"source.timestamp must name a column because {reason}")
        if self.simulate and self.source.format in ("excel", "iceberg", "table"):
            yield ConfigError(
                f"[simulate] cannot make a table of source.format = {self.source.format!r}; set parquet, delta, csv or "
                "json, or delete [simulate]"
            )
        yield from label_mistakes(self.source, self.split, self.prepare, self.evaluate)
        if "reduced" in self.evaluate.strategies and not self.oversample.removes:
            yield ConfigError(
                'evaluate.strategies names "reduced", but no row is taken out; set oversample.undersampling_strategy '
                "or oversample.cleaning, or leave it out"
            )
        method, source = self.oversample.method, self.publish.source
        for key, names, others in (
            ("evaluate.strategies", self.evaluate.strategies, tuple(resolve_name(STRATEGIES))),
            ("publish.source", (source,), ("refined",)),
        ):
            for name in names:
                if name not in (*others, method):
                    yield ConfigError(
                        f"{key} names {name!r} but oversample.method is {method!r}; name that, one of {list(others)}, "
                        "or change the method"
                    )
        if self.publish.min_distance and source == method and self.oversample.kind.copies_rows:
            yield ConfigError(
                f'publish.min_distance would leave out all rows of publish.source = "{source}", which are copies; '
                "set it to 0, or publish others"
            )
        yield from self._not_to_be_constrained()
        if self.run.incremental:
            yield from self._not_incremental()

    def _not_to_be_constrained(self) -> Iterator[ConfigError]:
        unfit = {
            **dict.fromkeys(self.source.key, "is a key, which made rows do not have"),
            self.source.label: "is the class, which is not to be repaired",
        }
        for key, columns in self.publish.constraints.columns.items():
            for column in columns:
                if column in unfit and not (column == self.source.label and key.endswith("combinations")):
                    yield ConfigError(f"{key} names the column {column!r}, which {unfit[column]}; leave it out")

    def _not_incremental(self) -> Iterator[ConfigError]:
        """What a run cannot do that sees one day's raw rows and leaves the rows of other days alone."""
        if not self.logical_date:
            yield ConfigError("run.incremental needs the day that it is run for; name it by --logical-date YYYY-MM-DD")
        refused = {
            "[simulate], which would make the same rows every day; delete it": self.simulate is not None,
            'split.strategy = "time", for all rows of a day have one date; set "hash" or "entity"': (
                self.split.strategy == "time"
            ),
            "prepare.windows, for a day's table does not hold the entity's past; make these columns before": bool(
                self.prepare.windows
            ),
            "evaluate.entity, for a day's table does not hold the entities of earlier days; leave it out": bool(
                self.evaluate.entity
            ),
            '"refined" in evaluate.strategies, for refine makes all its rows anew; leave it out': (
                "refined" in self.evaluate.strategies
            ),
            f'oversample.method = "{self.oversample.method}", whose samplers take all rows of a class as bases; set '
            "another": self.oversample.kind.takes_whole_cells,
            "oversample.undersampling_strategy or cleaning, for they look at all rows; leave them out": (
                self.oversample.removes
            ),
            f'publish.source = "refined", for refine makes all its rows anew; set "{self.oversample.method}"': (
                self.publish.source == "refined"
            ),
        }
        for found, is_found in refused.items():
            if is_found:
                yield ConfigError(f"run.incremental does not go with {found}")

    @property
    def run_id(self) -> str:
        """Name of the run and, when a scheduler gave one, its logical date; never the clock."""
        return f"{self.run.name}-{self.logical_date}" if self.logical_date else self.run.name

    def recording(self) -> Self:
        """The same configuration, which notes each key that is read of it; one for each stage at work."""
        read = set(ALWAYS_READ)
        sections = {name: found.noting(read) for name, found in self if isinstance(found, Section)}
        return self.model_copy(update=sections).noting(read)

    def read_so_far(self) -> list[str]:
        """The keys that were read of a configuration that notes them, less those that decide no row.

        A key whose value is a table of its own, such as `prepare.windows` or `oversample.parameters`, is one.
        """
        if self._read is None:
            raise ValueError("only what recording() returns notes which keys are read")
        return sorted(key for key in self._read.copy() if HOW_RUN.isdisjoint((key, key.partition(".")[0])))

    def count_as_read(self, keys: Iterable[str]) -> None:
        """Note `keys` as well: those that were read to make something that is now used."""
        assert self._read is not None
        self._read.update(keys)

    def values(self, keys: Iterable[str]) -> dict[str, Any]:
        """What `keys` say, as JSON has it, without noting them; None where there is no such key (any more)."""
        return {key: to_jsonable_python(self._value(key), fallback=str) for key in keys}

    def _value(self, key: str) -> Any:
        found: Any = self
        for name in key.split("."):
            found = object.__getattribute__(found, "__dict__").get(name) if isinstance(found, Section) else None
        return found


SECTIONS: dict[str, type[Section]] = {
    cls.section: cls
    for cls in (
        RunConfig,
        SourceConfig,
        SplitConfig,
        PrepareConfig,
        OversampleConfig,
        RefineConfig,
        EvaluateConfig,
        PublishConfig,
        SparkConfig,
        SimulateConfig,
    )
}
"""By their names in the file."""


def _expand(text: str) -> str:
    """Replace `${NAME}` and `${NAME:-default}` by the environment's values."""

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = os.environ.get(name) or default
        if found is None:
            raise ConfigError(f"{text!r} needs the environment variable {name}, which is not set")
        return str(found)

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}", value, text)


def _located(path: str, base: Path) -> str:
    """An absolute path or URL; a relative path counts from `base`."""
    expanded = local_path(_expand(path))
    return expanded if "://" in expanded else str((base / Path(expanded).expanduser()).resolve())


def _frozen(value: Any) -> Any:
    """A value of TOML as the sections take it: lists as tuples, dates as ISO texts."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return value.isoformat() if isinstance(value, date) else value


def parse_config(document: dict[str, Any], path: Path, logical_date: str = "") -> Config:
    """The configuration in `document`, as read from the file at `path`.

    Raises
    ------
    ConfigError
        With every mistake: sections and keys that are unknown or missing, values of the wrong type or out of range.
    """
    parsed, mistakes = _parsed(document)
    if logical_date and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", logical_date):
        mistakes.append(ConfigError(f"the logical date must be an ISO date, got {logical_date!r}"))
    base = path.resolve().parent
    for name, key in (("run", "warehouse"), ("source", "path")):
        if name in parsed:
            place = getattr(parsed[name], key)
            dated = place.replace("{logical_date}", logical_date) if name == "source" else place
            try:
                is_named = name == "source" and parsed[name].is_named
                located = _expand(dated) if is_named else _located(dated, base)
                parsed[name] = parsed[name].replaced(**{key: located.rstrip("/") if name == "run" else located})
            except ConfigError as error:
                mistakes.append(error)
    if mistakes:
        raise ConfigErrors(mistakes, path)
    try:
        return Config(**_with_defaults(**parsed), path=path.resolve(), logical_date=logical_date)
    except ConfigErrors as error:
        raise ConfigErrors(error.mistakes, path) from None


def _parsed(document: dict[str, Any]) -> tuple[dict[str, Any], list[ConfigError]]:
    """The sections of `document`, each checked by itself, and the mistakes in the others."""
    parsed: dict[str, Any] = {}
    mistakes = [unknown_key("", name, SECTIONS) for name in sorted(document.keys() - SECTIONS.keys())]
    for name, cls in SECTIONS.items():
        if name == "simulate" and name not in document:
            continue
        values = _frozen(document.get(name, {}))
        if name in ("run", "source") and name not in document:
            mistakes.append(ConfigError(f"the section [{name}] is missing"))
        elif not isinstance(values, dict):
            mistakes.append(ConfigError(f"{name} must be a section, written [{name}], got {values!r}"))
        else:
            try:
                parsed[name] = cls(**values)
            except ConfigErrors as error:
                mistakes.extend(error.mistakes)
    return parsed, mistakes


def _with_defaults(*, run: RunConfig, **sections: Any) -> dict[str, Any]:
    """The sections, with the defaults that follow from others of them."""
    oversample, evaluate, publish = sections["oversample"], sections["evaluate"], sections["publish"]
    if "strategies" not in evaluate.model_fields_set:
        reduced = ("reduced",) if oversample.removes else ()
        refined = () if run.incremental else ("refined",)
        usual = dict.fromkeys(("none", "class_weight", "random", *reduced, oversample.method, *refined))
        evaluate = evaluate.replaced(strategies=tuple(usual))
    if run.incremental and "source" not in publish.model_fields_set:
        publish = publish.replaced(source=oversample.method)
    delayed = with_label_delay(sections["source"], sections["split"], sections["prepare"])
    return {**sections, **delayed, "run": run, "evaluate": evaluate, "publish": publish}


def load_config(path: str | Path, logical_date: str = "") -> Config:
    """Read and check the TOML file at `path`.

    Raises
    ------
    ConfigError
        If the file is missing or not TOML, or says something that cannot be run.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    return parse_config(document, path, logical_date)
