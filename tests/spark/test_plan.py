"""What `plan` announces is what the run does."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from raresmith.config import Config, parse_config
from raresmith.errors import DataError
from raresmith.spark.before.plan import plan
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.tables import read_table

N_ROWS, N_RARE = 120_000, 50_000
"""Of the rare rows three fifths are train rows: they take less than a MiB with four bytes a number, more with eight."""


STORED = {
    "id % 1000": "float",
    "id * 1000003 + id % 7": "double",
    "id * 1000003": "float",
    "cast((id * 7 + 1) % 99999 / 7 as decimal(9, 4))": "double",
    "cast(id % 99999 as decimal(9, 4))": "float",
    "date_add(date'2020-01-01', int(id % 1000))": "float",
    "timestamp_millis(1700000000123 + id * 61)": "double",
    "timestamp_seconds(1700000000 + id)": "float",
}
"""Whole numbers of all kinds, and how their features are stored."""
REFUSED = "which the run would refuse: class '1' has 30000 train rows of 4 features, 1200000 bytes, but"
FITS = "exact neighbours, 900,000,000 distances; 703 KiB sent to each executor (limit 1 MiB)"


@pytest.fixture(scope="module")
def raw(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of three floats and the columns STORED, called w0 and so on."""
    path = tmp_path_factory.mktemp("plan") / "raw"
    whole = [f"{expression} w{i}" for i, expression in enumerate(STORED)]
    df = spark.range(N_ROWS).selectExpr(
        "id", "sin(id) x", "cos(id * 0.7) z", "sin(id * 0.3) v", *whole, f"int(id < {N_RARE}) y"
    )
    df.write.parquet(str(path))
    return path


def configured(raw: Path, folder: Path, whole: str, **oversample: Any) -> Config:
    """The floats and one of the columns STORED as features; or all."""
    features = ["x", "z", "v", f"w{[*STORED].index(whole)}"] if whole else []
    document = {
        "run": {"name": "planned", "warehouse": "warehouse"},
        "source": {"path": str(raw), "label": "y", "key": ["id"]},
        "prepare": {"features": features},
        "oversample": {"max_exact_bytes": 2**20, "sampling_strategy": 0.8, **oversample},
    }
    return parse_config(document, Path(folder / "planned.toml"))


def test_whole_numbers_are_announced_with_the_bytes_that_they_are_stored_in(
    spark: SparkSession, tmp_path: Path, raw: Path
) -> None:
    config = configured(raw, tmp_path, "")
    SPARK_STAGES["prepare"](spark, config)
    stored = dict(read_table(spark, f"{config.run.warehouse}/features").dtypes)
    assert {whole: stored[f"w{i}"] for i, whole in enumerate(STORED)} == STORED
    for whole, storage in STORED.items():
        told = plan(spark, configured(raw, tmp_path, whole, neighbors="exact"))
        assert (REFUSED in told, FITS in told) == (storage == "double", storage == "float")


@pytest.mark.parametrize("whole", ["id * 1000003 + id % 7", "timestamp_seconds(1700000000 + id)"])
def test_exact_neighbors_are_announced_where_the_run_finds_them_and_refused_where_it_refuses(
    spark: SparkSession, tmp_path: Path, raw: Path, whole: str
) -> None:
    config = configured(raw, tmp_path, whole, neighbors="exact")
    SPARK_STAGES["prepare"](spark, config)
    if STORED[whole] == "double":
        with pytest.raises(DataError, match=r"class '1' has \d+ train rows of 4 features, \d+ bytes, but"):
            SPARK_STAGES["oversample"](spark, config)
    else:
        assert SPARK_STAGES["oversample"](spark, config).rows["synthetic"] > 0


def test_without_a_wish_the_plan_says_cells_where_the_run_takes_cells(
    spark: SparkSession, tmp_path: Path, raw: Path
) -> None:
    told = plan(spark, configured(raw, tmp_path, "id * 1000003 + id % 7"))
    assert "neighbours in spatial cells, at least 95% of the true ones; 1.14 MiB, more than 1 MiB" in told
