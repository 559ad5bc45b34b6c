"""What every classifier is given, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import DataFrame

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.verdict import Judge, Strategy
from raresmith.spark.evaluate.classifiers.base import Classifier
from raresmith.spark.evaluate.train_rows import TrainRows, as_arrays


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The rows, and which models are trained."""

    train: TrainRows
    features: DataFrame
    """row_id, split, label and the feature columns of the real rows of all splits."""
    strategies: Sequence[Strategy]
    seeds: Sequence[int]
    encoder: Encoder
    labels: Sequence[int]
    """Of the classes that are judged, the positive one first."""

    @cached_property
    def arrays(self) -> Mapping[str, DataFrame]:
        """`features`, and each table of made rows by its name, with one array FEATURES."""
        tables = {"features": self.features, **self.train.made}
        return {name: as_arrays(df, self.encoder) for name, df in tables.items()}

    def persist(self) -> None:
        """Keep `arrays`, where they are small: all that follows reads them."""
        for df in self.arrays.values():
            df.persist()

    def unpersist(self) -> None:
        """Let go of what is kept, if anything is."""
        for df in self.arrays.values():
            df.unpersist()

    @property
    def trials(self) -> list[tuple[Strategy, int]]:
        """The strategy and the seed of each model."""
        return [(strategy, seed) for strategy in self.strategies for seed in self.seeds]

    def model(self, classifier: str, number: int, importances: Mapping[str, float]) -> "Model":
        """What becomes of the trial with that number."""
        strategy, seed = self.trials[number]
        columns = {label: f"__score_{classifier}_{number}_{label}" for label in self.labels}
        return Model(classifier=classifier, strategy=strategy.name, seed=seed, columns=columns, importances=importances)


@dataclass(frozen=True, kw_only=True)
class Model:
    """One trained model."""

    classifier: str
    strategy: str
    seed: int
    columns: Mapping[int, str]
    """Of its scores of a class, in millionths, by the class's label."""
    importances: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one classifier found."""

    judge: Judge
    models: Sequence[Model]
    rows: DataFrame
    """row_id, split, label and the score columns of the validation and test rows."""
    cached: Sequence[DataFrame] = ()
    """To unpersist when `rows` have been read."""


def judge_of(of: Classifier) -> Judge:
    """What the report says of the classifier itself."""
    return Judge(name=of.name, title=of.title, noun=of.noun, settings=of.settings(), remarks=of.remarks())
