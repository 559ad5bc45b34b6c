"""The oversamplers that a configuration can name."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from raresmith.oversampling.base import Oversampler
from raresmith.registry import Registry

if TYPE_CHECKING:
    from raresmith.config.file import OversampleConfig

OVERSAMPLERS: Registry[Oversampler] = Registry(
    Oversampler,  # type: ignore[type-abstract]
    "raresmith.oversampling",
    "raresmith.oversamplers",
)


def oversampler_of(config: "OversampleConfig") -> Oversampler:
    """The oversampler that `[oversample]` names, with its own parameters."""
    kind = OVERSAMPLERS[config.method]
    return kind(_parameters(kind, config))


def _parameters(kind: type[Oversampler], config: "OversampleConfig") -> Any:
    names = [field.name for field in fields(kind.Parameters)]
    return kind.Parameters(**{name: getattr(config, name) for name in names if hasattr(config, name)})
