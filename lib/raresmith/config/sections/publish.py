"""`[publish]`: what the augmented table holds beside the made rows, and which of these are left out."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from raresmith.config.section import Finite, Section
from raresmith.config.sections.constraints import ConstraintsConfig


class PublishConfig(Section):
    """`[publish]`: what the augmented table holds beside the made rows, and which of these are left out."""

    section: ClassVar[str] = "publish"

    originals: Literal["all", "train", "none"] = "all"
    """Raw rows that are copied in: all that passed the contract, those of the train split, or none (for tables too big
    to copy: then a view unites them)."""
    source: str = "refined"
    """Which made rows are published: refined, or those of oversample.method, which an incremental run takes."""
    names: Literal["raw", "safe"] = "raw"
    """What the columns of `augmented` are called: as in the raw table, or, for readers that open no table whose names
    Delta has to map (docs/publish.md), with '_' for each space, tab, line break and each of ,;{}()= in a name."""
    carried: Literal["null", "base"] = "null"
    """What a made row has in raw columns that are neither features, key, label nor source.timestamp, such as those of
    source.ignore: nothing, for they may say who somebody is, or what its base row has. Columns that constraints name
    have the latter either way (docs/publish.md)."""
    min_distance: Annotated[Finite, Ge(0)] = 0.0
    """Made rows nearer than this to the nearest train row of their class are left out; at least 0. In units of the
    median distance from a train row of the class to its own nearest one, distances as `oversample` measures them
    (docs/publish.md). 0 leaves out equal rows only."""
    constraints: ConstraintsConfig = Field(default_factory=ConstraintsConfig)
    """What holds in each of them."""
