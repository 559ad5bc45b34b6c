"""Which step's weights are kept, and whether training ends before its last step; the ranks decide together.

A validation is judged while the training goes on, and counts from the next one on: a fixed step, so that it does not
matter how long the judge takes. A run that goes on from a checkpoint decides as one that was never interrupted.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from raresmith.gan.artifacts.checkpoint import Saved, restore
from raresmith.gan.data.batches import RowIndex, read_stretches
from raresmith.gan.models.base import Model
from raresmith.gan.ranks import Ranks
from raresmith.gan.stage.on_ranks import Stage
from raresmith.gan.training.judge import FEWEST, MOST_MADE, read_judge
from raresmith.gan.training.start_rows import start_of
from raresmith.gan.training.validation import Validation, ValidationResult

_FEWEST_MADE, _MOST_PAIRS = 250, 10**9
"""Rows of a sample at least, and times the square of the columns at most, which is what making them costs: up to 1,000
columns all rows that a judge takes."""
_BEST = "best."
"""Before the names of the best weights in a checkpoint."""

logger = logging.getLogger(__name__)


class EarlyStopping:
    """What a training loop asks, on all ranks alike.

    Parameters
    ----------
    every
        Steps between two validations; 0 where the weights of the last step are kept.
    patience
        Validations without a better one after which training stops.
    validation
        The main rank's; None on the others.
    """

    def __init__(self, ranks: Ranks, every: int = 0, patience: int = 1, validation: Validation | None = None) -> None:
        self._ranks, self._every, self._patience, self._validation = ranks, every, patience, validation

    def is_due(self, step: int) -> bool:
        """Whether the model after `step` steps is validated."""
        return self._every > 0 and step > 0 and step % self._every == 0

    def validate(self, step: int) -> None:
        """Begin the validation of the model after `step` steps."""
        if self._validation is not None:
            self._validation.begin(step)

    def should_stop(self) -> bool:
        """Whether the last `patience` validations were no better than one before."""
        return self._agree(lambda validation: validation.since_best >= self._patience)

    def has_best(self) -> bool:
        """Whether there are weights to go back to."""
        return self._agree(lambda validation: validation.best is not None)

    def _agree(self, question: Callable[[Validation], bool]) -> bool:
        if self._every == 0:
            return False
        if self._validation is None:
            return self._ranks.agree(False)
        self._validation.settle()
        return self._ranks.agree(question(self._validation))

    def keep(self, model: Model, ended: str) -> dict[str, Any]:
        """Give `model` the weights of the best validation, if any was of finite rows.

        Returns
        -------
        dict
            What is noted of it on the main rank: `step`, that of the weights, and `kept`, why that one; `looks`, in
            the order of `look_names`; `synthetic`, the figures of the sample as it was. `ended` says why training was
            over early.
        """
        if not self.has_best():
            return {}
        restore(self._ranks, self._validation.kept() if self._validation else None, model.weights())
        return self._validation.history(ended) if self._validation else {}

    def saved(self) -> Saved:
        """What a checkpoint keeps of it, on the main rank; the validation under way is waited for."""
        if self._validation is None:
            return {}, {}
        self._validation.settle()
        weights = {_BEST + name: tensor for name, tensor in self._validation.weights.items()}
        return weights, {"looks": self._validation.done}


def make_early_stopping(stage: Stage, model: Model, saved: Saved | None) -> EarlyStopping:
    """As the checkpoint `saved` left it; where nothing can be judged it keeps the weights of the last step."""
    ranks, settings = stage.ranks, stage.config.refine
    if settings.validate_every == 0:
        return EarlyStopping(ranks)
    validation = _make_validation(stage, model, saved) if ranks.is_main else None
    if not ranks.agree(validation is not None):
        return EarlyStopping(ranks)
    return EarlyStopping(ranks, settings.validate_every, settings.patience, validation)


def _make_validation(stage: Stage, model: Model, saved: Saved | None) -> Validation | None:
    representation, index = model.representation, stage.synthetic_index
    is_category = np.isin(representation.names, [feature.name for feature in representation.categorical])
    parts = _sample(index, min(MOST_MADE, max(_FEWEST_MADE, _MOST_PAIRS // len(representation.names) ** 2)))
    judge = read_judge(stage.features, representation.names, is_category, index.part(parts).counts())
    if judge is None:
        logger.info(
            "the weights of the last step are kept: of the classes that are made there are fewer than %d synthetic "
            "rows, or rows of the validation split, too few to judge by",
            FEWEST,
            extra={"stage": "refine"},
        )
        return None
    start = start_of(model, stage.synthetic, stage.features)
    rows, row_ids = read_stretches(start, index, parts, representation)
    as_they_are = rows
    if start is not stage.synthetic:
        as_they_are, _ = read_stretches(stage.synthetic, index, parts, representation)
    validation = Validation(judge, model, rows, row_ids, as_they_are)
    if saved is not None:
        validation.done = [ValidationResult(*result) for result in saved[1]["looks"]]
        validation.weights = {k.removeprefix(_BEST): t for k, t in saved[0].items() if k.startswith(_BEST)}
    return validation


def _sample(index: RowIndex, most: int) -> list[slice]:
    """Of each class the rows with the smallest row_id, which is a hash; at most `most` rows in all."""
    counts = index.counts()
    start, parts = 0, []
    for n in counts.values():
        parts.append(slice(start, start + min(n, most // len(counts))))
        start += n
    return parts
