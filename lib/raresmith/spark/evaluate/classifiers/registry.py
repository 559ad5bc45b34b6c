"""The classifiers that `[evaluate.classifiers]` can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raresmith.registry import Registry
from raresmith.spark.evaluate.classifiers.base import Classifier

if TYPE_CHECKING:
    from raresmith.config import EvaluateConfig

CLASSIFIERS: Registry[Classifier] = Registry(
    Classifier,  # type: ignore[type-abstract]
    "raresmith.spark.evaluate.classifiers",
    "raresmith.classifiers",
)


def configured(config: EvaluateConfig) -> dict[str, Classifier]:
    """The classifiers that judge, by name and in the configuration's order, each with its parameters."""
    return {name: CLASSIFIERS[name](parameters) for name, parameters in config.classifiers.items()}
