"""A line every few seconds that says how far the training is."""

import sys
import time
from collections.abc import Sequence

PREFIX = "refine     step "
EVERY = 3.0
"""Seconds between two lines."""


class Progress:
    """Speed and end of a loop from step `first` to step `steps`."""

    def __init__(self, first: int, steps: int, losses: Sequence[str]) -> None:
        self._steps, self._first, self._losses = steps, first, losses
        self._started = self._shown = time.monotonic()
        if first:
            print(f"refine     goes on from the checkpoint at step {first:,}", file=sys.stderr, flush=True)

    def show(self, done: int, means: Sequence[float]) -> None:
        """Print the line of step `done`, unless one was printed a moment ago."""
        now = time.monotonic()
        if now - self._shown < EVERY and done < self._steps:
            return
        self._shown = now
        speed = (done - self._first) / max(now - self._started, 1e-9)
        minutes, seconds = divmod(round((self._steps - done) / speed), 60)
        losses = ", ".join(f"{mean:.3f} {name}" for name, mean in zip(self._losses, means, strict=True))
        print(
            f"{PREFIX}{done:,}/{self._steps:,} · {speed:,.0f} steps/s · loss {losses} · {minutes}:{seconds:02d} left",
            file=sys.stderr,
            flush=True,
        )
