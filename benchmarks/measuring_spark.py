"""What the benchmarks of Spark share: a session, seconds and processor time, memory of the Python workers."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from raresmith.config import SparkConfig
from raresmith.spark.session import get_spark


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
