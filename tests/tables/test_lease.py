"""A stage at work is told of others in its warehouse, by whichever file system it sees them."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from raresmith.gan.folder import Bucket, Disk, Folder
from raresmith.spark import files
from raresmith.tables import lease
from raresmith.tables.lease import under_way

OTHER = """
import sys
from pathlib import Path
from raresmith.gan.folder import Disk
from raresmith.tables.lease import under_way
with under_way(Disk(Path(sys.argv[1])), "cards-2026-11-20", "refine"):
    while not list(Path(sys.argv[1]).glob("_under_way-*.json")):
        pass
    print("ready", flush=True)
    sys.stdin.readline()
"""


def leases(folder: Path) -> list[Path]:
    """Those that are whole, and what lies beside them."""
    return sorted(folder.glob("*_under_way-*"))


def until(true: Callable[[], object]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that is at work in the folder, until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("kind", ["disk", "bucket", pytest.param("hadoop", marks=pytest.mark.jvm)])
def test_who_begins_is_told_of_who_is_at_work_and_no_longer_of_who_has_ended(
    kind: str,
    tmp_path: Path,
    other: subprocess.Popen[str],
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    at: Folder | files.Folder = Disk(tmp_path) if kind == "disk" else Bucket(tmp_path.as_uri())
    if kind == "hadoop":
        at = files.Folder(request.getfixturevalue("spark"), str(tmp_path))
    with under_way(at, "cards", "prepare"):
        until(lambda: len(leases(tmp_path)) > 1 and caplog.messages)
        (told,) = caplog.records
    found = re.fullmatch(
        r"run cards-2026-11-20 is under way on (\S+), process (\d+), in refine since \d{4}-\d\d-\d\d \d\d:\d\d UTC; "
        r"its heartbeat is (\d+) s old; going on beside it",
        told.message,
    )
    assert found and found[1] == socket.gethostname() and int(found[2]) == other.pid and int(found[3]) <= 5
    assert (told.levelname, vars(told)["stage"]) == ("WARNING", "prepare")
    assert len(leases(tmp_path)) == 1
    other.communicate("")
    assert leases(tmp_path) == []
    caplog.clear()
    with under_way(at, "cards", "prepare"):
        until(lambda: leases(tmp_path))
    assert caplog.messages == [] and leases(tmp_path) == []


def test_what_a_killed_process_leaves_is_taken_away_once_its_heartbeat_is_old(
    tmp_path: Path, other: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    other.kill()
    other.communicate()
    (left,) = leases(tmp_path)
    for age, told in ((20, "heartbeat is 2"), (40, "")):
        os.utime(left, (time.time() - age,) * 2)
        caplog.clear()
        with under_way(Disk(tmp_path), "cards", "prepare"):
            until(lambda: any(path != left for path in leases(tmp_path)))
        assert told in caplog.text and bool(told) == bool(caplog.messages)
        assert leases(tmp_path) == ([left] if told else [])


def test_a_lease_is_written_again_and_again_also_where_the_first_time_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease, "_HEARTBEAT", 0.02)
    folder = tmp_path / "warehouse"
    folder.touch()
    with caplog.at_level(logging.DEBUG, "raresmith"), under_way(Disk(folder), "cards", "prepare"):
        until(lambda: caplog.messages)
        folder.unlink()
        until(lambda: list(folder.glob("_*")))
        (own,) = folder.glob("_*")
        assert json.loads(own.read_text())["process"] == os.getpid()
        first = own.stat().st_mtime_ns
        until(lambda: own.stat().st_mtime_ns > first)
    assert set(re.findall("no lease in the warehouse: .*", caplog.text)) and leases(folder) == []


def test_a_warehouse_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(Disk):
        def write(self, name: str, data: bytes) -> None:
            time.sleep(60)

    monkeypatch.setattr(lease, "_PATIENCE", 0.1)
    started = time.monotonic()
    with under_way(Stuck(tmp_path), "cards", "prepare"):
        pass
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whatever_ends_the_stage_ends_the_lease(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), under_way(Disk(tmp_path), "cards", "prepare"):
        until(lambda: leases(tmp_path))
        raise error
    assert leases(tmp_path) == []


def test_a_folder_that_the_lease_made_goes_with_it_and_one_that_holds_more_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    for name, more in (("empty", False), ("full", True)):
        folder = tmp_path / name
        with under_way(files.Folder(spark, str(folder)), "cards", "prepare"):
            until(partial(leases, folder))
            if more:
                (folder / "features").mkdir()
        assert folder.exists() is more and leases(folder) == []
