"""The classifiers that `[evaluate.classifiers]` can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raresmith.registry import Registry
from raresmith.spark.evaluate.classifiers.base import Classifier

if TYPE_CHECKING:
    from raresmith.config.file import EvaluateConfig

CLASSIFIERS: Registry[Classifier] = Registry(
    Classifier,  # type: ignore[type-abstract]
    "raresmith.spark.evaluate.classifiers",
    "raresmith.classifiers",
)


def configured(config: EvaluateConfig) -> dict[str, Classifier]:
    """The classifiers that judge, by name and in the configuration's order, each with its parameters."""
    return {name: CLASSIFIERS[name](parameters) for name, parameters in _parameters(config).items()}


def _parameters(config: EvaluateConfig) -> dict[str, Classifier.Parameters]:
    if hasattr(config, "classifiers"):
        return dict(config.classifiers)
    # The forest's parameters are still flat keys of [evaluate].
    forest = CLASSIFIERS["random_forest"].Parameters
    return {"random_forest": forest(**{name: getattr(config, name) for name in forest.__dataclass_fields__})}
