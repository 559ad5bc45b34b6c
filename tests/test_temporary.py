"""What processes that were killed left in the temporary folder is deleted, and nothing else."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from raresmith.temporary import delete_leftovers, name_of


def test_only_what_ended_processes_left_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    left = [f"raresmith-spark-{ended.pid}.log", f"raresmith-refine-{ended.pid}-x1_y"]
    kept = [
        f"{name_of('spark')}.log",
        f"{name_of('refine')}-ab",
        f"raresmith-crash-{ended.pid}.log",
        f"raresmith-spark-{ended.pid}.log.old",
        "raresmith-tests-ivy.lock",
        f"spark-{ended.pid}",
    ]
    for name in (*left, *kept):
        if "refine" in name:
            (tmp_path / name / "0").mkdir(parents=True)
            (tmp_path / name / "0" / "error.json").touch()
        else:
            (tmp_path / name).touch()
    delete_leftovers()
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_a_command_tidies_before_it_begins(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    left = tmp_path / f"raresmith-spark-{ended.pid}.log"
    left.touch()
    command = [sys.executable, "-m", "raresmith", "plan", str(tmp_path / "none.toml")]
    done = subprocess.run(command, env={"TMPDIR": str(tmp_path)}, capture_output=True, check=False)
    assert done.returncode == 2 and not left.exists()
