"""What every registered oversampler keeps to in Spark: the same rows wherever and however they are made."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.spark.oversample.test_oversample import MIXED, categorical, collected, encoder_of, made_of, mixed_rows

from raresmith.encoding.encoder import Encoder
from raresmith.oversampling.registry import OVERSAMPLERS

CODES = encoder_of(*[categorical(name) for name in ("a", "b.c", "d")])
SETTINGS = {"imblearn": {"sampler": "SMOTE"}}


def rows_for(method: str) -> tuple[pd.DataFrame, Encoder]:
    """Rows that the method takes, and their encoder."""
    rows = mixed_rows(n_fine=300, n_fraud=60)
    rows["b.c"] /= 1e9  # or else one column decides all
    if not OVERSAMPLERS[method].needs_category_counts:
        return rows, MIXED
    rng = np.random.default_rng(5)
    codes = {name: (2 + rng.integers(0, 6, len(rows))).astype("float32") for name in CODES.names}
    return rows[["row_id", "split", "label"]].assign(**codes), CODES


@pytest.mark.parametrize("method", list(OVERSAMPLERS))
def test_memory_one_cell_and_any_partitions_give_the_same_bits(spark: SparkSession, method: str) -> None:
    rows, encoder = rows_for(method)
    settings = {"method": method, "sampling_strategy": 0.8, **SETTINGS.get(method, {})}
    expected = collected(made_of(spark, rows, encoder, 1, num_partitions=1, neighbors="exact", **settings))
    assert set(expected["label"]) == {1}
    assert expected["row_id"].is_unique
    assert abs(len(expected) - 180) <= 30
    assert expected["gap"].between(0, 1, inclusive="left").all()
    assert set(expected["base_row_id"]) <= set(rows.query("label == 1")["row_id"])
    shuffled = rows.sample(frac=1, random_state=1)
    other = made_of(spark, shuffled, encoder, 7, num_partitions=3, neighbors="cells", **settings)
    pd.testing.assert_frame_equal(collected(other), expected, check_exact=True)


@pytest.mark.parametrize("module", ["spark.oversample.oversample", "spark.publish.min_distance"])
def test_what_tasks_import_brings_neither_the_configuration_nor_a_validator(module: str) -> None:
    unwanted = "[m for m in sys.modules if m.startswith(('raresmith.config', 'pydantic'))]"
    code = f"import sys, raresmith.{module}; print({unwanted})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
