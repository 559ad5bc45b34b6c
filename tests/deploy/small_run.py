"""The small run on a simulated table that the tests of deployment share."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from raresmith.config import Config
from raresmith.tables.stage_run import StageRun, read_note

DAY = "2025-03-01"
TABLES = ("features", "quarantine", "encoder", "synthetic", "refined", "metrics", "augmented", "runs")

CONFIG = """
[run]
name = "small"
warehouse = "{warehouse}"
random_state = 7

[simulate]
rows = 20_000
customers = 200
terminals = 400
start = "2025-01-01"
days = 60
fraud_share = 0.02

[source]
path = "{transactions}"
format = "delta"
label = "is_fraud"
key = ["transaction_id"]
timestamp = "tx_time"
ignore = ["customer_id", "terminal_id", "fraud_scenario"]

[split]
strategy = "time"
train = ["2025-01-31", "2025-02-13"]
validation = ["2025-01-24", "2025-01-30"]
test = ["2025-02-21", "2025-02-28"]
delay_days = 7
known_entity = "customer_id"

[prepare]
calendar = ["weekend", "night"]
on_null = "quarantine"

[[prepare.windows]]
entity = "customer_id"
days = [1, 7]
mean = ["amount"]

[oversample]
sampling_strategy = 0.2
num_partitions = 8

[refine]
steps = 40
checkpoint_every = 20
nproc_per_node = 2
device = "cpu"

[evaluate]
strategies = ["none", "smote", "refined"]
bootstrap = 20
entity = "customer_id"

[evaluate.classifiers.random_forest]
num_trees = 5
max_depth = 5

[spark]
driver_memory = "1g"
shuffle_partitions = 4
"""


def write_config(folder: Path, *, transactions: Path | None = None) -> Path:
    """Write the run's configuration into `folder`, with the warehouse beside it; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.toml"
    warehouse = folder / "warehouse"
    path.write_text(CONFIG.format(warehouse=warehouse, transactions=transactions or folder / "transactions"))
    return path


def versions(warehouse: Path) -> dict[str, int]:
    """The newest version of each table."""
    return {name: DeltaTable(warehouse / name).version() for name in TABLES}


def noted_stages(warehouse: Path) -> dict[str, dict[str, Any]]:
    """The rows of `runs` by stage, their documents read."""
    # Not by to_pyarrow_table: one in ten processes that called it aborts at its end.
    runs = QueryBuilder().register("runs", DeltaTable(warehouse / "runs")).execute("SELECT * FROM runs")
    return {row["stage"]: read_note(row) for row in pa.table(runs).to_pylist()}


def stale_stages(notes: dict[str, dict[str, Any]], config: Config) -> set[str]:
    """Which of the noted stages would run again under `config`, on the tables that they read."""
    return {
        stage
        for stage, note in notes.items()
        if not StageRun(config=config, stage=stage, inputs=note["inputs"]).made(note)
    }
