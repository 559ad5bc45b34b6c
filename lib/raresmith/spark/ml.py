"""The oversamplers as stages of pyspark.ml pipelines: `SMOTE` and each other one that is registered, by its name."""

import inspect
import logging
from collections import defaultdict
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any, ClassVar, Literal, get_origin, get_type_hints

from pyspark.ml.base import Estimator, Model
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasInputCols, HasLabelCol, HasSeed
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import OversampleConfig
from raresmith.config.notes import notes
from raresmith.encoding.names import RESERVED, distinct_names
from raresmith.errors import ConfigError, DataError, Key, RaresmithError
from raresmith.oversampling.base import Oversampler
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark.columns import col
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.oversample.oversample import made_rows
from raresmith.spark.prepare.row_id import row_hash

_LOG = logging.getLogger(__name__)
_MOST_CLASSES = 1000
_CONVERTERS: dict[Any, Any] = {
    int: TypeConverters.toInt,
    float: TypeConverters.toFloat,
    bool: TypeConverters.toBoolean,
    str: TypeConverters.toString,
    Literal: TypeConverters.toString,
}
_SHARED = {
    "sampling_strategy": "auto",
    "neighbors": "auto",
    "min_recall": 0.95,
}
"""Of `[oversample]`, the keys of all methods that a stage has a param for, and their defaults."""


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _strategy(value: Any) -> float | str | dict[str, int]:
    if isinstance(value, dict):
        return {str(name): int(rows) for name, rows in value.items()}
    return value if isinstance(value, str) else float(value)


