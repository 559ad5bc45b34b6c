"""The losses of a training as they come, and a line every few seconds that says how far it is."""

import logging
import math
import time

import torch

from raresmith.gan.ranks import Ranks

EVERY = 3.0
"""Seconds between two lines."""
LOG_EVERY = 100
"""Most steps between two readings of the losses: each makes the device finish what it has been given."""

logger = logging.getLogger(__name__)


class Progress:
    """The losses called `names`, on all ranks alike, of a loop from step `first` to step `steps`.

    Attributes
    ----------
    history
        Lists of a step and the means since the one before; the loop adds to those that it is given.
    """

    def __init__(
        self, ranks: Ranks, names: tuple[str, ...], first: int, steps: int, history: list[list[float]]
    ) -> None:
        self._ranks, self._names, self._first, self._steps, self.history = ranks, names, first, steps, history
        self._sums, self._read = torch.zeros(len(names), device=ranks.device), first
        self._started = self._shown = time.monotonic()
        if first and ranks.is_main:
            logger.info("goes on from the checkpoint at step %s", f"{first:,}", extra={"stage": "refine"})

    def add(self, losses: torch.Tensor) -> None:
        """The losses of a step, on the device."""
        self._sums += losses

    def is_due(self, done: int) -> bool:
        """Whether they are to be read after `done` steps."""
        return done - self._read == LOG_EVERY or done == self._steps

    def read(self, done: int) -> bool:
        """Note the means over the steps since the last reading, unless they are not finite: return whether they are."""
        if done == self._read:
            return True
        means: list[float] = (
            self._ranks.all_reduce(self._sums).div(self._ranks.world_size * (done - self._read)).tolist()
        )
        if not all(map(math.isfinite, means)):
            return False
        self.history.append([done, *means])
        self._sums.zero_()
        self._read = done
        self._show(done, means)
        return True

    def _show(self, done: int, means: list[float]) -> None:
        now = time.monotonic()
        if not self._ranks.is_main or (now - self._shown < EVERY and done < self._steps):
            return
        self._shown = now
        speed = (done - self._first) / max(now - self._started, 1e-9)
        minutes, seconds = divmod(round((self._steps - done) / speed), 60)
        losses = ", ".join(f"{mean:.3f} {name}" for name, mean in zip(self._names, means, strict=True))
        how_far = f"step {done:,}/{self._steps:,} · {speed:,.0f} steps/s · loss {losses} · {minutes}:{seconds:02d} left"
        logger.info(how_far, extra={"stage": "refine"})
