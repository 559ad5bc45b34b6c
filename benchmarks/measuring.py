"""What the benchmarks share: seconds of the wall and of the processor, bytes on disk, a table, and a JSON file."""

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from raresmith.config import SparkConfig
from raresmith.spark.session import get_spark
from raresmith.tables.stage_run import library_versions

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How long something took; `cpu_seconds` of this process and its JVM, None where the system does not tell."""

    seconds: float
    cpu_seconds: float | None


def open_spark(name: str, folder: Path, *, driver_memory: str) -> SparkSession:
    """A local session on all processors that leaves nothing outside `folder`."""
    conf = {"spark.ui.enabled": "false", "spark.sql.warehouse.dir": str(folder / "spark-warehouse")}
    return get_spark(name, SparkConfig(master="local[*]", driver_memory=driver_memory, conf=conf))


def measure(spark: SparkSession, work: Callable[[], Any]) -> Measured:
    """Run `work` once."""
    cpu, started = _cpu_seconds(spark), time.monotonic()
    work()
    seconds, after = time.monotonic() - started, _cpu_seconds(spark)
    return Measured(seconds=seconds, cpu_seconds=None if cpu is None or after is None else after - cpu)


def _jvm(spark: SparkSession) -> int:
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    return int(gateway.proc.pid)


def _cpu_seconds(spark: SparkSession) -> float | None:
    """Seconds of processor time so far: on a machine with other work the wall alone says little."""
    own = os.times()
    try:
        stat = Path(f"/proc/{_jvm(spark)}/stat").read_text()
    except OSError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]
    return own.user + own.system + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def worker_memory(spark: SparkSession) -> Iterator[list[float]]:
    """Megabytes that any Python worker of the session held at its peak, as the last of a list once the block ends."""
    peaks, done = [0.0], threading.Event()
    jvm = _jvm(spark)
    for worker in _workers(jvm):
        (worker / "clear_refs").write_text("5")  # the peak starts anew

    def watch() -> None:
        while not done.wait(0.2):
            for worker in _workers(jvm):
                try:
                    status = (worker / "status").read_text()
                except OSError:
                    continue  # it ended
                peaks.append(
                    max(peaks[-1], *(int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line))
                )

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def _workers(jvm: int) -> list[Path]:
    """The /proc folders of the Python workers: children of the daemon that the JVM started."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended
    return [Path(f"/proc/{pid}") for pid, parent in parents.items() if parents.get(parent) == jvm]


def folder_bytes(folder: Path) -> int:
    """Bytes of the Parquet files below `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells), flush=True)


def print_figures(rows: Sequence[dict[str, Any]], header: Sequence[str] = ()) -> None:
    """A table of the columns `header`, or of all that a row has."""
    header = header or list(dict.fromkeys(key for row in rows for key in row))

    def cell(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    print_table(header, [[cell(row.get(key, "")) for key in header] for row in rows])


def write_results(name: str, results: dict[str, Any]) -> Path:
    """Write `results` and what they were measured on to benchmarks/results/<name>.json; return the path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": [round(load, 1) for load in os.getloadavg()],
        "libraries": library_versions(),
    }
    path.write_text(json.dumps({"machine": machine, **results}, indent=2) + "\n", encoding="utf-8")
    return path