class OversamplerStage(
    Estimator["OversampledModel"],
    HasFeaturesCol,
    HasInputCols,
    HasLabelCol,
    HasSeed,
    DefaultParamsReadable["OversamplerStage"],
    DefaultParamsWritable,
):
    """What the stages share.

    The features are one vector column (`featuresCol`) or several columns of numbers (`inputCols`, which comes first).
    In a `Pipeline` the stages behind it are fitted on the rows with the made ones; the fitted pipeline lets every table
    pass as it is. `fit_resample` gives the rows themselves. Made rows are null in columns that are neither feature nor
    label; numbers in columns of whole numbers are rounded.

    Parameters
    ----------
    given
        Values of the params, which are those below and the oversampler's own; None leaves the default.
    """

    _kinds: ClassVar[tuple[type[Oversampler], ...]] = ()
    """The oversamplers that it may run, of which `kind` chooses where there are several."""
    _defaults: ClassVar[dict[str, Any]] = {}
    """Of the params that are the oversampler's own."""

    samplingStrategy: Param[Any] = Param(
        Params._dummy(),
        "samplingStrategy",
        "minority / majority after resampling, 'minority', 'not minority', 'not majority', 'all', 'auto', or a dict of "
        "rows by class",
        _strategy,
    )
    categoricalFeatures: Param[Any] = Param(
        Params._dummy(),
        "categoricalFeatures",
        "positions, in the vector or in inputCols, of features that are codes of categories",
        TypeConverters.toListInt,
    )
    rowIdCol: Param[Any] = Param(
        Params._dummy(),
        "rowIdCol",
        "column of distinct whole numbers that names each row; without it a hash of the row does",
        TypeConverters.toString,
    )
    neighbors: Param[Any] = Param(
        Params._dummy(),
        "neighbors",
        "where neighbours are looked for: auto, exact, cells or partition",
        TypeConverters.toString,
    )
    minRecall: Param[Any] = Param(
        Params._dummy(), "minRecall", "share of the true neighbours that cells must find", TypeConverters.toFloat
    )

    def __init__(self, **given: Any) -> None:
        super().__init__()
        if unknown := sorted(given.keys() - {param.name for param in self.params}):
            raise TypeError(f"{type(self).__name__} takes {[param.name for param in self.params]}, got {unknown}")
        shared = {_camel(name): value for name, value in _SHARED.items()}
        self._setDefault(categoricalFeatures=[], featuresCol="features", labelCol="label", seed=0, **shared)
        self._setDefault(**self._defaults)
        self._set(**{name: value for name, value in given.items() if value is not None})

    def _chosen(self) -> tuple[Oversampler, OversampleConfig]:
        """The oversampler, and what there is to set beside it."""
        kinds = {kind.name: kind for kind in self._kinds}
        name = self.getOrDefault("kind") if len(kinds) > 1 else next(iter(kinds))
        if name not in kinds:
            raise ConfigError("kind must be {known}, got {name!r}", known=" or ".join(map(repr, kinds)), name=name)
        keys = [*_SHARED, *(field.name for field in fields(kinds[name].Parameters))]
        config = OversampleConfig(method=name, **{key: self.getOrDefault(_camel(key)) for key in keys})
        return kinds[name](config.parameters), config

    def fit_resample(self, dataset: DataFrame) -> DataFrame:
        """The rows of `dataset` and the made ones, which are the same for any order and partitions of these.

        Raises
        ------
        ConfigError, DataError
            If a parameter is out of range, or does not fit the rows.
        """
        try:
            made = self._made(dataset)
        except RaresmithError as error:
            raise error.spelt(self._spell) from None
        return dataset.unionByName(made, allowMissingColumns=True).select(*[col(name) for name in dataset.columns])

    def _fit(self, dataset: DataFrame) -> "OversampledModel":
        return OversampledModel(dataset, self.fit_resample(dataset))

    def _made(self, dataset: DataFrame) -> DataFrame:
        (oversampler, config), label = self._chosen(), self.getLabelCol()
        counts = dataset.groupBy(col(label).alias("label")).count().limit(_MOST_CLASSES + 1).collect()
        if any(row["label"] is None or not str(row["label"]).strip() for row in counts):
            raise DataError(f"labelCol {label!r} is null or blank in some rows; fill it or leave them out")
        if len(counts) > _MOST_CLASSES:
            raise DataError(f"labelCol {label!r} holds more than {_MOST_CLASSES} values; is it a class?")
        # In their order: which of equally large classes comes first is no matter of the shuffle.
        counts.sort(key=lambda row: row["label"])
        classes = [row["label"] for row in counts]
        given, values, types = self._features(dataset)
        names = distinct_names(given, RESERVED)
        chosen = set(self.getOrDefault(self.categoricalFeatures))
        if unknown := sorted(chosen - set(range(len(given)))):
            raise DataError(f"categoricalFeatures names {unknown}; there are {len(given)} features, from 0")
        position = F.coalesce(*[F.when(col(label) == value, i) for i, value in enumerate(classes)], F.lit(0))
        train = dataset.select(
            self._row_id(dataset).alias("row_id"),
            position.alias("label"),
            *[value.alias(name) for value, name in zip(values, names, strict=True)],
        )
        if not self.isSet(self.rowIdCol) and counts:
            train = _told_apart(train, largest=max(range(len(counts)), key=lambda i: counts[i]["count"]))
        features = FeatureColumns(
            names=tuple(names),
            storages=tuple("float" if kind == t.FloatType() else "double" for kind in types),
            categorical=tuple(i in chosen for i in range(len(given))),
            groups=tuple(range(len(given))),
        )
        made = made_rows(train, features, tuple(map(_text, classes)), oversampler, config, self.getSeed() % 2**63).rows
        of_class = F.array(*[F.lit(value) for value in classes])[F.col("label")]
        return made.select(of_class.cast(dataset.schema[label].dataType).alias(label), *self._back(names, types))

    def _features(self, dataset: DataFrame) -> tuple[list[str], list[Column], list[t.DataType]]:
        """Names, values as columns of numbers, and types of the features."""
        if self.isSet(self.inputCols):
            names = self.getInputCols()
            types = [dataset.schema[name].dataType for name in names]
            if self.getLabelCol() in names:
                raise DataError(f"inputCols names {self.getLabelCol()!r}, which is the labelCol; leave it out")
            for name, kind in zip(names, types, strict=True):
                if not isinstance(kind, t.NumericType):
                    raise DataError(
                        f"inputCols names {name!r}, which is {kind.simpleString()}; index or encode it to numbers first"
                    )
            return names, [col(name).cast(_stored(kind)) for name, kind in zip(names, types, strict=True)], types
        name = self.getFeaturesCol()
        array = vector_to_array(col(name))
        first = dataset.select(F.size(array).alias("size")).first()
        size = max(first["size"], 0) if first else 0
        return [f"{name}[{i}]" for i in range(size)], [array[i] for i in range(size)], [t.DoubleType()] * size

    def _back(self, names: list[str], types: list[t.DataType]) -> list[Column]:
        """Made features, which are called `names`, as the dataset has them."""
        if not self.isSet(self.inputCols):
            return [array_to_vector(F.array(*[col(name) for name in names])).alias(self.getFeaturesCol())]
        return [
            (F.round(col(name)) if isinstance(kind, t.IntegralType) else col(name)).cast(kind).alias(given)
            for name, given, kind in zip(names, self.getInputCols(), types, strict=True)
        ]

    def _row_id(self, dataset: DataFrame) -> Column:
        if self.isSet(self.rowIdCol):
            return col(self.getOrDefault(self.rowIdCol)).cast("bigint")
        return row_hash(dataset.schema.fields, 0)

    def _spell(self, key: Key) -> str:
        """A key of the configuration as this door calls it."""
        param = _camel(key.removeprefix("oversample."))
        return param if key.startswith("oversample.") and self.hasParam(param) else key


