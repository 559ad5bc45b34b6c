"""Which step's weights are kept, and whether training ends before its last step; the ranks decide together.

A look is judged while the training goes on, and counts from the next look on: a fixed step, so that it does not matter
how long the judge takes. A run that goes on from a checkpoint decides as one that was never interrupted.
"""

import sys
from typing import Any

import numpy as np
from deltalake import DeltaTable

from raresmith.config import RefineConfig
from raresmith.gan.artifacts.checkpoint import Saved, restore
from raresmith.gan.data.batches import Order, read_stretches
from raresmith.gan.data.start_rows import start_of
from raresmith.gan.data.tables import RowSource
from raresmith.gan.models.base import Model
from raresmith.gan.ranks import Process
from raresmith.gan.training.judge import FEWEST, MOST_MADE, read_judge
from raresmith.gan.training.validation import Look, Looks

_BEST = "best."
"""Before the names of the best weights in a checkpoint."""


class Selection:
    """What a training loop asks, on all ranks alike; `looks` are the first rank's, and None on the others."""

    def __init__(self, process: Process, settings: RefineConfig, looks: Looks | None) -> None:
        self._process, self._looks = process, looks
        self._every, self._patience = settings.validate_every, settings.patience

    def is_due(self, step: int) -> bool:
        """Whether there is a look at the model after `step` steps."""
        return step > 0 and step % self._every == 0

    def look(self, step: int) -> None:
        """Begin the look at the model after `step` steps."""
        if self._looks is not None:
            self._looks.begin(step)

    def is_over(self) -> bool:
        """Whether the last `patience` looks were no better than one before."""
        if self._looks is not None:
            self._looks.settle()
        return self._process.agree(self._looks is not None and self._looks.since_best >= self._patience)

    def has_best(self) -> bool:
        """Whether there are weights to go back to."""
        if self._looks is not None:
            self._looks.settle()
        return self._process.agree(self._looks is not None and self._looks.best is not None)

    def keep(self, model: Model, ended: str) -> dict[str, Any]:
        """Give `model` the weights of the best look, if any was of finite rows.

        Returns
        -------
        dict
            What is noted of it on the first rank: `step`, that of the weights, and `kept`, why that one; `looks`, in
            the order of `look_names`; `synthetic`, the figures of the sample as it was. `ended` says why training was
            over early.
        """
        if not self.has_best():
            return {}
        restore(self._process, self._looks.kept() if self._looks is not None else None, model.weights())
        return self._looks.history(ended) if self._looks is not None else {}

    def saved(self) -> Saved:
        """What a checkpoint keeps of it, on the first rank; the look under way is waited for."""
        assert self._looks is not None
        self._looks.settle()
        return {_BEST + name: tensor for name, tensor in self._looks.weights.items()}, {"looks": self._looks.done}


def make_selection(
    process: Process,
    settings: RefineConfig,
    model: Model,
    features: DeltaTable,
    synthetic: RowSource,
    made: Order,
    saved: Saved | None,
) -> Selection | None:
    """The choice as the checkpoint `saved` left it; None where the last step is kept because nothing can be judged."""
    if settings.validate_every == 0:
        return None
    looks = None
    if process.first:
        representation = model.representation
        is_category = np.isin(representation.names, [feature.name for feature in representation.categorical])
        parts = _sample(made)
        judge = read_judge(features, representation.names, is_category, made.part(parts).counts())
        if judge is not None:
            start = start_of(model, synthetic, features)
            rows, row_ids = read_stretches(start, made, parts, representation)
            as_they_are = rows
            if start is not synthetic:
                as_they_are, _ = read_stretches(synthetic, made, parts, representation)
            looks = Looks(judge, model, rows, row_ids, as_they_are)
            if saved is not None:
                looks.done = [Look(*look) for look in saved[1]["looks"]]
                looks.weights = {k.removeprefix(_BEST): t for k, t in saved[0].items() if k.startswith(_BEST)}
        else:
            print(
                f"refine     the weights of the last step are kept: of the classes that are made there are fewer than "
                f"{FEWEST} synthetic rows, or rows of the validation split, too few to judge by",
                file=sys.stderr,
                flush=True,
            )
    return Selection(process, settings, looks) if process.agree(looks is not None) else None


def _sample(made: Order) -> list[slice]:
    """Of each class the rows with the smallest row_id, which is a hash; at most MOST_MADE rows in all."""
    counts = made.counts()
    start, parts = 0, []
    for n in counts.values():
        parts.append(slice(start, start + min(n, MOST_MADE // len(counts))))
        start += n
    return parts
