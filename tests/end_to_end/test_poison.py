"""Rule 1: whatever the test rows hold, nothing that is learnt from the others changes by a bit."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse

from raresmith.config import Config, OversampleConfig, parse_config
from raresmith.encoding.encoder import Encoder
from raresmith.gan.train import main
from raresmith.generators.registry import GENERATORS
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark.evaluate.evaluate import evaluate
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.prepare.prepare import prepare
from raresmith.tables import contracts

SEED = 3
SPLITS: dict[str, dict[str, Any]] = {
    "hash": {},
    "entity": {"entity": "card"},
    "time": {
        "train": ["2025-01-11", "2025-01-30"],
        "validation": ["2025-02-01", "2025-02-08"],
        "test": ["2025-02-10", "2025-03-01"],
        "known_entity": "card",
    },
}
STRATEGIES = ("class_weight", "random", "smote")
SAMPLERS: list[dict[str, Any]] = [
    *({"method": name, **({"sampler": "SMOTE"} if name == "imblearn" else {})} for name in OVERSAMPLERS),
    {"method": "smote", "neighbors": "cells", "undersampling_strategy": 0.9, "cleaning": "enn"},
]


class Learnt(NamedTuple):
    """What prepare and SMOTE made of a raw table."""

    features: pa.Table
    synthetic: pa.Table
    encoder: Encoder


def transactions(spark: SparkSession) -> DataFrame:
    """Twenty a day for 60 days; one in six is a fraud, of a higher amount."""
    return spark.range(1200).selectExpr(
        "id",
        "timestampadd(MINUTE, id * 72, timestamp_ntz'2025-01-01') AS t",
        "pmod(xxhash64(id, 1), 60) AS card",
        "pmod(xxhash64(id, 2), 15) AS shop",
        "round(pmod(xxhash64(id, 3), 10000) / 100 + IF(pmod(xxhash64(id, 9), 6) = 0, 40, 0), 2) AS amount",
        "IF(pmod(xxhash64(id, 4), 11) = 0, NULL, pmod(xxhash64(id, 5), 70)) AS age",
        "pmod(xxhash64(id, 6), 1000) / 7.0D AS score",
        "concat('c', least(pmod(xxhash64(id, 7), 9), pmod(xxhash64(id, 8), 9))) AS kind",
        "concat('d', pmod(xxhash64(id, 10), 5)) AS device",
        "int(pmod(xxhash64(id, 9), 6) = 0) AS y",
    )


def configured(strategy: str) -> Config:
    document = {
        "run": {"name": "r", "warehouse": "warehouse", "random_state": SEED},
        "source": {
            "path": "raw", "label": "y", "key": ["id"], "timestamp": "t", "ignore": ["card", "shop"],
            "label_delay_days": 1,
        },
        "split": {"strategy": strategy, **SPLITS[strategy]},
        "prepare": {
            "calendar": ["hour"],
            "max_categories": 6,
            "normalise_columns": {"age": "quantile", "amount": "log", "score": "robust"},
            "windows": [
                {"entity": "card", "days": [7], "mean": ["amount"]},
                {"entity": "card", "days": [30], "count": False, "risk": True},
                {"entity": "shop", "days": [7], "count": False, "risk": True},
            ],
        },
        "oversample": {"sampling_strategy": 0.5},
        "evaluate": {
            "strategies": list(STRATEGIES), "bootstrap": 20, "positive": "1",
            "classifiers": {"random_forest": {"num_trees": 3, "max_depth": 4}},
        },
    }  # fmt: skip
    return parse_config(document, Path("/run.toml"))


def poisoned(raw: DataFrame, features: DataFrame, strategy: str) -> DataFrame:
    """`raw` with other values and labels in the test rows.

    Windows look at the past values of all rows, which were known by then: under hash of test rows as well.
    """
    test = [row["row_id"] for row in features.where("split = 'test'").select("row_id").collect()]
    values = {"age": "IF(id % 3 = 0, NULL, 1000 * age + 7)", "score": "-1e9D * score", "kind": "concat('p', id % 40)"}
    if strategy != "hash":
        values["amount"] = "1e6D + amount"
    is_test = F.col("id").isin(test)
    changes = {name: F.when(is_test, F.expr(value)).otherwise(F.col(name)) for name, value in values.items()}
    return raw.withColumns({**changes, "y": F.when(is_test, 1 - F.col("y")).otherwise(F.col("y"))})


def learnt(raw: DataFrame, config: Config) -> Learnt:
    prepared = prepare(raw, config)
    features = rows(prepared.features)
    prepared.release()
    made = oversample(table(raw, features), prepared.encoder, config.oversample, SEED, "r")
    return Learnt(features, rows(made.rows), prepared.encoder)


def rows(df: DataFrame) -> pa.Table:
    return df.toArrow().sort_by("row_id")


def table(beside: DataFrame, arrow: pa.Table) -> DataFrame:
    return beside.sparkSession.createDataFrame(arrow)


@pytest.fixture(scope="module")
def pair(spark: SparkSession) -> Callable[[str], tuple[Learnt, Learnt]]:
    """What is learnt under a strategy of splitting, and what of other test rows."""

    @cache
    def of(strategy: str) -> tuple[Learnt, Learnt]:
        raw, config = transactions(spark).persist(), configured(strategy)
        clean = learnt(raw, config)
        other = learnt(poisoned(raw, table(raw, clean.features), strategy), config)
        raw.unpersist()
        return clean, other

    return of


Pair = Callable[[str], tuple[Learnt, Learnt]]
IN_TURN = cycle(SPLITS)
"""What follows prepare knows of the split's strategy nothing but the column `split`: one for each is enough."""


