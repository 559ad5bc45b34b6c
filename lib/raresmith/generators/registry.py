"""The generators that `refine.model` can name."""

from raresmith.generators.base import Generator
from raresmith.registry import Registry

GENERATORS = Registry(Generator, "raresmith.generators", "raresmith.generators")
"""By name, in alphabetical order; importing them imports no torch."""
