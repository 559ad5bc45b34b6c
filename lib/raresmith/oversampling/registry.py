"""The oversamplers that a configuration can name."""

from typing import TYPE_CHECKING

from raresmith.oversampling.base import Oversampler
from raresmith.registry import Registry

if TYPE_CHECKING:
    from raresmith.config import OversampleConfig

OVERSAMPLERS: Registry[Oversampler] = Registry(
    Oversampler,  # type: ignore[type-abstract]
    "raresmith.oversampling",
    "raresmith.oversamplers",
    reserved=("none", "class_weight", "reduced", "refined", "original"),  # strategies of evaluate, origins of rows
)


def oversampler_of(config: "OversampleConfig") -> Oversampler:
    """The oversampler that `[oversample]` names, with its own parameters."""
    return OVERSAMPLERS[config.method](config.parameters)
