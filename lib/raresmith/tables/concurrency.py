"""Several processes that write one table: whose commit would come second learns it, and begins again."""

from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

from raresmith.errors import DataError, Key

_Result = TypeVar("_Result")
_TRIES = 10


class Overtaken(DataError):
    """Another process changed a table while this one was about to."""

    @classmethod
    def at(cls, location: str, stage: str) -> Self:
        """That `stage` was, which writes to `location`."""
        return cls(
            "another process writes to {location} at the same time; run {stage} again when it has ended, or give each "
            "run a {warehouse} of its own",
            location=location,
            stage=stage,
            warehouse=Key("run.warehouse"),
        )


def despite_others(work: Callable[[], _Result]) -> _Result:
    """What `work` returns, begun again where another process came first.

    Each time one of them has ended, so that as many as there are tries may work at once.
    """
    for _ in range(_TRIES - 1):
        with suppress(Overtaken):
            return work()
    return work()
