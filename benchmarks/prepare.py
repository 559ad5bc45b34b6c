"""Prepare against the pipeline that pyspark.ml offers for the same work, and polars, turn about in one warm session.

python benchmarks/prepare.py [--rows 5_000_000] [--columns 28] [--turns 3]

The table has float columns and 2 text columns of 400 categories, as Parquet. The peers index and scale them and write
Parquet, that of pyspark.ml as one vector; ours is the whole stage: contract, row ids, split, fit on the train rows,
encode, Delta table with its checks, count and content hash. "scan" reads the table and writes it again: what no way of
doing it saves.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from measuring import folder_bytes, print_table, write_results
from measuring_spark import measure, open_spark
from pyspark.ml import Pipeline
from pyspark.ml.feature import StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import load_config
from raresmith.spark.stages.prepare import prepare_stage

TEXTS = ["merchant", "city"]
CATEGORIES = 400
FRAUD_PER_MILLE = 2

CONFIG = """
[run]
name = "benchmark"
warehouse = "{warehouse}"

[source]
path = "{source}"
label = "class"
key = ["id"]
"""


def numbers(columns: int) -> list[str]:
    """The names of the float columns."""
    return [f"v{i}" for i in range(1, columns + 1)]


def wide_table(spark: SparkSession, rows: int, columns: int) -> DataFrame:
    """`rows` rows of an id, a class, floats about normal and 2 texts; the same every time."""

    def bits(name: str) -> Any:
        return F.xxhash64(F.lit(name), "id")

    # The sum of four 16-bit numbers: near enough to normal, and no two rows alike.
    def normal(name: str) -> Any:
        parts = [F.shiftrightunsigned(bits(name), 16 * i).bitwiseAND(0xFFFF) for i in range(4)]
        return ((sum(parts[1:], parts[0]) - 131_070) / 37_837).cast("float")

    def text(name: str) -> Any:
        return F.concat(F.lit(f"{name} "), F.pmod(bits(name), F.lit(CATEGORIES)).cast("string"))

    return spark.range(0, rows, 1, 8).select(
        "id",
        (F.pmod(bits("class"), F.lit(1000)) < FRAUD_PER_MILLE).cast("int").alias("class"),
        *[normal(name).alias(name) for name in numbers(columns)],
        *[text(name).alias(name) for name in TEXTS],
    )


def peer(spark: SparkSession, source: Path, target: Path, columns: int) -> None:
    """StringIndexer, VectorAssembler and StandardScaler, fitted on the table and written as Parquet."""
    df = spark.read.parquet(str(source))
    indexed = [f"{name}_index" for name in TEXTS]
    pipeline = Pipeline(
        stages=[
            StringIndexer(inputCols=TEXTS, outputCols=indexed, handleInvalid="keep"),
            VectorAssembler(inputCols=[*numbers(columns), *indexed], outputCol="assembled"),
            StandardScaler(inputCol="assembled", outputCol="features", withMean=True, withStd=True),
        ]
    )
    pipeline.fit(df).transform(df).select("id", "class", "features").write.parquet(str(target))


def in_polars(_: SparkSession, source: Path, target: Path, columns: int) -> None:
    """The same by polars, in one process."""
    table = pl.scan_parquet(source / "*.parquet")
    names = numbers(columns)
    spread = table.select(pl.col(names).mean().name.suffix(" mean"), pl.col(names).std().name.suffix(" std")).collect()
    found = spread.row(0, named=True)
    scaled = [((pl.col(n) - found[f"{n} mean"]) / found[f"{n} std"]).cast(pl.Float32).alias(n) for n in names]
    codes = [pl.col(name).cast(pl.Categorical).to_physical() for name in TEXTS]
    target.mkdir()
    table.select("id", "class", *scaled, *codes).sink_parquet(target / "part.parquet", compression="snappy")


def ours(spark: SparkSession, source: Path, target: Path) -> None:
    """The prepare stage, as `raresmith prepare` runs it."""
    path = target.with_suffix(".toml")
    path.write_text(CONFIG.format(warehouse=target, source=source), encoding="utf-8")
    prepare_stage(spark, load_config(path))


def scan(spark: SparkSession, source: Path, target: Path) -> None:
    """Read and write, nothing more."""
    spark.read.parquet(str(source)).write.parquet(str(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--columns", type=int, default=28)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    ways: dict[str, Callable[[SparkSession, Path, Path], None]] = {
        "scan": scan,
        "peer": partial(peer, columns=arguments.columns),
        "polars": partial(in_polars, columns=arguments.columns),
        "ours": ours,
    }
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spark = open_spark("benchmark prepare", folder, driver_memory="3g")
        small, source = folder / "small", folder / "source"
        wide_table(spark, 50_000, arguments.columns).write.parquet(str(small))
        wide_table(spark, arguments.rows, arguments.columns).write.parquet(str(source))
        source_bytes = folder_bytes(source)
        for name, way in ways.items():
            way(spark, small, folder / f"warm-{name}")
        for turn in range(arguments.turns):
            for name, way in ways.items():
                target = folder / f"{name}-{turn}"
                took = measure(spark, partial(way, spark, source, target))
                # The quarantine and the encoder are of no size; the features are what the next stage reads.
                measured[name].append({**asdict(took), "bytes": folder_bytes(target)})
                print(f"turn {turn + 1} {name}: {took.seconds:.1f} s", flush=True)
        spark.stop()
    middle = {
        name: {key: statistics.median(turn[key] or 0 for turn in turns) for key in ("seconds", "cpu_seconds", "bytes")}
        for name, turns in measured.items()
    }
    print_table(
        ["", "seconds", "CPU seconds", "MB", "peer's seconds ÷ its", "its bytes ÷ peer's"],
        [
            [
                name,
                f"{m['seconds']:.1f}",
                f"{m['cpu_seconds']:.1f}",
                f"{m['bytes'] / 1e6:.0f}",
                f"{middle['peer']['seconds'] / m['seconds']:.2f}",
                f"{m['bytes'] / middle['peer']['bytes']:.2f}",
            ]
            for name, m in middle.items()
        ],
    )
    results = {
        "rows": arguments.rows,
        "columns": arguments.columns,
        "source_bytes": source_bytes,
        "median": middle,
        "turns": measured,
    }
    name = "prepare" if arguments.columns == 28 else f"prepare_{arguments.columns}"
    print(f"\nWritten to {write_results(name, results)}")


if __name__ == "__main__":
    main()
