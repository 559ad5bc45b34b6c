"""What is held against the configuration before a run writes anything."""

import difflib
from collections.abc import Iterator, Sequence

from pyspark.sql import SparkSession
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.errors import ConfigError
from raresmith.oversampling.registry import oversampler_of
from raresmith.spark.columns import MALFORMED
from raresmith.spark.files import exists
from raresmith.spark.prepare.windows import window_feature_names
from raresmith.spark.publish.constraints import check_constraints
from raresmith.spark.source.read import read_source
from raresmith.tables.contracts import ADDED


def check(spark: SparkSession, config: Config) -> None:
    """Hold the configuration against the raw table, so that a run fails before it writes anything.

    Raises
    ------
    ConfigError, DataError
        If the table is not there, cannot be read, or lacks a column that the configuration names.
    """
    if config.simulate is None or exists(spark, config.source.path):
        check_columns(config, read_source(spark, config.source).schema)
    oversampler_of(config.oversample).check()


def check_columns(config: Config, schema: t.StructType) -> None:
    """Make sure that every column the configuration names is there and of a type that can play its role.

    Raises
    ------
    ConfigError
        Naming the key, the missing column and the nearest name that is there.
    """
    source, types = config.source, {f.name: f.dataType for f in schema.fields}
    for key, name in _named(config):
        if name and name not in types:
            near = difflib.get_close_matches(name.lower(), [n.lower() for n in types], n=1)
            hint = next((f"; did you mean {n!r}?" for n in types if near and n.lower() == near[0]), "")
            raise ConfigError(
                f"{key} names the column {name!r}, which {source.path} lacks{hint or '; its columns are '}"
                f"{'' if hint else schema.names}"
            )
    _check_names(config, schema.names)
    _check_types(config, types)
    check_constraints(config.publish.constraints, types)


def _check_names(config: Config, names: Sequence[str]) -> None:
    """Refuse raw columns called, in whatever case, as one that is set beside them: Spark would not tell them apart."""
    by_whom = dict.fromkeys(ADDED, "quarantine and augmented add one")
    by_whom |= dict.fromkeys(config.prepare.calendar, "prepare.calendar makes one")
    by_whom |= {name.lower(): "prepare.windows makes one" for name in window_feature_names(config.prepare.windows)}
    if not config.source.has_malformed:
        by_whom[MALFORMED] = "malformed records have one"
    own = "names that begin with two underscores are raresmith's own"
    # Those that end with two as well are indexes of pandas or dask.
    found = {
        name: own if name.startswith("__") and not name.endswith("__") else by_whom.get(name.lower()) for name in names
    }
    if taken := [f"{name!r} ({why})" for name, why in found.items() if why]:
        raise ConfigError(
            f"{config.source.path} has columns whose names are taken: {', '.join(taken)}; rename them in the table, "
            "or take the feature of that name out of prepare"
        )


def _named(config: Config) -> Iterator[tuple[str, str]]:
    """Each key that names a column, and the column; "" where it names none."""
    source, split, prepare = config.source, config.split, config.prepare
    for key, names in {
        "source.label": [source.label],
        "source.key": source.key,
        "source.timestamp": [source.timestamp],
        "source.ignore": source.ignore,
        "split.entity": [split.entity],
        "split.known_entity": [split.known_entity],
        "prepare.features": prepare.features,
        "prepare.categorical": prepare.categorical,
        "prepare.normalise_columns": prepare.normalise_columns,
        "evaluate.entity": [config.evaluate.entity],
        **config.publish.constraints.columns,
    }.items():
        yield from ((key, name) for name in names)
    for window in prepare.windows:
        yield "prepare.windows.entity", window.entity
        yield from (("prepare.windows.mean", name) for name in window.mean)


def _check_types(config: Config, types: dict[str, t.DataType]) -> None:
    """Whether the label, the timestamp and the columns of means can be what they are named for."""
    source = config.source
    label = types[source.label]
    if not isinstance(label, (t.StringType, t.BooleanType, t.IntegralType, t.FractionalType)):
        raise ConfigError(
            f"source.label names {source.label!r} of type {label.simpleString()}; "
            "a class must be text, boolean or a whole number"
        )
    if source.timestamp and not isinstance(types[source.timestamp], (t.TimestampType, t.TimestampNTZType, t.DateType)):
        raise ConfigError(
            f"source.timestamp names {source.timestamp!r} of type {types[source.timestamp].simpleString()}; "
            "it must be a timestamp or a date (of CSV, JSON and Excel say so in source.schema)"
        )
    for window in config.prepare.windows:
        for name in window.mean:
            if not isinstance(types[name], t.NumericType):
                raise ConfigError(
                    f"prepare.windows.mean names {name!r} of type {types[name].simpleString()}; it must be a number"
                )
