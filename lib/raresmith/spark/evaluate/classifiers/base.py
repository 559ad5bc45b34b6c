"""What judges train rows: a classifier that learns from them and scores rows that it has not seen.

Configuration reads classifiers on nodes without pyspark, so their modules import it inside functions alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from raresmith.encoding.encoder import Encoder
    from raresmith.evaluation.forest import Labelled, Scores

FEATURES, WEIGHT = "__features", "__weight"
"""Columns of the rows that a classifier learns from, beside row_id and label."""


class TaskModel(Protocol):
    """What trains one model, and asks it, in a single process; Spark sends it to a task."""

    def judge(self, real: Labelled, train: Labelled, x: NDArray[np.float32], n_classes: int, seed: int) -> Scores:
        """The probabilities of the rows `x` by a model of `train`; the same wherever it runs.

        How rows become what it sees is learnt from the `real` train rows alone, the same under every strategy.
        """


@dataclass(frozen=True, kw_only=True)
class InTask:
    """How a classifier judges a table of which each model takes one task."""

    model: TaskModel
    title: str
    remarks: tuple[str, ...] = ()
    """Both as the report has them of the classifier itself."""


class Classifier(ABC):
    """One way to judge, with its parameters; a subclass in this package, or behind an entry point, is one by name.

    Parameters
    ----------
    parameters : Parameters, optional
        Those of `[evaluate.classifiers.NAME]`; without them the defaults.
    """

    name: ClassVar[str]
    """As configuration, metrics and report call it."""
    title: ClassVar[str]
    """What the report calls it in full, such as "random forest of Spark MLlib"."""
    noun: ClassVar[str]
    """What one trained model of it is called, such as "forest"."""

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        """A classifier without parameters."""

    parameters: Parameters

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = self.Parameters() if parameters is None else parameters

    @abstractmethod
    def vectors(
        self, train: DataFrame, encoder: Encoder, positive: int, random_state: int
    ) -> Callable[[DataFrame], DataFrame]:
        """How rows become what the classifier sees, learnt from the real train rows alone.

        Parameters
        ----------
        train : DataFrame
            row_id, label and the feature columns of the real train rows.
        positive : int
            Label of the positive class.

        Returns
        -------
        callable
            Adds the vector column FEATURES to any DataFrame with the feature columns.
        """

    @abstractmethod
    def fit(self, train: DataFrame, encoder: Encoder, seed: int) -> Any:
        """A model of the columns FEATURES, `label` (int) and WEIGHT of `train`.

        `train` is persisted, and its order and partitions follow from the rows' ids alone.
        """

    def in_task(self, n_rows: int, encoder: Encoder, positive: int) -> InTask | None:
        """What judges in its stead where the rows that a model learns from and scores are so few as to fit in a task.

        None where it judges them itself.
        """
        return None

    def score(self, df: DataFrame, model: Any, columns: Mapping[str, int]) -> DataFrame:
        """`df`, which holds FEATURES, with bigint columns: the probability of each one's class in millionths.

        As it stands for every model of MLlib that has probabilities.

        Parameters
        ----------
        columns : dict
            The label of a class by the name of its column.
        """
        from raresmith.spark.evaluate.scores import with_probability

        return with_probability(df, model, columns)

    def importances(self, model: Any, encoder: Encoder) -> Mapping[str, float]:
        """Share of each feature column in what the model has learnt, summing to 1; empty where it cannot tell."""
        return {}

    def size(self) -> str:
        """What the plan says of one model, such as "100 trees, depth 15"."""
        return "default settings"

    def settings(self) -> str:
        """What the report says of the settings that all strategies share."""
        return self.size()

    def remarks(self) -> tuple[str, ...]:
        """More paragraphs for the report on how this classifier measures."""
        return ()