@pytest.mark.parametrize("strategy", SPLITS)
def test_the_encoder_and_all_rows_but_the_test_rows_stay(pair: Pair, strategy: str) -> None:
    clean, other = pair(strategy)
    assert clean.encoder.to_json() == other.encoder.to_json()
    assert clean.synthetic == other.synthetic
    is_test = pc.field("split") == "test"
    stay, test = ([each.features.filter(part) for each in (clean, other)] for part in (~is_test, is_test))
    assert stay[0] == stay[1] and test[0] != test[1]
    assert stay[0].num_rows > 300 and test[0].num_rows > 30
    for name in ("shop_risk_7d", "card_risk_30d", "card_mean_amount_7d"):
        assert len(pc.unique(stay[0].column(name))) > 5


@pytest.mark.parametrize(
    ("settings", "strategy"),
    list(zip(SAMPLERS, IN_TURN, strict=False)),
    ids=lambda value: value if isinstance(value, str) else value["method"],
)
def test_every_oversampler_makes_the_same_rows(
    pair: Pair, spark: SparkSession, settings: dict[str, Any], strategy: str
) -> None:
    config, found = OversampleConfig(sampling_strategy=0.5, **settings), []
    for features, _, encoder in pair(strategy):
        if config.kind.needs_category_counts:
            encoder = replace(encoder, features=tuple(f for f in encoder.features if f.kind == "categorical"))
        made = oversample(spark.createDataFrame(features), encoder, config, SEED, "r")
        found.append([rows(df) for df in (made.rows, made.removed) if df is not None])
        made.release()
    assert found[0] == found[1]
    assert all(part.num_rows > 20 for part in found[0]) and len(found[0]) == 1 + config.removes


@pytest.mark.parametrize(("model", "strategy"), list(zip(GENERATORS, IN_TURN, strict=False)))
def test_every_generator_learns_the_same_and_makes_the_same_rows(
    pair: Pair, tmp_path: Path, model: str, strategy: str
) -> None:
    refined, weights = [], []
    for name, (features, synthetic, encoder) in zip(("clean", "poisoned"), pair(strategy), strict=True):
        house = Warehouse(tmp_path / name, encoder, f'model = "{model}"\nsteps = 4\nvalidate_every = 2\ndevice = "cpu"')
        run_id = pa.array(["r"] * features.num_rows)
        house.write("features", contracts.features(encoder), features.append_column("run_id", run_id).to_pydict())
        house.write("synthetic", contracts.synthetic(encoder), synthetic.to_pydict())
        assert main([str(house.config_path)]) == 0
        refined.append(delta_rows(house.table("refined")).sort_by("row_id"))
        weights.append(Path(house.table("models"), "r", "model.safetensors").read_bytes())
    assert refined[0] == refined[1] and refined[0].num_rows > 20
    assert weights[0] == weights[1]


def test_thresholds_weights_and_models_are_the_same_and_only_the_figures_of_test_rows_differ(
    pair: Pair, spark: SparkSession
) -> None:
    found = [
        evaluate(
            spark.createDataFrame(features), spark.createDataFrame(synthetic), None, encoder,
            configured("hash").evaluate, run_id="r", random_state=SEED,
        )
        for features, synthetic, encoder in pair("hash")
    ]  # fmt: skip
    validation, test = (
        [[m for m in each.metrics if m.split == split] for each in found] for split in ("validation", "test")
    )
    assert validation[0] == validation[1] and "threshold" in {row.metric for row in validation[0]}
    assert test[0] != test[1]
    importances = [each.judgements["random_forest"].importances for each in found]
    assert importances[0] == importances[1] and importances[0].keys() == set(STRATEGIES)
    assert found[0].train_rows == found[1].train_rows
