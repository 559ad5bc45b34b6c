"""SIGINT, SIGTERM and SIGHUP end a command with all that it started, within seconds.

A thread does it. The main thread may be in a call that no Python exception ends, such as one of delta-rs to a store
that does not answer; and where it can be ended, what it would pass on its way out asks the JVM, which is busy or gone.
"""

import gc
import io
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from raresmith.temporary import delete_own

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 7.0
"""Seconds from the signal until what has not ended by itself is killed."""
_ECHO = 0.5
"""Seconds in which a signal is the same one again: `timeout` and Airflow send it to a process and to its group."""

_tidying: list[Callable[[], object]] = []
_stages: list[str] = []
_drivers: set[int] = set()


@contextmanager
def during(stage: str) -> Iterator[None]:
    """A signal that ends the process within the block says that it did so in `stage`."""
    _stages.append(stage)
    try:
        yield
    finally:
        _stages.remove(stage)


@contextmanager
def at_the_end(tidy: Callable[[], object]) -> Iterator[None]:
    """Call `tidy` when the block ends, and where a signal ends the process within it; it may be called twice."""
    _tidying.append(tidy)
    try:
        yield
    finally:
        _tidying.remove(tidy)
        tidy()


def end_driver(process: int) -> None:
    """Count the JVM with what is ended if it is the parent of this process, as that of spark-submit is."""
    _drivers.add(process)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block a signal ends this process and those that it started, with 128 + its number as exit code.

    First comes a sentence, then what is tidied `at_the_end`, then the others, which are asked and after seconds killed.
    A second signal kills them at once. Signals that are ignored stay so, as under nohup. Does nothing outside the main
    thread, from where Python does not let a handler be set.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    # Python writes the number of each signal there as it comes, whatever the main thread is in.
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in heard:
        signal.signal(number, _heard)
    ending = threading.Event()
    threading.Thread(target=_listen, args=(reader, set(heard), ending), daemon=True).start()
    try:
        yield
    finally:
        if ending.is_set():
            threading.Event().wait()  # the errors of a JVM that is being ended are not told
        for number, handler in heard.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        writer.close()


@contextmanager
def heard_here() -> Iterator[None]:
    """Within `ended_by_signals`, take back SIGINT from who takes it in this block.

    PySpark does. It would ask the JVM to cancel all jobs, within another question, to which py4j answers with a page.
    """
    is_ours = signal.getsignal(signal.SIGINT) is _heard
    yield
    if is_ours and signal.getsignal(signal.SIGINT) is not _heard:
        signal.signal(signal.SIGINT, _heard)


def _heard(*_: object) -> None:
    """The other thread does it all."""


def _listen(reader: socket.socket, heard: set[signal.Signals], ending: threading.Event) -> None:
    """Wait for a signal, or for the other end to close."""
    with reader:
        while received := reader.recv(1):
            if received[0] in heard:
                break
        else:
            return
        ending.set()
        number = signal.Signals(received[0])
        threading.Thread(target=_end, args=(number,), daemon=True).start()
        time.sleep(_ECHO)
        reader.setblocking(False)
        with suppress(BlockingIOError):
            reader.recv(4096)
        reader.settimeout(_GRACE - _ECHO)
        with suppress(TimeoutError):
            reader.recv(1)
        _exit(number)


def _end(number: signal.Signals) -> None:
    """Say so, tidy, end all processes, exit."""
    try:
        if "TORCHELASTIC_RUN_ID" not in os.environ:  # torchrun tells of its processes itself
            where = f" in {_stages[-1]}; the same command goes on from there" if _stages else ""
            logger.error("ended by %s%s", number.name, where)
        # The traces of whoever asks the JVM when it is gone, in logs and as printed.
        logging.disable()
        sys.stderr = io.StringIO()
        for tidy in _tidying[::-1]:
            with suppress(Exception):
                tidy()
        started = _started()
        for process in started:
            process.terminate()
        if (driver := os.getppid()) in _drivers:
            os.kill(driver, number)
        for process in started:
            process.wait()
        while os.getppid() in _drivers:
            time.sleep(0.05)
    finally:
        _exit(number)


def _exit(number: signal.Signals) -> NoReturn:
    left = _started()
    for process in left:
        process.kill()
    for process in left:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
    if (driver := os.getppid()) in _drivers:
        os.kill(driver, signal.SIGKILL)
    delete_own()
    os._exit(128 + number)


def _started() -> list[subprocess.Popen[bytes]]:
    """The processes that this one started and that have not ended.

    PySpark tells of its JVM only once that answers, which takes minutes where it fetches jars first.
    """
    return [found for found in gc.get_objects() if issubclass(type(found), subprocess.Popen) and found.poll() is None]
