"""Some columns of each row drawn anew, given the others."""

from typing import ClassVar

from raresmith.generators.base import Generator


class Redraw(Generator):
    """Columns of real rows redrawn by a masked model of all columns (docs/models.md)."""

    name: ClassVar = "redraw"
    title: ClassVar = "Redrawn columns"
    learning_rate: ClassVar = 3e-3
    networks: ClassVar = "raresmith.gan.models.redraw:Redraw"
    # Each step takes other columns, and would be compiled anew.
    can_compile: ClassVar = False
    can_condition: ClassVar = True
    # Values of one real row belong together, where oversampling has blurred or parted them.
    starts_from_base: ClassVar = True
