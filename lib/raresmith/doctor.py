"""What a run needs of this machine, and what to do where it is missing."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raresmith.config import Config
from raresmith.config.sections.spark import SparkConfig
from raresmith.spark.needs import JAVA_HINT, delta_package, java_fault

_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
ROOM = 5 * 2**30
"""Bytes of free disk below which Spark's shuffles fill it soon."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was looked at."""

    what: str
    found: str
    cure: str = ""
    """What to do; "" where it is well."""

    def __str__(self) -> str:
        """As a terminal shows it."""
        line = f"{'ok' if not self.cure else 'MISSING':<8}{self.what:<14}{self.found}"
        return f"{line}\n{'':<22}{self.cure}" if self.cure else line


def examine(config: Config | None) -> list[Finding]:
    """All that a run needs; of `config`, where there is one, its memory and its warehouse too."""
    spark = config.spark if config else SparkConfig()
    warehouse = config.run.warehouse if config else ""
    return [
        Finding(what="Python", found=sys.version.split()[0]),
        java(),
        *packages(reads_excel=config is not None and config.source.format == "excel"),
        delta_jars(Path(os.environ.get("IVY_HOME", Path.home() / ".ivy2.5.2"))),
        memory(spark.driver_memory if spark.master.startswith("local") else "0", _total_memory()),
        Finding(what="cores", found=str(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count())),
        gpu(),
        *(disk(what, place) for what, place in _places(warehouse)),
        *([store(warehouse)] if "://" in warehouse else []),
    ]


def java() -> Finding:
    """The Java that Spark will start."""
    if fault := java_fault():
        return Finding(what="Java", found=fault, cure=JAVA_HINT)
    return Finding(what="Java", found=os.environ.get("JAVA_HOME") or shutil.which("java") or "")


def packages(*, reads_excel: bool = False) -> Iterator[Finding]:
    """The packages of each part."""
    parts = {
        "spark": ("Spark", ("pyspark", "delta-spark", "pandas", "pyarrow", "numba", "jinja2")),
        "train": ("trainer", ("torch", "deltalake", "safetensors", "scikit-learn")),
        **({"excel": ("Excel", ("openpyxl",))} if reads_excel else {}),
    }
    for extra, (what, names) in parts.items():
        versions = {name: _version(name) for name in names}
        missing = [name for name, found in versions.items() if not found]
        yield Finding(
            what=what,
            found=", ".join(f"{name} {found or 'is not installed'}" for name, found in versions.items()),
            cure=f"pip install 'raresmith[{extra}]'" if missing else "",
        )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def delta_jars(ivy: Path) -> Finding:
    """Delta's jars, which the first run fetches from Maven unless they are told; `ivy` is where Spark keeps them."""
    if told := os.environ.get("RARESMITH_DELTA_JARS", ""):
        lacking = [jar for jar in told.split(",") if ":" not in jar and not Path(jar).exists()]
        cure = f"RARESMITH_DELTA_JARS names {', '.join(lacking)}, which is not there" if lacking else ""
        return Finding(what="Delta's jars", found="as RARESMITH_DELTA_JARS says", cure=cure)
    try:
        package = delta_package()
    except PackageNotFoundError as error:
        return Finding(what="Delta's jars", found="not looked for", cure=f"install {error.name} first")
    group, name, number = package.split(":")
    if (ivy / "jars" / f"{group}_{name}-{number}.jar").exists():
        return Finding(what="Delta's jars", found=package)
    return Finding(
        what="Delta's jars",
        found=f"{package} was not fetched yet",
        cure="the first run fetches it from Maven Central; without a way there, put the jars somewhere and name them "
        "in RARESMITH_DELTA_JARS, with commas between",
    )


def memory(asked: str, total: int) -> Finding:
    """Whether the machine has what Spark's driver asks for, and as much again for Python and the trainer."""
    wanted = int(float(asked[:-1]) * _UNITS[asked[-1].lower()]) if asked[-1:].lower() in _UNITS else int(asked)
    found = f"{total / 2**30:.1f} GiB"
    if not wanted or 2 * wanted <= total:
        return Finding(what="memory", found=found)
    fits = max(1, total // 2**30 // 2)
    return Finding(
        what="memory",
        found=f"{found}, of which spark.driver_memory takes {asked}",
        cure=f'set spark.driver_memory = "{fits}g": Python and the trainer want as much again',
    )


def _total_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpu() -> Finding:
    """What the trainer would compute on."""
    if not _version("torch"):
        return Finding(what="GPU", found="not looked for, without torch")
    torch = import_module("torch")
    if not torch.cuda.is_available():
        return Finding(what="GPU", found="none, which is well: the models are small, and train on the CPU")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding(what="GPU", found=", ".join(names))


def _places(warehouse: str) -> Iterator[tuple[str, Path]]:
    yield "disk, Spark", Path(os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0])
    if warehouse and "://" not in warehouse:
        yield "disk, tables", Path(warehouse)


def disk(what: str, place: Path) -> Finding:
    """Whether files can be made at `place`, or in the nearest folder above that is there, and for how long."""
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / 2**30:.1f} GiB free at {there}"
    if not os.access(there, os.W_OK) or not there.is_dir():
        return Finding(
            what=what, found=found, cure=f"nothing can be written at {there}; name another folder, or ask for it"
        )
    cure = f"free {ROOM // 2**30} GiB: shuffles and tables fill it soon" if free < ROOM else ""
    return Finding(what=what, found=found, cure=cure)


def store(location: str) -> Finding:
    """Whether the object store of the warehouse answers."""
    if not location.startswith(("s3://", "s3a://")):
        return Finding(what="object store", found=f"{location} was not tried")
    from raresmith.gan.folder import STORE_CURE, in_a_line, open_folder

    try:
        open_folder(location).names()
    except Exception as error:  # stores fail in all ways, and each is a finding
        return Finding(what="object store", found=in_a_line(error), cure=STORE_CURE)
    return Finding(what="object store", found=f"{location} answers")
