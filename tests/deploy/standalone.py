"""A Spark standalone cluster as processes on this machine, whose Python lacks raresmith."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyspark

ROOT = Path(__file__).parents[2]
SPARK_HOME = Path(pyspark.__file__).parent

# An application lives for seconds in up to four JVMs, so what compiles code for speed costs more than it gains: Java's
# second compiler, and all code that Spark writes.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

SPARK_DEFAULTS = """
spark.sql.codegen.wholeStage  false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.ui.enabled              false
spark.sql.ui.explainMode      simple
spark.driver.host             127.0.0.1
spark.driver.bindAddress      127.0.0.1
spark.driver.memory           1g
spark.executor.memory         900m
spark.executor.cores          1
spark.sql.shuffle.partitions  3
"""


def wait_for(condition: Callable[[], object], what: str, seconds: float = 900) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def python_without_raresmith(folder: Path) -> Path:
    """A Python with the packages of this one but raresmith, like that of a node to which nothing was shipped."""
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    # The folder is put on the path, but its own .pth files, one of which leads to raresmith's sources, are not read.
    (packages / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin" / "python"


class Cluster:
    """A master and its workers; each worker and its executors are a process group."""

    def __init__(self, folder: Path, delta_jars: str) -> None:
        self.folder = folder
        self.python = python_without_raresmith(folder / "python")
        (folder / "conf").mkdir()
        (folder / "conf" / "spark-defaults.conf").write_text(SPARK_DEFAULTS)
        shipped = subprocess.run(
            [ROOT / "deploy" / "package.sh", folder / "dist"],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
        )
        assert shipped.returncode == 0, shipped.stderr
        self.package = Path(shipped.stdout.strip())
        self.delta_jars = delta_jars
        self.groups: list[subprocess.Popen[bytes]] = []
        self.commands = 0
        self.master_log = folder / "master.log"

    @property
    def environment(self) -> dict[str, str]:
        """What the recipes need; nothing that would let Python find raresmith by itself."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYSPARK", "SPARK", "RARE"))}
        return {
            **inherited,
            "PATH": f"{SPARK_HOME / 'bin'}:{os.environ['PATH']}",
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_DAEMON_MEMORY": "256m",
            "JDK_JAVA_OPTIONS": JAVA_OPTIONS,  # every JVM takes these, whatever options it is given
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
            "GLOO_SOCKET_IFNAME": "lo",
            "PYTHON": str(self.python),
            "PYSPARK_PYTHON": str(self.python),
            "RARESMITH_PACKAGE": str(self.package),
            "RARESMITH_DELTA_JARS": self.delta_jars,
        }

    def start(self) -> None:
        self._start("master.Master", self.master_log, "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        pattern = r"Starting Spark master at (spark://\S+)"
        wait_for(lambda: re.search(pattern, self.master_log.read_text()), "the master")
        self.url = re.findall(pattern, self.master_log.read_text())[-1]
        self.workers = [self.start_worker(number) for number in (1, 2)]

    def start_worker(self, number: int) -> subprocess.Popen[bytes]:
        before = self._registered()
        worker = self._start(
            "worker.Worker",
            self.folder / f"worker{number}.log",
            *("--host", "127.0.0.1", "--port", "0", "--webui-port", "0", "--cores", "1", "--memory", "1g"),
            *("--work-dir", str(self.folder / f"work{number}"), self.url),
        )
        wait_for(lambda: self._registered() > before, f"worker {number}")
        return worker

    def _registered(self) -> int:
        return self.master_log.read_text().count("Registering worker")

    def _start(self, name: str, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [SPARK_HOME / "bin" / "spark-class", f"org.apache.spark.deploy.{name}", *arguments],
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.groups.append(process)
        return process

    def executors_of(self, worker: subprocess.Popen[bytes]) -> list[int]:
        """Process ids of the executors that `worker` started."""
        return [pid for pid, _, group, words in processes() if group == worker.pid and "CoarseGrainedExecutor" in words]

    def runs_python_on(self, worker: subprocess.Popen[bytes]) -> bool:
        """Whether an executor of `worker` has Python at work."""
        executors = set(self.executors_of(worker))
        return any(parent in executors and "pyspark.daemon" in words for _, parent, _, words in processes())

    def submit(self, stage: str, config: Path, *options: str, **environment: str) -> "Command":
        """Start the recipe of a Spark stage."""
        return self.run(ROOT / "deploy" / "spark-submit" / "submit.sh", stage, config, *options, **environment)

    def run(self, *command: str | Path, **environment: str) -> "Command":
        """Start `command` where it finds the cluster, the package to ship, and nothing of this checkout."""
        self.commands += 1
        log = self.folder / f"command{self.commands}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                env={**self.environment, "SPARK_MASTER": self.url, **environment},
                cwd=self.folder,  # Python looks in the working folder too
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.groups.append(process)
        return Command(process, log)

    def stop(self) -> None:
        for process in reversed(self.groups):
            process.terminate()  # a worker that is asked takes its executors along
        for process in self.groups:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                pass
            finally:
                kill_group(process)


def processes() -> list[tuple[int, int, int, str]]:
    """Process id, parent, group and command line of everything that runs."""
    out = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,pgid=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 3) for line in out.stdout.splitlines())
    return [(int(row[0]), int(row[1]), int(row[2]), row[3]) for row in rows if len(row) == 4]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all of its group at once, as a machine that goes dark."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


@dataclass
class Command:
    """A command that was started, and where its output goes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def said(self, words: str) -> int:
        """How often its output has `words` so far."""
        return self.log.read_text(errors="replace").count(words)

    def finish(self, seconds: float = 900) -> str:
        """Its output; it must end well."""
        try:
            self.process.wait(seconds)
        finally:
            kill_group(self.process)
        out = self.log.read_text(errors="replace")
        assert self.process.returncode == 0, out[-6000:]
        return out
