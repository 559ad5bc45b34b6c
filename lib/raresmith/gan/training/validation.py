"""Validation of a model while it is trained: the same sample of refined rows each time, judged in a thread."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from raresmith.encoding.names import some_of
from raresmith.gan.artifacts.checkpoint import Saved
from raresmith.gan.data.rows import Rows
from raresmith.gan.models.base import Model
from raresmith.gan.training.judge import Figures, Judge, Labelled

logger = logging.getLogger(__name__)


class ValidationResult(NamedTuple):
    """What the rows of the model after `step` steps were like."""

    step: int
    cost: float
    auc: float
    average_precision: float
    distance: float


def cost(refined: Figures, synthetic: Figures) -> float:
    """What is wrong with refined rows, in one number: the step with the smallest is kept.

    |AUC - 1/2|, how far they are from rows that cannot be told from real ones, plus what is lost against the synthetic
    rows: of average precision as it is, of the distance to train rows as a share. The first alone would be best for
    copies of train rows. What is gained in the other two does not count, or it would pay for rows far from everything.
    """
    lost_precision = synthetic.average_precision - refined.average_precision
    lost_distance = 1 - refined.distance / synthetic.distance if synthetic.distance > 0 else 0.0
    return abs(refined.auc - 0.5) + max(0.0, lost_precision) + max(0.0, lost_distance)


class Validation:
    """The results so far, and the weights of the best.

    Parameters
    ----------
    rows, row_ids
        The sample: what the model starts from, on the CPU.
    synthetic
        The synthetic rows of the same sample, as they are.
    """

    def __init__(self, judge: Judge, model: Model, rows: Rows, row_ids: NDArray[np.int64], synthetic: Rows) -> None:
        self._judge, self._model = judge, model
        self._rows, self._counters = rows.to(model.device), torch.from_numpy(row_ids).to(model.device)
        self._labels = np.array(model.classes)[rows.classes.numpy()]
        # Of one core, as the training beside it: boosting by threads on cores that are taken waits for each of them.
        self._thread = ThreadPoolExecutor(1, initializer=threadpool_limits, initargs=(1, "openmp"))
        as_they_are = self._labelled(model.representation.join(synthetic.numbers, synthetic.positions))
        self._thread.submit(lambda: judge.ceiling)
        self._synthetic = self._thread.submit(judge, as_they_are)
        self._under_way: tuple[int, dict[str, torch.Tensor], Future[Figures]] | None = None
        self.done: list[ValidationResult] = []
        self.weights: dict[str, torch.Tensor] = {}
        """Of the best one."""

    @property
    def best(self) -> ValidationResult | None:
        """The first with the smallest cost."""
        return min(self.done, key=lambda result: result.cost, default=None)

    @property
    def since_best(self) -> int:
        """Validations that came after the best."""
        return len(self.done) - 1 - self.done.index(self.best) if self.best else 0

    @property
    def synthetic(self) -> Figures:
        """What is found of the sample as it is."""
        return self._synthetic.result()

    def begin(self, step: int) -> None:
        """Have the rows judged that the model makes after `step` steps, once those under way are."""
        self.settle()
        with torch.no_grad(), self._model.finished():
            parameters = [p for network in self._model.networks.values() for p in network.parameters()]
            weights = {name: tensor.to("cpu", copy=True) for name, tensor in self._model.weights().items()}
            made, _ = self._model.representation.clamp(self._model.generated(self._rows, self._counters))
            finite = all(bool(tensor.isfinite().all()) for tensor in (made, *parameters))
        if finite:  # or the losses will tell
            self._under_way = step, weights, self._thread.submit(self._judge, self._labelled(made))

    def settle(self) -> None:
        """Wait for the one under way, if there is one, and keep its weights if it is the best."""
        if self._under_way is None:
            return
        step, weights, judged = self._under_way
        self._under_way = None
        figures = judged.result()
        result = ValidationResult(step, cost(figures, self.synthetic), *figures)
        self.done.append(result)
        if self.best is result:
            self.weights = weights
        found = (
            f"look at step {step:,}: two-sample AUC {result.auc:.3f} · average precision "
            f"{result.average_precision:.3f} · distance {result.distance:.3g}{' · best' if self.best is result else ''}"
        )
        logger.info(found, extra={"stage": "refine"})

    def kept(self) -> Saved:
        """The weights of the best result and its step."""
        assert self.best is not None
        return self.weights, {"step": self.best.step}

    def history(self, ended: str) -> dict[str, Any]:
        """What is noted of the results with the model; `ended` says why training was over early."""
        assert self.best is not None
        best, before, n, judge = self.best, self.synthetic, len(self.done), self._judge
        names = self._model.representation.names
        left_out = [name for name, is_compared in zip(names, judge.compared, strict=True) if not is_compared]
        without = f", all without {some_of(left_out)}, which tell train from validation rows" if left_out else ""
        kept = (
            f"{ended}the weights of step {best.step:,} are kept, by the validation rows the best of {n} "
            f"{'looks' if n > 1 else 'look'}: two-sample AUC {best.auc:.3f} (synthetic rows {before.auc:.3f}; train "
            f"rows {judge.ceiling:.3f}{without}), average precision {best.average_precision:.3f} "
            f"({before.average_precision:.3f}), distance to train rows {best.distance:.3g} ({before.distance:.3g}; "
            f"validation rows {judge.held_out_distance:.3g})"
        )
        return {
            "step": best.step,
            "kept": kept,
            "look_names": ValidationResult._fields,
            "looks": self.done,
            "synthetic": before,
            "ceiling": judge.ceiling,
            "left_out": left_out,
        }

    def _labelled(self, rows: torch.Tensor) -> Labelled:
        columns = self._model.representation.columns(rows).values()
        return Labelled(np.column_stack([column.astype(np.float64) for column in columns]), self._labels)
