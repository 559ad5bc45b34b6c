"""Oversampling as stages of pyspark.ml pipelines."""

from typing import Any, ClassVar

from pyspark import keyword_only
from pyspark.ml.base import Estimator, Model
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasInputCols, HasLabelCol, HasSeed
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Method, OversampleConfig
from raresmith.errors import ConfigError, DataError, RaresmithError
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.oversample.oversample import made_rows
from raresmith.spark.prepare.row_id import row_hash
from raresmith.spark.tables import col

_MOST_CLASSES = 1000
_PARAMS = {
    "sampling_strategy": "samplingStrategy",
    "k_neighbors": "kNeighbors",
    "m_neighbors": "mNeighbors",
    "min_recall": "minRecall",
    "neighbors": "neighbors",
    # The longer one first, for the shorter is part of it.
    "sampler_params": "samplerParams",
    "sampler": "sampler",
    "cell_rows": "cellRows",
}


def _strategy(value: Any) -> float | str | dict[str, int]:
    if isinstance(value, dict):
        return {str(name): int(rows) for name, rows in value.items()}
    return value if isinstance(value, str) else float(value)


class _Oversampler(
    Estimator["OversampledModel"],
    HasFeaturesCol,
    HasInputCols,
    HasLabelCol,
    HasSeed,
    DefaultParamsReadable["_Oversampler"],
    DefaultParamsWritable,
):
    """What the oversamplers share.

    The features are one vector column (`featuresCol`) or several columns of numbers (`inputCols`, which comes first).
    In a `Pipeline` the stages behind it are fitted on the rows with the made ones; the fitted pipeline lets every table
    pass as it is. `fit_resample` gives the rows themselves. Made rows are null in columns that are neither feature nor
    label; numbers in columns of whole numbers are rounded.
    """

    _method: ClassVar[Method] = "smote"
    _input_kwargs: dict[str, Any]

    samplingStrategy: Param[Any] = Param(
        Params._dummy(),
        "samplingStrategy",
        "minority / majority after resampling, 'minority', 'not minority', 'not majority', 'all', 'auto', or a dict of "
        "rows by class",
        _strategy,
    )
    kNeighbors: Param[Any] = Param(
        Params._dummy(), "kNeighbors", "nearest rows of the same class to draw towards (>= 1)", TypeConverters.toInt
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

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            samplingStrategy="auto",
            kNeighbors=5,
            categoricalFeatures=[],
            neighbors="auto",
            minRecall=0.95,
            featuresCol="features",
            labelCol="label",
            seed=0,
        )

    def _take(self, given: dict[str, Any]) -> None:
        self._set(**{name: value for name, value in given.items() if value is not None})

    def _config(self) -> OversampleConfig:
        return OversampleConfig(
            method=self._method,
            sampling_strategy=self.getOrDefault(self.samplingStrategy),
            k_neighbors=self.getOrDefault(self.kNeighbors),
            neighbors=self.getOrDefault(self.neighbors),
            min_recall=self.getOrDefault(self.minRecall),
        )

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
            raise type(error)(_in_params(str(error))) from None
        return dataset.unionByName(made, allowMissingColumns=True).select(*[col(name) for name in dataset.columns])

    def _fit(self, dataset: DataFrame) -> "OversampledModel":
        return OversampledModel(dataset, self.fit_resample(dataset))

    def _made(self, dataset: DataFrame) -> DataFrame:
        config, label = self._config(), self.getLabelCol()
        counts = dataset.groupBy(col(label).alias("label")).count().limit(_MOST_CLASSES + 1).collect()
        if any(row["label"] is None for row in counts):
            raise DataError(f"labelCol {label!r} is null in some rows; fill it or leave them out")
        if len(counts) > _MOST_CLASSES:
            raise DataError(f"labelCol {label!r} holds more than {_MOST_CLASSES} values; is it a class?")
        # In their order: which of equally large classes comes first is no matter of the shuffle.
        counts.sort(key=lambda row: row["label"])
        classes = [row["label"] for row in counts]
        given, values, types = self._features(dataset)
        chosen = set(self.getOrDefault(self.categoricalFeatures))
        if unknown := sorted(chosen - set(range(len(given)))):
            raise DataError(f"categoricalFeatures names {unknown}; there are {len(given)} features, from 0")
        position = F.coalesce(*[F.when(col(label) == value, i) for i, value in enumerate(classes)], F.lit(0))
        train = dataset.select(
            self._row_id(dataset).alias("row_id"),
            position.alias("label"),
            *[value.alias(name) for value, name in zip(values, given, strict=True)],
        )
        if not self.isSet(self.rowIdCol) and counts:
            train = _told_apart(train, largest=max(range(len(counts)), key=lambda i: counts[i]["count"]))
        features = FeatureColumns(
            names=tuple(given),
            storages=tuple("float" if kind == t.FloatType() else "double" for kind in types),
            categorical=tuple(i in chosen for i in range(len(given))),
            groups=tuple(range(len(given))),
        )
        made = made_rows(train, features, tuple(map(_text, classes)), config, self.getSeed() % 2**63).rows
        of_class = F.array(*[F.lit(value) for value in classes])[F.col("label")]
        return made.select(of_class.cast(dataset.schema[label].dataType).alias(label), *self._back(given, types))

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

    def _back(self, given: list[str], types: list[t.DataType]) -> list[Column]:
        """Made features as the dataset has them."""
        if not self.isSet(self.inputCols):
            return [array_to_vector(F.array(*[col(name) for name in given])).alias(self.getFeaturesCol())]
        return [
            (F.round(col(name)) if isinstance(kind, t.IntegralType) else col(name)).cast(kind).alias(name)
            for name, kind in zip(given, types, strict=True)
        ]

    def _row_id(self, dataset: DataFrame) -> Column:
        if self.isSet(self.rowIdCol):
            return col(self.getOrDefault(self.rowIdCol)).cast("bigint")
        return row_hash(dataset.schema.fields, 0)


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


