"""What the benchmarks share: bytes on disk, a table, and a JSON file."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raresmith.tables.stage_run import library_versions

RESULTS = Path(__file__).parent / "results"


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
