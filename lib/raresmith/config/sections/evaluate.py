"""`[evaluate]`: the classifier that judges, and what it is asked."""

from collections.abc import Iterator
from pkgutil import resolve_name
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le
from pydantic import Field, field_validator

from raresmith.config.parameters import parameters_by_name
from raresmith.config.section import Section
from raresmith.errors import ConfigError


class EvaluateConfig(Section):
    """`[evaluate]`: the random forest that judges, and what it is asked."""

    section: ClassVar[str] = "evaluate"

    strategies: tuple[str, ...] = ("none", "class_weight", "random", "smote", "refined")
    """What a classifier is trained on: the rows as they are ("none"), weighed by class ("class_weight"), with minority
    rows repeated to as many as oversample made ("random"), without those that undersampling and cleaning took out
    ("reduced"), without these but with the rows of oversample.method (by its name) or the refined rows ("refined")."""
    seeds: tuple[int, ...] = (0,)
    """One model per classifier, strategy and seed."""
    positive: str = ""
    """Class whose detection is judged; empty takes the rarest of the train rows."""
    entity: str = ""
    """Raw column of the cards for card precision; with source.timestamp."""
    top_k: Annotated[int, Ge(1), Le(2**31 - 1)] = 100
    """Cards that can be checked a day, for card precision@top_k; at least 1."""
    bootstrap: Annotated[int, Ge(20), Le(100_000)] = 200
    """Resamples of the test rows behind each interval of 95 %; at least 20."""

    classifiers: dict[str, Any] = Field(default_factory=lambda: {"random_forest": {}}, validate_default=True)
    """The classifiers that judge, each with its own keys; without any a random forest with its defaults."""

    registry: ClassVar[str] = "raresmith.spark.evaluate.classifiers.registry:CLASSIFIERS"

    @field_validator("classifiers")
    @classmethod
    def _with_parameters(cls, tables: dict[str, Any]) -> dict[str, Any]:
        return parameters_by_name(resolve_name(cls.registry), tables, cls.key_of("classifiers"))

    def mistakes(self) -> Iterator[ConfigError]:
        """Nothing to compare, or the same twice."""
        if not self.classifiers:
            yield ConfigError("evaluate.classifiers must name at least one classifier, got {}")
        if not self.strategies:
            yield ConfigError("evaluate.strategies must name at least one strategy, got []")
        if len(set(self.strategies)) < len(self.strategies):
            yield ConfigError(f"evaluate.strategies names a strategy twice, got {list(self.strategies)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield ConfigError(f"evaluate.seeds must be different numbers, got {list(self.seeds)}")
