"""How fast transactions are made, and how hard their frauds are to find.

python benchmarks/simulate.py [--rows 10_000_000]

Speed: writing Parquet and Delta. Difficulty: scikit-learn's forest on 120,000 rows as conf/local.toml splits them, with
windows computed in pandas; its average precision ought to be far above the share of frauds, and below 0.95.
"""

import argparse
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import folder_bytes, print_table, write_results
from measuring_spark import measure, open_spark
from pyspark.sql import SparkSession
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from raresmith.config import SimulateConfig
from raresmith.spark.simulate.transactions import simulate

DAY = 86_400


def speed(spark: SparkSession, rows: int, folder: Path) -> list[dict[str, Any]]:
    """Seconds and bytes of writing `rows` transactions, after a small table has warmed up the JVM."""
    simulate(spark, SimulateConfig(rows=100_000), 0).write.parquet(str(folder / "warm"))
    config = SimulateConfig(rows=rows, customers=max(1, rows // 200), terminals=max(1, rows // 100))
    results = []

    def write(kind: str, target: Path) -> None:
        simulate(spark, config, 0).write.format(kind).save(str(target))

    for kind in ("parquet", "delta"):
        target = folder / kind
        measured = measure(spark, partial(write, kind, target))
        results.append({"format": kind, "rows": rows, **asdict(measured), "bytes": folder_bytes(target)})
    return results


def windows(df: pd.DataFrame, entity: str, value: str, delay_days: int) -> pd.DataFrame:
    """Count and mean of `value` over the 1, 7 and 30 days that end `delay_days` before each row."""
    made = {f"{entity} {what} {days}": np.zeros(len(df)) for days in (1, 7, 30) for what in ("count", "mean")}
    seconds = df["tx_time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    for rows in df.groupby(entity).indices.values():
        times, values = seconds[rows], df[value].to_numpy(dtype=float)[rows]
        sums = np.concatenate([[0.0], np.cumsum(values)])
        last = np.searchsorted(times, times - delay_days * DAY, side="right")
        for days in (1, 7, 30):
            first = np.searchsorted(times, times - (delay_days + days) * DAY, side="right")
            made[f"{entity} count {days}"][rows] = last - first
            made[f"{entity} mean {days}"][rows] = (sums[last] - sums[first]) / np.maximum(last - first, 1)
    return pd.DataFrame(made)


def difficulty(spark: SparkSession, seed: int) -> dict[str, Any]:
    """Average precision of a forest on the test week, with and without windows, and for each scenario alone."""
    df = simulate(spark, SimulateConfig(rows=120_000), seed).toPandas().sort_values("transaction_id", ignore_index=True)
    row = {"amount": df["amount"], "age": df["age_days"].fillna(-1), "recurring": df["is_recurring"].astype(int)}
    row |= {"weekend": df["tx_time"].dt.weekday >= 5, "night": df["tx_time"].dt.hour <= 6}
    row |= {name: df[name].astype("category").cat.codes for name in ("channel", "merchant_category", "country")}
    alone = pd.DataFrame(row)
    past = [windows(df, "customer_id", "amount", 0), windows(df, "terminal_id", "is_fraud", 7)]
    train = df["tx_time"].between("2025-01-31", "2025-02-13 23:59:59")
    test = df["tx_time"].between("2025-02-21", "2025-02-28 23:59:59")
    label, scenario = df["is_fraud"], df["fraud_scenario"][test]
    scores = {}
    for name, features in (("without windows", alone), ("with windows", pd.concat([alone, *past], axis=1))):
        forest = RandomForestClassifier(100, max_depth=20, n_jobs=-1, random_state=0)
        forest.fit(features[train], label[train])
        scores[name] = forest.predict_proba(features[test])[:, 1]
    best = scores["with windows"]
    return {
        "seed": seed,
        "train_rows": int(train.sum()),
        "train_frauds": int(label[train].sum()),
        "test_rows": int(test.sum()),
        "test_frauds": int(label[test].sum()),
        "fraud_share": float(label.mean()),
        "roc_auc": float(roc_auc_score(label[test], best)),
        "average_precision": float(average_precision_score(label[test], best)),
        "average_precision_without_windows": float(average_precision_score(label[test], scores["without windows"])),
        "average_precision_by_scenario": {
            kind: float(average_precision_score(scenario[among] == kind, best[among]))
            for kind in (1, 2, 3)
            for among in [scenario.isin([0, kind]).to_numpy()]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        spark = open_spark("benchmark simulate", Path(folder), driver_memory="2g")
        fast = speed(spark, rows, Path(folder))
        hard = [difficulty(spark, seed) for seed in (0, 1, 2)]
        spark.stop()
    figures = [(r["seconds"], r["cpu_seconds"] or 0, r["bytes"] / 1e6) for r in fast]
    print_table(
        ["format", "rows", "seconds", "CPU seconds", "MB"],
        [[r["format"], f"{rows:,}", *(f"{x:.1f}" for x in own)] for r, own in zip(fast, figures, strict=True)],
    )
    print()
    print_table(
        [
            "seed",
            "share",
            "test frauds",
            "ROC AUC",
            "AP",
            "AP without windows",
            "AP amounts",
            "AP terminals",
            "AP cards",
        ],
        [
            [str(h["seed"]), f"{h['fraud_share']:.4f}", str(h["test_frauds"])]
            + [f"{h[k]:.3f}" for k in ("roc_auc", "average_precision", "average_precision_without_windows")]
            + [f"{h['average_precision_by_scenario'][kind]:.3f}" for kind in (1, 2, 3)]
            for h in hard
        ],
    )
    print(f"\nWritten to {write_results('simulate', {'speed': fast, 'difficulty': hard})}")


if __name__ == "__main__":
    main()