def _stored(kind: t.DataType) -> str:
    return "float" if kind == t.FloatType() else "double"


def _text(value: Any) -> str:
    """A class as samplingStrategy names it: Spark's labels are doubles, and 1.0 is called 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _told_apart(rows: DataFrame, largest: int) -> DataFrame:
    """Equal rows get different ids, but for those of the largest class, of which no rows are made."""
    in_order = F.row_number().over(Window.partitionBy("row_id").orderBy("label"))
    numbered = rows.where(F.col("label") != largest).withColumn("__nth", in_order)
    own = F.when(F.col("__nth") > 1, F.xxhash64("row_id", "__nth")).otherwise(F.col("row_id"))
    told = numbered.withColumn("row_id", own).drop("__nth")
    return told.unionByName(rows.where(F.col("label") == largest))


class OversampledModel(Model, DefaultParamsReadable["OversampledModel"], DefaultParamsWritable):
    """A fitted oversampler: what it was fitted on comes back with the made rows, once; all else passes as it is.

    `Pipeline.fit` hands the table that a stage was fitted on to the stage's model, and the answer to the stages behind
    it. After that there is nothing left to give, so that a fitted pipeline adds no rows when it scores.
    """

    def __init__(self, fitted_on: DataFrame | None = None, resampled: DataFrame | None = None) -> None:
        super().__init__()
        self._fitted_on, self._resampled = fitted_on, resampled

    def _transform(self, dataset: DataFrame) -> DataFrame:
        if self._resampled is None or dataset is not self._fitted_on:
            return dataset
        resampled, self._fitted_on, self._resampled = self._resampled, None, None
        return resampled


@cache
def stages() -> dict[str, type[OversamplerStage]]:
    """The stage of each registered oversampler, by the name of its class."""
    kinds: defaultdict[str, list[type[Oversampler]]] = defaultdict(list)
    for kind in OVERSAMPLERS.available().values():
        kinds[vars(kind).get("stage") or kind.__name__].append(kind)
    # Our own come first, and so are what a stage is if nothing else is said.
    return {name: _stage(name, sorted(several, key=_is_brought)) for name, several in kinds.items()}


def _is_brought(kind: type[Oversampler]) -> bool:
    """Whether another distribution brings it."""
    return not kind.__module__.startswith("raresmith.")


def _stage(name: str, kinds: list[type[Oversampler]]) -> type[OversamplerStage]:
    """The stage of one oversampler, or of several that share it; each of their parameters is a param."""
    members: dict[str, Any] = {"_kinds": tuple(kinds), "__doc__": kinds[0].__doc__, "__module__": __name__}
    defaults: dict[str, Any] = {}
    for kind in kinds:
        hints, docs = get_type_hints(kind.Parameters), notes(kind.Parameters)
        for field in fields(kind.Parameters):
            param, hint = _camel(field.name), hints[field.name]
            convert = _CONVERTERS.get(get_origin(hint) or hint, TypeConverters.identity)
            members[param] = Param(Params._dummy(), param, docs.get(field.name, ""), convert)
            if (value := _default(field)) is not MISSING:
                defaults[param] = value
    if len(kinds) > 1:
        known = " or ".join(kind.name for kind in kinds)
        members["kind"] = Param(Params._dummy(), "kind", known, TypeConverters.toString)
        defaults["kind"] = kinds[0].name
    stage = type(name, (OversamplerStage,), {**members, "_defaults": defaults})
    usual = stage()
    keywords = [
        inspect.Parameter(
            param.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=usual.getOrDefault(param) if usual.hasDefault(param) else None,
        )
        for param in usual.params
    ]
    stage.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return stage


def _default(field: Field[Any]) -> Any:
    """What a stage has where nothing is given; a key that the file must give may have a default here."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.metadata.get("stage_default", field.default)


def __getattr__(name: str) -> Any:
    if name[:1].isupper() and name in stages():
        return stages()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
