"""A stage that is at work says so in the warehouse: who begins there meanwhile is told by whom, where and since when.

A lease informs and excludes nobody. Two processes in one warehouse end right anyway (`concurrency`), so that waiting or
refusing would gain some computing at most. It would lose more: a lease also says that a process works which has just
been killed, and a run that Airflow starts again after that would wait or fail for nothing.
"""

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Protocol

from raresmith.signals import at_the_end

logger = logging.getLogger(__name__)

_PREFIX = "_under_way-"
"""How the name of a lease begins; readers of tables pass over what begins with "_"."""
_HEARTBEAT = 5.0
"""Seconds between two times that a lease is written."""
_STALE = 30.0
"""Seconds after which its process counts as ended without a word."""
_PATIENCE = 2.0
"""Seconds that the end of a stage waits for the lease to be deleted."""


class Files(Protocol):
    """The files of one folder."""

    def write(self, name: str, data: bytes) -> None: ...

    def read(self, name: str) -> bytes: ...

    def times(self, prefix: str) -> dict[str, float]:
        """By name when each file whose name begins so was written, in seconds by the clock of the file system."""
        ...

    def delete_all(self, prefix: str) -> None:
        """Delete the files whose names begin so, also those that were never finished."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Holder:
    run_id: str
    stage: str
    host: str
    process: int
    since: str
    """By the clock of the host."""


@contextmanager
def under_way(files: Files, run_id: str, stage: str) -> Iterator[None]:
    """While the block is at work, `files`, the warehouse, have a lease of it; the log is told of those of others.

    All of that is done beside the work, in a thread: it neither waits for the files nor fails by them.
    """
    lease = _Lease(files, run_id, stage)
    with at_the_end(lease.release):
        lease.thread.start()
        yield


class _Lease:
    def __init__(self, files: Files, run_id: str, stage: str) -> None:
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        self._files = files
        self._holder = _Holder(run_id=run_id, stage=stage, host=socket.gethostname(), process=os.getpid(), since=since)
        self._name = f"{_PREFIX}{uuid.uuid4().hex}.json"
        self._released = threading.Event()
        self.thread = threading.Thread(target=self._hold, daemon=True, name="lease")

    def release(self) -> None:
        """Let the thread delete the lease and end; it may be stuck, and then is left behind."""
        self._released.set()
        self.thread.join(_PATIENCE)

    def _hold(self) -> None:
        told = False
        while True:
            try:
                self._files.write(self._name, json.dumps(asdict(self._holder)).encode())
                if not told:
                    self._tell_of_others()
                    told = True
            # Whatever is wrong with the warehouse, the stage itself will say.
            except Exception as error:
                logger.debug("no lease in the warehouse: %s", error)
            if self._released.wait(_HEARTBEAT):
                break
        try:
            self._files.delete_all(self._name)
        except Exception as error:
            logger.debug("the lease stays in the warehouse: %s", error)

    def _tell_of_others(self) -> None:
        times = self._files.times(_PREFIX)
        # Hosts have clocks that differ, the file system has one.
        now = times.pop(self._name)
        ages = {name: max(0.0, now - time) for name, time in sorted(times.items())}
        for name, age in ages.items():
            if age <= _STALE:
                self._tell(_Holder(**json.loads(self._files.read(name))), age)
        for name, age in ages.items():
            if age > _STALE:
                self._files.delete_all(name)

    def _tell(self, other: _Holder, age: float) -> None:
        twice = ", which is safe and does the work twice" if other.run_id == self._holder.run_id else ""
        logger.warning(
            "run %s is under way on %s, process %d, in %s since %s; its heartbeat is %.0f s old; going on beside it%s",
            other.run_id, other.host, other.process, other.stage, other.since, age, twice,
            extra={"stage": self._holder.stage},
        )  # fmt: skip
