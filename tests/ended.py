"""Commands that a signal ends, and what is left of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.deploy.standalone import processes


def family(process: int) -> dict[int, str]:
    """The command lines of `process` and all that descend from it, in whatever group or session, by their numbers."""
    running = {pid: (parent, words) for pid, parent, _, words in processes() if "<defunct>" not in words}
    found = {process} & running.keys()
    while more := {pid for pid, (parent, _) in running.items() if parent in found} - found:
        found |= more
    return {pid: running[pid][1] for pid in found}


def begun(folder: Path, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
    """`words` in a group of its own, as a shell starts them, with `folder` for temporary files."""
    return subprocess.Popen(
        words,
        env={**os.environ, "TMPDIR": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which is ignored in the background
    )


def raresmith(folder: Path, *words: str | Path) -> subprocess.Popen[str]:
    """The command line; see `begun`."""
    return begun(folder, sys.executable, "-m", "raresmith", *words)


def ended_by(
    number: signal.Signals,
    process: subprocess.Popen[str],
    when: Callable[[dict[int, str]], object],
    *,
    to: Callable[[dict[int, str]], int] | None = None,
) -> tuple[str, str]:
    """Send the signal to the whole group of `process` when `when` holds of its family; return what it said.

    Within ten seconds none of the family may be left.

    Parameters
    ----------
    to
        Which of the family alone gets it, if not all of the group.
    """
    there: dict[int, str] = {}
    reader = ThreadPoolExecutor(1)  # who waits for a pipe that is read too late stands still
    said = reader.submit(process.communicate)
    try:
        deadline = time.monotonic() + 240
        while not when(there):
            assert not said.done() and time.monotonic() < deadline, said.result(10)
            time.sleep(0.1)
            there = family(process.pid)
        deadline = time.monotonic() + 10
        os.kill(to(there) if to else -process.pid, number)
        out, err = said.result(10)
        left = there
        while left := {pid: words for pid, words in left.items() if family(pid).get(pid) == words}:
            assert time.monotonic() < deadline, left
    finally:
        for pid in family(process.pid).keys() | {pid for pid, words in there.items() if family(pid).get(pid) == words}:
            os.kill(pid, signal.SIGKILL)
        reader.shutdown()
    return out, err
