"""A signal ends a process and what it started, tidies, says where, and is the exit code."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raresmith.signals import ended_by_signals

PROGRAM = """
import hashlib, logging, os, signal, subprocess, sys, time
from pathlib import Path
from raresmith.signals import at_the_end, during, end_driver, ended_by_signals
from raresmith.temporary import name_of
logging.basicConfig(format="%(message)s")
Path(sys.argv[1], f"{name_of('spark')}.log").touch()
def started(program):
    child = subprocess.Popen([sys.executable, "-c", program + "; print(flush=True); import time; time.sleep(60)"],
                             stdout=subprocess.PIPE)
    child.stdout.readline()
    return child
with ended_by_signals(), during("prepare"), at_the_end(lambda: print("tidied", flush=True)):
    child = started(sys.argv[2])
    print(child.pid, flush=True)
    exec(sys.argv[3])
"""
WILLING = "pass"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
ASLEEP = "time.sleep(60)"
IN_C = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)'
"""Minutes of a call that no signal interrupts."""


def hear_all() -> None:
    """A shell that runs the tests in the background has SIGINT ignored, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def lives(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


@contextmanager
def begun(folder: Path, child: str, work: str, *before: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The program at `work`, and the number of its child."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", PROGRAM, str(folder), child, work],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_all,
    )
    assert process.stdout is not None
    child_id = int(process.stdout.readline())
    try:
        yield process, child_id
    finally:
        process.kill()
        if lives(child_id):
            os.kill(child_id, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("work", [ASLEEP, "child.wait()", IN_C])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_all_whatever_the_process_is_in(
    tmp_path: Path, work: str, number: signal.Signals, code: int
) -> None:
    with begun(tmp_path, WILLING, work) as (process, child):
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
        assert process.returncode == code
        assert set(out.splitlines()) == {"tidied"}
        assert err == f"ended by {number.name} in prepare; the same command goes on from there\n"
        assert not lives(child)
        assert list(tmp_path.iterdir()) == []


def test_a_process_that_does_not_end_is_killed_within_ten_seconds(tmp_path: Path) -> None:
    with begun(tmp_path, STUBBORN, ASLEEP) as (process, child):
        started = time.monotonic()
        for _ in range(3):  # as `timeout` and Airflow do
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        process.communicate(timeout=10)
        assert process.returncode == 143
        assert 5 < time.monotonic() - started < 10
        assert not lives(child)


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    with begun(tmp_path, STUBBORN, ASLEEP) as (process, child):
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=2)
        assert process.returncode == 130
        assert not lives(child)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("trap", "code"), [("", -signal.SIGTERM), ("trap : TERM; ", -signal.SIGKILL)])
def test_the_parent_is_ended_with_its_child_where_it_is_the_driver(tmp_path: Path, trap: str, code: int) -> None:
    work = f"end_driver(os.getppid()); os.kill(os.getpid(), signal.SIGTERM); {ASLEEP}"
    with begun(tmp_path, WILLING, work, "sh", "-c", f'{trap}"$@"; true', "sh") as (driver, child):
        _, err = driver.communicate(timeout=10)
        assert err.startswith("ended by SIGTERM in prepare")
        assert driver.returncode == code
        assert not lives(child)


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    with begun(tmp_path, WILLING, ASLEEP, "nohup") as (process, child):
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert process.poll() is None and lives(child)


def test_after_the_block_signals_are_what_they_were() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before, threads = [signal.getsignal(number) for number in numbers], threading.active_count()
    with ended_by_signals():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1
    for _ in range(100):
        if threading.active_count() == threads:
            break
        time.sleep(0.01)
    assert threading.active_count() == threads
