"""The oversamplers as stages of pyspark.ml."""

import inspect
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.errors import PythonException
from pyspark.ml import Estimator, Pipeline, PipelineModel, Transformer
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.oversampling.plans import smote

import raresmith.spark
from raresmith.errors import ConfigError, DataError
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark import ADASYN, SMOTE, SMOTEN, BorderlineSMOTE, Crossover, RandomOverSampler, ml

COLUMNS = ["amount", "age", "code"]


def transactions(n_fine: int = 300, n_fraud: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = n_fine + n_fraud
    is_fraud = np.arange(n) < n_fraud
    return pd.DataFrame(
        {
            "id": rng.permutation(n) * 7,
            "amount": rng.gamma(2, 10, n) + 3 * is_fraud,
            "age": rng.integers(18, 90, n).astype("int32"),
            "code": rng.integers(0, 3, n).astype("float32"),
            "shop": rng.choice(["a", "b"], n),
            "label": is_fraud.astype(float),
        }
    )


@pytest.fixture(scope="module")
def df(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(transactions()).repartition(3)


def made_by(sampler: ml.OversamplerStage, df: DataFrame) -> pd.DataFrame:
    """The made rows, in order."""
    out = sampler.fit_resample(df)
    assert out.columns == df.columns
    assert [(f.name, f.dataType) for f in out.schema] == [(f.name, f.dataType) for f in df.schema]
    assert out.intersectAll(df).count() == df.count()
    return out.where("id IS NULL").toPandas().sort_values(COLUMNS, ignore_index=True)


class Counted(Transformer):
    counts: dict[float, int]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return dataset


class Counting(Estimator[Counted]):
    """The last stage of a pipeline: remembers the classes that it was fitted on."""

    def _fit(self, dataset: DataFrame) -> Counted:
        counted = Counted()
        counted.counts = {row["label"]: row["count"] for row in dataset.groupBy("label").count().collect()}
        return counted


def counted_by(model: PipelineModel) -> dict[float, int]:
    last = model.stages[-1]
    assert isinstance(last, Counted)
    return last.counts


def test_the_stages_behind_are_fitted_on_made_rows_and_scoring_makes_none(df: DataFrame) -> None:
    assembler = VectorAssembler(inputCols=COLUMNS, outputCol="features")
    model = Pipeline(stages=[assembler, SMOTE(seed=3), Counting()]).fit(df)
    assert counted_by(model) == {0.0: 300, 1.0: 300}
    assert model.transform(df).count() == 360
    assert model.transform(df.limit(10)).count() == 10


def test_scoring_the_very_table_of_the_fit_makes_no_rows_even_where_the_sampler_comes_first(df: DataFrame) -> None:
    assembled = VectorAssembler(inputCols=COLUMNS, outputCol="features").transform(df)
    model = Pipeline(stages=[SMOTE(), Counting()]).fit(assembled)
    assert counted_by(model) == {0.0: 300, 1.0: 300}
    assert model.transform(assembled).count() == 360


def test_pipelines_are_saved_and_loaded_with_their_parameters(df: DataFrame, tmp_path: Path) -> None:
    sampler = BorderlineSMOTE(
        samplingStrategy={"1": 150}, kNeighbors=3, mNeighbors=7, kind="borderline-2", inputCols=COLUMNS, rowIdCol="id"
    )
    sampler.save(str(tmp_path / "sampler"))
    loaded = BorderlineSMOTE.load(str(tmp_path / "sampler"))
    assert loaded.extractParamMap() == {loaded.getParam(p.name): v for p, v in sampler.extractParamMap().items()}
    pd.testing.assert_frame_equal(made_by(loaded, df), made_by(sampler, df), check_exact=True)

    stages = [SMOTE(inputCols=COLUMNS), VectorAssembler(inputCols=COLUMNS, outputCol="features"), LogisticRegression()]
    Pipeline(stages=stages).save(str(tmp_path / "pipeline"))
    model = Pipeline.load(str(tmp_path / "pipeline")).fit(df)
    model.save(str(tmp_path / "model"))
    scored = PipelineModel.load(str(tmp_path / "model")).transform(df)
    assert scored.count() == 360
    assert scored.select("prediction").collect() == model.transform(df).select("prediction").collect()


def test_the_made_rows_are_those_that_numpy_makes(df: DataFrame) -> None:
    made = made_by(SMOTE(inputCols=COLUMNS, categoricalFeatures=[2], rowIdCol="id", seed=5), df)
    fraud = transactions().query("label == 1").sort_values("id")
    columns = np.ascontiguousarray(fraud[COLUMNS].to_numpy("float64").T)
    rows = smote(fraud["id"].to_numpy(), columns, np.array([False, False, True]), 240, 5, 5).rows(np.arange(240))
    expected = pd.DataFrame(rows.columns.T, columns=COLUMNS)
    expected["age"] = (np.sign(expected["age"]) * np.floor(expected["age"].abs() + 0.5)).astype("int32")
    expected = expected.sort_values(COLUMNS, ignore_index=True)
    np.testing.assert_array_equal(made["amount"], expected["amount"])
    np.testing.assert_array_equal(made["age"], expected["age"])
    assert set(made["code"]) <= {0, 1, 2}
    assert set(made["label"]) == {1.0}
    assert made["shop"].isna().all()


def test_features_may_be_called_as_our_own_columns_are(df: DataFrame) -> None:
    ours = dict(zip(COLUMNS, ["row_id", "Gap", "__method"], strict=True))
    resampled = SMOTE(inputCols=list(ours.values()), rowIdCol="id").fit_resample(df.withColumnsRenamed(ours))
    made = resampled.where("id IS NULL").toPandas().rename(columns={own: name for name, own in ours.items()})
    expected = made_by(SMOTE(inputCols=COLUMNS, rowIdCol="id"), df)
    pd.testing.assert_frame_equal(made.sort_values(COLUMNS, ignore_index=True), expected, check_exact=True)


@pytest.mark.parametrize("sampler", [SMOTE, Crossover, ADASYN, BorderlineSMOTE, RandomOverSampler])
def test_the_same_rows_for_any_order_and_partitions_without_a_column_of_ids(
    spark: SparkSession, sampler: type[ml.OversamplerStage]
) -> None:
    rows = transactions()
    rows = pd.concat([rows, rows.iloc[[0, 0, 0, 1]]])  # rows that are equal in every column
    one = made_by(sampler(inputCols=COLUMNS), spark.createDataFrame(rows))
    other = spark.createDataFrame(rows.sample(frac=1, random_state=1)).repartition(7)
    pd.testing.assert_frame_equal(made_by(sampler(inputCols=COLUMNS), other), one, check_exact=True)
    assert abs(len(one) - 236) < 20


def test_smoten_takes_codes_and_gives_codes(spark: SparkSession) -> None:
    rng = np.random.default_rng(0)
    codes = {name: rng.integers(0, 5, 300) for name in ("shop", "country", "hour")}
    rows = pd.DataFrame({**codes, "label": np.where(rng.random(300) < 0.2, 1.0, 0.0)})
    sampler = SMOTEN(inputCols=list(codes), categoricalFeatures=[0, 1, 2])
    resampled = sampler.fit_resample(spark.createDataFrame(rows)).toPandas()
    assert resampled["label"].value_counts().nunique() == 1
    assert {name: set(resampled[name]) <= set(range(5)) for name in codes} == dict.fromkeys(codes, True)
    with pytest.raises(DataError, match="smoten takes categories only, but feature 'hour' is a number"):
        SMOTEN(inputCols=list(codes), categoricalFeatures=[0, 1]).fit_resample(spark.createDataFrame(rows))
    rows["hour"] -= 1
    with pytest.raises(PythonException, match="feature 'hour' must hold codes, whole numbers from 0"):
        sampler.fit_resample(spark.createDataFrame(rows))


def test_rows_that_differ_in_where_their_nulls_are_have_different_ids(spark: SparkSession) -> None:
    sampler, schema = SMOTE(inputCols=["x"]), "x double, a string, b string, label double"
    df = spark.createDataFrame([(1.0, None, "shop", 1.0), (1.0, "shop", None, 1.0)], schema)
    assert df.select(sampler._row_id(df)).distinct().count() == 2


def test_a_vector_gives_the_rows_that_its_columns_give(df: DataFrame) -> None:
    numbers = df.withColumn("age", F.col("age").cast("double")).withColumn("code", F.col("code").cast("double"))
    assembled = VectorAssembler(inputCols=COLUMNS, outputCol="features").transform(numbers)
    out = SMOTE(rowIdCol="id").fit_resample(assembled).where("id IS NULL")
    vectors = np.array(out.select(vector_to_array(F.col("features"))).toPandas().iloc[:, 0].to_list())
    columns = made_by(SMOTE(inputCols=COLUMNS, rowIdCol="id"), numbers)[COLUMNS].to_numpy()
    np.testing.assert_array_equal(vectors[np.lexsort(vectors.T[::-1])], columns)


def test_classes_are_named_as_they_are_written(spark: SparkSession) -> None:
    rows = transactions()
    rows["label"] = np.where(rows["label"] == 1, "fraud", "fine")
    made = made_by(SMOTE(inputCols=COLUMNS, samplingStrategy={"fraud": 63}), spark.createDataFrame(rows))
    assert list(made["label"]) == ["fraud"] * 3


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"samplingStrategy": 1.5}, ConfigError, r"^samplingStrategy must be in \(0, 1\], got 1.5"),
        (
            {"samplingStrategy": {"2": 9}},
            DataError,
            r"^samplingStrategy names \['2'\], of which there are no train rows",
        ),
        ({"kNeighbors": 0}, ConfigError, r"^kNeighbors must be at least 1"),
        ({"inputCols": ["amount", "shop"]}, DataError, r"inputCols names 'shop', which is string; index"),
        ({"categoricalFeatures": [3]}, DataError, r"categoricalFeatures names \[3\]; there are 3 features, from 0"),
        ({"labelCol": "amount"}, DataError, r"inputCols names 'amount', which is the labelCol"),
    ],
)
def test_misuse_is_told_in_the_parameters_words(
    df: DataFrame, settings: dict[str, Any], kind: type[ConfigError] | type[DataError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        SMOTE(**{"inputCols": COLUMNS, **settings}).fit_resample(df)


def test_each_registered_oversampler_has_a_stage_that_tells_its_params_and_their_defaults() -> None:
    assert {"SMOTE", "SMOTEN", "Crossover", "ADASYN", "BorderlineSMOTE", "RandomOverSampler", "ImblearnSampler"} <= set(
        dir(raresmith.spark)
    )
    run = {kind.name for stage in ml.stages().values() for kind in stage._kinds}
    assert run == set(OVERSAMPLERS)
    given = {name: p.default for name, p in inspect.signature(BorderlineSMOTE).parameters.items()}
    assert given["mNeighbors"] == 10
    assert given["kind"] == "borderline-1"
    assert given["rowIdCol"] is None
    assert "at least 1" in SMOTE().getParam("kNeighbors").doc
    with pytest.raises(TypeError, match=r"SMOTE takes \[.*'kNeighbors'.*\], got \['k'\]"):
        SMOTE(k=3)
    with pytest.raises(ConfigError, match="kind must be 'borderline-1' or 'borderline-2', got 'borderline-3'"):
        BorderlineSMOTE(kind="borderline-3")._chosen()
    with pytest.raises(AttributeError, match="has no attribute 'Smote'"):
        _ = raresmith.spark.Smote


def test_an_oversampler_that_cannot_be_imported_takes_no_stage_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    point = EntryPoint("gone", "nowhere_to_be_found:Gone", OVERSAMPLERS.group)
    monkeypatch.setitem(vars(OVERSAMPLERS), "_brought", {"gone": point})
    assert "SMOTE" in ml.stages.__wrapped__()
    assert "'gone', an entry point of raresmith.oversamplers, cannot be imported" in caplog.text


def test_a_null_label_or_feature_is_refused(df: DataFrame) -> None:
    for label in ("nullif(label, 1)", "if(label = 1, ' ', 'a')"):
        with pytest.raises(DataError, match="labelCol 'label' is null or blank in some rows"):
            SMOTE(inputCols=COLUMNS).fit_resample(df.withColumn("label", F.expr(label)))
    with pytest.raises(DataError, match="feature 'amount' has a null, NaN"):
        SMOTE(inputCols=COLUMNS).fit_resample(df.withColumn("amount", F.expr("nullif(amount, amount)")))
