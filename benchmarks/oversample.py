"""Oversampling in memory against imbalanced-learn, and in Spark against reading and writing as many rows.

python benchmarks/oversample.py [--turns 3] [--part memory|spark|all] [--large]

Every time is one of several, taken turn about. In memory each sampler runs in a process of its own, warmed up on 2,000
rows, and its memory is what the process grew by. In Spark one warm session of local[2] reads Parquet and writes a Delta
table, with its count and content hash; "scan" writes as many rows as ours does, read from Parquet, to a Delta table and
nothing more. --large adds 4 million minority rows.

The rows lie near a curved surface of 8 dimensions in 30 columns, as real tables do; "normal" is 30 independent normal
columns, where no partition of space helps.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE
from measuring import print_figures, write_results
from measuring_spark import measure, open_spark, worker_memory
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score

from raresmith.config import OversampleConfig, parse_config
from raresmith.encoding.encoder import Encoder, Label, NumericFeature
from raresmith.gan.data.tables import query, read_table
from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import nearest, processors
from raresmith.oversampling.base import Features
from raresmith.oversampling.other_classes import InMemory, among_other_classes
from raresmith.oversampling.plan import ClassPlan, in_cells, plan_class
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.tables import contracts
from raresmith.tables.stage_run import StageRun

FEATURES = 30
CATEGORICAL = 6
THREADS = processors()


def table(kind: str, n_minority: int, n_majority: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of shape (n_rows, FEATURES), the minority first, and labels."""
    n = n_minority + n_majority
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(0)
    label = np.repeat([1, 0], [n_minority, n_majority])
    shift = label[:, None] * mixing.standard_normal(8)
    if kind == "normal":
        rows = rng.standard_normal((n, FEATURES)) + label[:, None] * 0.3
    else:
        hidden = rng.standard_normal((n, 8)) + shift
        rows = np.tanh(hidden @ mixing.standard_normal((8, FEATURES)) / 2) + 0.1 * rng.standard_normal((n, FEATURES))
    if kind == "mixed":
        rows[:, -CATEGORICAL:] = np.floor(4 * (rows[:, -CATEGORICAL:] + 2)).clip(0, 15) + 2
    return rows.astype(np.float32), label


def all_rows(plan: ClassPlan) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Made rows, and the ids of their bases and neighbours, by all threads."""
    edges = np.linspace(0, plan.n_to_make, 8 * THREADS + 1).astype(int)
    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(lambda a, b: plan.rows(np.arange(a, b)), edges[:-1].tolist(), edges[1:].tolist()))
    made = np.concatenate([part.columns for part in parts], axis=1)
    bases = np.concatenate([part.base_row_id for part in parts])
    return made.T, bases, np.concatenate([part.neighbor_row_id for part in parts])


def ours(rows: NDArray[Any], label: NDArray[Any], n_to_make: int, method: str, neighbors: str, kind: str) -> Any:
    """Made rows with the positions of their parents."""
    columns, rare = np.ascontiguousarray(rows.T), label == 1
    is_categorical = np.zeros(FEATURES, bool)
    is_categorical[FEATURES - CATEGORICAL :] = kind == "mixed"
    ids = np.arange(len(rows))
    own, oversampler = np.ascontiguousarray(columns[:, rare]), OVERSAMPLERS[method]()
    plan = plan_class(oversampler, ids[rare], own, Features(is_categorical), n_to_make, 5, 0)
    if neighbors == "cells":
        plan, _ = in_cells(plan, "cells", 0.95)
    if oversampler.needs_other_classes:
        others = InMemory(ids[~rare], np.ascontiguousarray(columns[:, ~rare]), THREADS)
        plan = among_other_classes(plan, n_to_make, others, THREADS)
    return all_rows(plan)


def peer(rows: NDArray[Any], label: NDArray[Any], n_to_make: int, method: str, neighbors: str, kind: str) -> Any:
    """Made rows of imbalanced-learn; it does not tell their parents."""
    strategy = {1: int((label == 1).sum()) + n_to_make}
    if kind == "mixed":
        sampler = SMOTENC(list(range(FEATURES - CATEGORICAL, FEATURES)), sampling_strategy=strategy, random_state=0)
    else:
        sampler = {"smote": SMOTE, "borderline-1": BorderlineSMOTE, "adasyn": ADASYN}[method](
            sampling_strategy=strategy, random_state=0
        )
    return (sampler.fit_resample(rows, label)[0][len(rows) :],)


def quality(rows: NDArray[Any], label: NDArray[Any], kind: str, made: Any) -> dict[str, float]:
    """Average precision of a forest on other rows, share of exact copies, and where parents are known their recall."""
    test, test_label = table(kind, 2000, 20_000, seed=1)
    # Of 1 in n rows of either kind, for a forest takes minutes.
    every = max(1, len(rows) // 40_000)
    augmented = np.r_[rows[::every], made[0][::every]], np.r_[label[::every], np.ones(len(made[0][::every]))]
    forest = RandomForestClassifier(50, min_samples_leaf=3, n_jobs=THREADS, random_state=0).fit(*augmented)
    real = set(map(bytes, np.ascontiguousarray(rows)))
    found = {
        "average_precision": float(average_precision_score(test_label, forest.predict_proba(test)[:, 1])),
        "copies": float(np.mean([bytes(row) in real for row in np.ascontiguousarray(made[0][:20_000])])),
    }
    if len(made) == 3 and kind != "mixed":
        columns, rare = np.ascontiguousarray(rows.T), np.flatnonzero(label == 1)
        asked = np.random.default_rng(0).permutation(len(made[1]))[:2000]
        base, neighbor = made[1][asked], made[2][asked]
        near, squared = nearest(columns[:, rare], np.searchsorted(rare, base), 5, Distance(np.zeros(FEATURES, bool)))
        drawn = np.linalg.norm(rows[base] - rows[neighbor], axis=1)
        found["recall"] = float((rare[near] == neighbor[:, None]).any(axis=1).mean())
        found["distance_ratio"] = float(drawn.mean() / np.sqrt(squared).mean())
    return found


def in_memory(
    way: str, method: str, neighbors: str, kind: str, n_minority: int, n_majority: int, n_to_make: int
) -> Any:
    """One sampler in this process, warmed up."""
    run = {"ours": ours, "imbalanced-learn": peer}[way]
    small = table(kind, 600, 1400, 2)
    run(*small, 1000, method, neighbors, kind)
    rows, label = table(kind, n_minority, n_majority, 0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, cpu, started = _megabytes("VmRSS"), time.process_time(), time.monotonic()
    made = run(rows, label, n_to_make, method, neighbors, kind)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    grown = _megabytes("VmHWM") - before
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "MB": grown, **quality(rows, label, kind, made)}


def _megabytes(name: str) -> float:
    """Memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


