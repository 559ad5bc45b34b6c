"""The configuration of a run: one TOML file, one section a stage (docs/configuration.md).

It is read on the driver and on torch nodes. What Spark's tasks run takes single values and never imports this package,
for pydantic is not on the executors.
"""

from raresmith.config.file import Config, load_config, parse_config
from raresmith.config.section import ConfigErrors
from raresmith.config.sections.constraints import CombinationConfig, ConstraintsConfig, RangeConfig, SumConfig, Value
from raresmith.config.sections.evaluate import EvaluateConfig
from raresmith.config.sections.oversample import OversampleConfig
from raresmith.config.sections.prepare import Normalisation, PrepareConfig, WindowConfig
from raresmith.config.sections.publish import PublishConfig
from raresmith.config.sections.refine import PrivacyConfig, RefineConfig
from raresmith.config.sections.run import RunConfig
from raresmith.config.sections.simulate import SimulateConfig
from raresmith.config.sections.source import SourceConfig
from raresmith.config.sections.spark import SparkConfig
from raresmith.config.sections.split import SplitConfig

__all__ = [
    "CombinationConfig",
    "Config",
    "ConfigErrors",
    "ConstraintsConfig",
    "EvaluateConfig",
    "Normalisation",
    "OversampleConfig",
    "PrepareConfig",
    "PrivacyConfig",
    "PublishConfig",
    "RangeConfig",
    "RefineConfig",
    "RunConfig",
    "SimulateConfig",
    "SourceConfig",
    "SparkConfig",
    "SplitConfig",
    "SumConfig",
    "Value",
    "WindowConfig",
    "load_config",
    "parse_config",
]
