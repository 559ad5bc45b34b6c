"""What `plan` announces is what the run does."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from raresmith.config import Config, parse_config
from raresmith.errors import DataError
from raresmith.spark.plan import plan
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.tables import read_table

N_ROWS, N_RARE = 120_000, 50_000
"""Of the rare rows three fifths are train rows: they take less than a MiB with four bytes a number, more with eight."""


def configured(spark: SparkSession, folder: Path, whole: str, **oversample: Any) -> Config:
    """A table of four numbers, one of them whole, that fits or not."""
    df = spark.range(N_ROWS).selectExpr(
        "id", "sin(id) x", "cos(id * 0.7) z", "sin(id * 0.3) v", f"{whole} w", f"int(id < {N_RARE}) y"
    )
    df.write.parquet(str(folder / "raw"))
    document = {
        "run": {"name": "planned", "warehouse": "warehouse"},
        "source": {"path": "raw", "label": "y", "key": ["id"]},
        "oversample": {"max_exact_bytes": 2**20, "sampling_strategy": 0.8, **oversample},
    }
    return parse_config(document, Path(folder / "planned.toml"))


@pytest.mark.parametrize(
    ("whole", "storage", "refused"),
    [
        ("id % 1000", "float", False),
        ("id * 1000003 + id % 7", "double", True),
        ("id * 1000003", "float", False),
        ("cast((id * 7 + 1) % 99999 / 7 as decimal(9, 4))", "double", True),
        ("cast(id % 99999 as decimal(9, 4))", "float", False),
        ("date_add(date'2020-01-01', int(id % 1000))", "float", False),
        ("timestamp_millis(1700000000123 + id * 61)", "double", True),
        ("timestamp_seconds(1700000000 + id)", "float", False),
    ],
)
def test_exact_neighbors_are_announced_where_the_run_finds_them_and_refused_where_it_refuses(
    spark: SparkSession, tmp_path: Path, whole: str, storage: str, refused: bool
) -> None:
    config = configured(spark, tmp_path, whole, neighbors="exact")
    told = plan(spark, config)
    SPARK_STAGES["prepare"](spark, config)
    assert dict(read_table(spark, f"{config.run.warehouse}/features").dtypes)["w"] == storage
    if refused:
        assert "which the run would refuse: class '1' has 30000 train rows of 4 features, 1200000 bytes, but" in told
        with pytest.raises(DataError, match=r"class '1' has \d+ train rows of 4 features, \d+ bytes, but"):
            SPARK_STAGES["oversample"](spark, config)
    else:
        assert "exact neighbours, 900,000,000 distances; 703 KiB sent to each executor (limit 1 MiB)" in told
        assert SPARK_STAGES["oversample"](spark, config).rows["synthetic"] > 0


def test_without_a_wish_the_plan_says_cells_where_the_run_takes_cells(spark: SparkSession, tmp_path: Path) -> None:
    told = plan(spark, configured(spark, tmp_path, "id * 1000003 + id % 7"))
    assert "neighbours in spatial cells, at least 95% of the true ones; 1.14 MiB, more than 1 MiB" in told