MEMORY = [
    # title, method, table, minority and majority rows, rows to make, ways
    ("SMOTE", "smote", "curved", 20_000, 60_000, 40_000, ("imbalanced-learn", "ours exact", "ours cells")),
    ("SMOTE", "smote", "normal", 20_000, 60_000, 40_000, ("imbalanced-learn", "ours exact", "ours cells")),
    ("Borderline-1", "borderline-1", "curved", 20_000, 60_000, 40_000, ("imbalanced-learn", "ours exact")),
    ("ADASYN", "adasyn", "curved", 20_000, 60_000, 40_000, ("imbalanced-learn", "ours exact")),
    ("SMOTENC", "smote", "mixed", 20_000, 60_000, 40_000, ("imbalanced-learn", "ours exact", "ours cells")),
    ("SMOTE", "smote", "curved", 100_000, 300_000, 200_000, ("imbalanced-learn", "ours exact", "ours cells")),
]


def memory_part(turns: int) -> list[dict[str, Any]]:
    """Each sampler in a process of its own, turn about."""
    results: list[dict[str, Any]] = []
    for title, method, kind, n_minority, n_majority, n_to_make, ways in MEMORY:
        taken: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(turns):
            for way in ways:
                name, _, neighbors = way.partition(" ")
                arguments = [name, method, neighbors, kind, n_minority, n_majority, n_to_make]
                command = [sys.executable, __file__, "--one", json.dumps(arguments)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                taken[way].append(json.loads(done.stdout.splitlines()[-1]))
        for way, runs in taken.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            results.append({"task": f"{title}, {n_minority:,} {kind} rows, {n_to_make:,} more", "way": way, **middle})
            print_row(results[-1])
        base = results[-len(ways)]
        for result in results[-len(ways) :]:
            result["times_as_fast"] = base["seconds"] / result["seconds"]
    return results


def print_row(result: dict[str, Any]) -> None:
    """As the figures come in."""
    print({key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}, flush=True)


def encoder() -> Encoder:
    """Of 30 columns that are as they were."""
    columns = [
        NumericFeature(
            name=f"v{i}", source=f"v{i}", type="float", transform="linear", center=0, scale=1, low=0, high=1,
            impute=0, step=0, storage="float", encoded_low=0, encoded_high=1,
        )
        for i in range(FEATURES)
    ]  # fmt: skip
    label = Label(name="y", type="int", classes=("0", "1"), positive="1")
    return Encoder(features=tuple(columns), label=label, raw_schema="")


def write_features(path: Path, n_minority: int, n_majority: int) -> None:
    """A `features` table as Parquet, in 8 files, piece by piece."""
    path.mkdir()
    pieces = 8
    for piece in range(pieces):
        rare, others = (n // pieces + (piece < n % pieces) for n in (n_minority, n_majority))
        rows, label = table("curved", rare, others, seed=piece)
        order = np.random.default_rng(piece).permutation(len(rows))
        columns = {
            "row_id": np.arange(len(rows)) * pieces + piece,
            "split": np.full(len(rows), "train"),
            "label": label.astype(np.int32),
            **{f"v{i}": rows[:, i] for i in range(FEATURES)},
        }
        pq.write_table(pa.table({k: v[order] for k, v in columns.items()}), path / f"{piece}.parquet")


def read_features(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """What `write_features` wrote, in the order of row_id, which is a row's position."""
    features = pq.read_table(path).sort_by("row_id")
    return _matrix(features), features["label"].to_numpy()


def read_made(path: Path) -> tuple[NDArray[Any], ...]:
    """Made rows in the order of their ids, with the ids of their parents."""
    columns = ", ".join(["base_row_id", "neighbor_row_id", *(f"v{i}" for i in range(FEATURES))])
    made = query(read_table(str(path)), f"SELECT {columns} FROM t ORDER BY row_id").read_all()
    return _matrix(made), made["base_row_id"].to_numpy(), made["neighbor_row_id"].to_numpy()


def _matrix(rows: pa.Table) -> NDArray[Any]:
    return np.stack([rows[f"v{i}"].to_numpy() for i in range(FEATURES)], axis=1)


Case = tuple[str, int, int, int, Literal["auto", "exact", "cells"], float]
SPARK: list[Case] = [
    # method, minority and majority rows, rows to make, neighbors, least recall
    ("smote", 5_000, 500_000, 495_000, "exact", 0.95),
    ("smote", 20_000, 20_000, 40_000, "exact", 0.95),
    ("smote", 100_000, 20_000, 200_000, "cells", 0.98),
    ("smote", 400_000, 20_000, 800_000, "cells", 0.95),
    ("adasyn", 100_000, 300_000, 200_000, "exact", 0.95),
    ("adasyn", 100_000, 300_000, 200_000, "cells", 0.95),
    ("borderline-1", 400_000, 2_000_000, 800_000, "cells", 0.95),
    ("imblearn", 100_000, 300_000, 200_000, "cells", 0.95),
]
LARGE: Case = ("smote", 4_000_000, 20_000, 8_000_000, "auto", 0.95)


def spark_part(turns: int, large: bool) -> list[dict[str, Any]]:
    """Parquet in, Delta out, in one warm session."""
    from raresmith.spark.oversample.oversample import oversample
    from raresmith.spark.tables import write_table

    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spark = open_spark("benchmark oversample", folder, driver_memory="4g")
        contract = contracts.synthetic(encoder())
        for case, asked in enumerate([*SPARK, *([LARGE] if large else [])]):
            method, n_minority, n_majority, n_to_make, neighbors, min_recall = asked
            source = folder / f"features-{case}"
            write_features(source, n_minority, n_majority)
            own: dict[str, Any] = {"sampler": "BorderlineSMOTE"} if method == "imblearn" else {}
            config = OversampleConfig(
                method=method,
                sampling_strategy={"1": n_minority + n_to_make},
                neighbors=neighbors,
                min_recall=min_recall,
                **own,
            )
            told: dict[str, Any] = {}

            def make(target: Path, source: Path = source, config: Any = config, told: Any = told) -> None:
                document = {"run": {"name": target.name, "warehouse": "w"}, "source": {"path": "raw", "label": "y"}}
                run = StageRun(config=parse_config(document, target).recording(), stage="oversample")
                made = oversample(spark.read.parquet(str(source)), encoder(), config, 0, target.name)
                told.update(made.measures["1"])
                write_table(made.rows, contract, str(target), run)
                made.release()

            def scan(target: Path, rows: Path) -> None:
                spark.read.format("delta").load(str(rows)).write.format("delta").save(str(target))

            # The compilers of Java take some turns to be done.
            make(folder / f"warm-{case}")
            for turn in range(3 if n_minority <= 100_000 else 0):
                make(folder / f"warm-{case}-{turn}")
            measured: dict[str, list[Any]] = {"scan": [], "ours": []}
            with worker_memory(spark) as megabytes:
                for turn in range(turns if n_minority < 10**6 else 1):
                    target = folder / f"made-{case}-{turn}"
                    measured["ours"].append(measure(spark, partial(make, target)))
                    rows = folder / f"warm-{case}"
                    measured["scan"].append(measure(spark, partial(scan, target.with_suffix(".scan"), rows)))
            result = {
                "task": f"{method}, {n_minority:,} of {n_minority + n_majority:,} rows, {n_to_make:,} more",
                **told,
            }
            for way, runs in measured.items():
                result[f"{way}_seconds"] = statistics.median(run.seconds for run in runs)
                result[f"{way}_cpu_seconds"] = statistics.median(run.cpu_seconds or 0 for run in runs)
            result["worker_MB"] = megabytes[-1]
            if n_minority < 10**6:
                result.update(quality(*read_features(source), "curved", read_made(target)))
            results.append(result)
            print_row(result)
        spark.stop()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--part", choices=["memory", "spark", "all"], default="all")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(in_memory(*json.loads(arguments.one))))
        return
    results: dict[str, Any] = {}
    if arguments.part in ("memory", "all"):
        results["memory"] = memory_part(arguments.turns)
    if arguments.part in ("spark", "all"):
        results["spark"] = spark_part(arguments.turns, arguments.large)
    for rows in results.values():
        print()
        print_figures(rows)
    name = "oversample" if arguments.part == "all" else f"oversample_{arguments.part}"
    print(f"\nWritten to {write_results(name, results)}")


if __name__ == "__main__":
    main()
