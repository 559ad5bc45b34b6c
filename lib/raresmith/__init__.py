"""More rows of a rare class at Spark scale, and whether they help a classifier.

Importing it brings neither Spark nor torch nor what checks configurations; `raresmith.spark` and `raresmith.gan` are
the two engines.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from raresmith.errors import ConfigError, DataError, RaresmithError

if TYPE_CHECKING:
    from raresmith.config import Config, load_config

    __version__: str

__all__ = ["Config", "ConfigError", "DataError", "RaresmithError", "__version__", "load_config"]


def __getattr__(name: str) -> Any:
    """What is not needed by every import of a module below."""
    if name == "__version__":
        return version(__name__)
    if name in ("Config", "load_config"):
        return getattr(import_module("raresmith.config.file"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
