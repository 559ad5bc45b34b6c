"""`[evaluate]`: the classifiers that judge, and what they are asked."""

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le
from pydantic import Field, GetJsonSchemaHandler, field_validator

from raresmith.config.parameters import parameters_by_name, table_of
from raresmith.config.section import Section
from raresmith.errors import ConfigError


class EvaluateConfig(Section):
    """`[evaluate]`: the classifiers that judge, and what they are asked."""

    section: ClassVar[str] = "evaluate"
    registry: ClassVar[str] = "raresmith.spark.evaluate.classifiers.registry:CLASSIFIERS"

    strategies: tuple[str, ...] = ("none", "class_weight", "random", "smote", "refined")
    """What a classifier is trained on: the rows as they are ("none"), weighed by class ("class_weight"), with minority
    rows repeated to as many as oversample made ("random"), without those that undersampling and cleaning took out
    ("reduced"), without these but with the rows of oversample.method (by its name) or the refined rows ("refined").
    Without it all that the run has."""
    seeds: tuple[int, ...] = (0,)
    """One model per classifier, strategy and seed."""
    positive: str = ""
    """Class whose detection is judged; empty takes the rarest of the table. Every other class that rows were made
    of is judged beside it."""
    entity: str = ""
    """Raw column of the cards, for card precision and to see that a verdict does not rest on a few cards; with
    source.timestamp."""
    top_k: Annotated[int, Ge(1), Le(2**31 - 1)] = 100
    """Cards that can be checked a day, for card precision@top_k; at least 1."""
    bootstrap: Annotated[int, Ge(20), Le(100_000)] = 200
    """Resamples of the test rows behind each interval of 95 %; at least 20."""
    classifiers: dict[str, Any] = Field(default_factory=lambda: {"random_forest": {}}, validate_default=True)
    """The classifiers that judge, each with its own keys; without any a random forest with its defaults."""

    @classmethod
    def registered(cls) -> Mapping[str, type[Any]]:
        """The classifiers that there are."""
        found: Mapping[str, type[Any]] = resolve_name(cls.registry)
        return found

    @classmethod
    def tables(cls) -> dict[str, type[Section]]:
        """The keys of each classifier, by its name."""
        section = cls.key_of("classifiers")
        return {
            name: table_of(kind.Parameters, f"{section}.{name}")
            for name, kind in resolve_name(cls.registry).available().items()
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        reference = super().__get_pydantic_json_schema__(core_schema, handler)
        classifiers = handler.resolve_ref_schema(reference)["properties"]["classifiers"]
        classifiers["properties"] = {name: table.model_json_schema() for name, table in cls.tables().items()}
        classifiers["additionalProperties"] = False
        return reference

    @field_validator("classifiers")
    @classmethod
    def _with_parameters(cls, tables: dict[str, Any]) -> dict[str, Any]:
        return parameters_by_name(cls.registered(), tables, cls.key_of("classifiers"))

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