def _in_params(message: str) -> str:
    """An error in the words of this door."""
    for key, param in _PARAMS.items():
        message = message.replace(f"oversample.{key}", param)
    return message


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


class SMOTE(_Oversampler):
    """Chawla et al. 2002; with `categoricalFeatures` as SMOTE-NC does."""

    _method: ClassVar[Method] = "smote"

    @keyword_only
    def __init__(
        self,
        *,
        samplingStrategy: float | str | dict[str, int] = "auto",
        kNeighbors: int = 5,
        categoricalFeatures: list[int] | None = None,
        neighbors: str = "auto",
        minRecall: float = 0.95,
        featuresCol: str = "features",
        inputCols: list[str] | None = None,
        labelCol: str = "label",
        rowIdCol: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._take(self._input_kwargs)


class Crossover(SMOTE):
    """Each column whole from a row or from its neighbour, so that every value is a real one (docs/methods.md)."""

    _method: ClassVar[Method] = "crossover"


class ADASYN(SMOTE):
    """He et al. 2008: the more rows of other classes are near a row, the more rows are made of it."""

    _method: ClassVar[Method] = "adasyn"


class SMOTEN(SMOTE):
    """Chawla et al. 2002, for categories only: `categoricalFeatures` must name all features."""

    _method: ClassVar[Method] = "smoten"


class RandomOverSampler(_Oversampler):
    """Rows of the class again, each equally often but for one."""

    _method: ClassVar[Method] = "random"

    @keyword_only
    def __init__(
        self,
        *,
        samplingStrategy: float | str | dict[str, int] = "auto",
        featuresCol: str = "features",
        inputCols: list[str] | None = None,
        labelCol: str = "label",
        rowIdCol: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._take(self._input_kwargs)


class BorderlineSMOTE(_Oversampler):
    """Han et al. 2005: from rows at least half of whose nearest rows, but not all, are of other classes."""

    kind: Param[Any] = Param(
        Params._dummy(),
        "kind",
        "borderline-1: towards rows of the same class; borderline-2: of any",
        TypeConverters.toString,
    )
    mNeighbors: Param[Any] = Param(
        Params._dummy(), "mNeighbors", "nearest rows that tell whether a row is in danger (>= 1)", TypeConverters.toInt
    )

    @keyword_only
    def __init__(
        self,
        *,
        samplingStrategy: float | str | dict[str, int] = "auto",
        kNeighbors: int = 5,
        mNeighbors: int = 10,
        kind: str = "borderline-1",
        categoricalFeatures: list[int] | None = None,
        neighbors: str = "auto",
        featuresCol: str = "features",
        inputCols: list[str] | None = None,
        labelCol: str = "label",
        rowIdCol: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._setDefault(kind="borderline-1", mNeighbors=10)
        self._take(self._input_kwargs)

    def _config(self) -> OversampleConfig:
        method: Any = self.getOrDefault(self.kind)
        if method not in ("borderline-1", "borderline-2"):
            raise ConfigError(f'kind must be "borderline-1" or "borderline-2", got {method!r}')
        return super()._config().replaced(method=method, m_neighbors=self.getOrDefault(self.mNeighbors))


class ImblearnSampler(_Oversampler):
    """A sampler of imbalanced-learn, run on one spatial cell of the table at a time (docs/methods.md)."""

    _method: ClassVar[Method] = "imblearn"

    sampler: Param[Any] = Param(
        Params._dummy(), "sampler", "class of imblearn.over_sampling, such as SVMSMOTE", TypeConverters.toString
    )
    samplerParams: Param[Any] = Param(
        Params._dummy(), "samplerParams", "keywords of the sampler: numbers, text, true or false", dict
    )
    mNeighbors: Param[Any] = Param(
        Params._dummy(), "mNeighbors", "the sampler's m_neighbors, where it has them (>= 1)", TypeConverters.toInt
    )
    cellRows: Param[Any] = Param(
        Params._dummy(), "cellRows", "rows of a cell, about, and at most twice as many (>= 1000)", TypeConverters.toInt
    )

    @keyword_only
    def __init__(
        self,
        *,
        sampler: str = "SVMSMOTE",
        samplerParams: dict[str, bool | int | float | str] | None = None,
        samplingStrategy: float | str | dict[str, int] = "auto",
        kNeighbors: int = 5,
        mNeighbors: int = 10,
        cellRows: int = 20_000,
        categoricalFeatures: list[int] | None = None,
        featuresCol: str = "features",
        inputCols: list[str] | None = None,
        labelCol: str = "label",
        rowIdCol: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._setDefault(sampler="SVMSMOTE", samplerParams={}, mNeighbors=10, cellRows=20_000)
        self._take(self._input_kwargs)

    def _config(self) -> OversampleConfig:
        return OversampleConfig(
            method=self._method,
            sampling_strategy=self.getOrDefault(self.samplingStrategy),
            k_neighbors=self.getOrDefault(self.kNeighbors),
            sampler=self.getOrDefault(self.sampler),
            sampler_params=self.getOrDefault(self.samplerParams),
            m_neighbors=self.getOrDefault(self.mNeighbors),
            cell_rows=self.getOrDefault(self.cellRows),
        )
