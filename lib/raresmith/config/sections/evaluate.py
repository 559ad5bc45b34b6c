"""`[evaluate]`: the classifier that judges, and what it is asked."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from raresmith.config.section import Section, Share
from raresmith.errors import ConfigError

BUILT_IN = ("none", "class_weight", "random", "reduced", "refined")
"""The strategies that are not the rows of an oversampler."""


class EvaluateConfig(Section):
    """`[evaluate]`: the random forest that judges, and what it is asked."""

    section: ClassVar[str] = "evaluate"

    strategies: tuple[str, ...] = ("none", "class_weight", "random", "smote", "refined")
    """What the forest is trained on: the rows as they are, weighed by class, with minority rows repeated to as many as
    oversample made, without those that undersampling and cleaning took out ("reduced"), without these but with the rows
    of oversample.method or the refined rows."""
    seeds: tuple[int, ...] = (0,)
    """One forest per strategy and seed."""
    positive: str = ""
    """Class whose detection is judged; empty takes the rarest of the train rows."""
    num_trees: Annotated[int, Ge(1), Le(10_000)] = 100
    """Trees of a forest; at least 1."""
    max_depth: Annotated[int, Ge(1), Le(30)] = 15
    """Depth of a tree; 1 to 30."""
    max_bins: Annotated[int, Ge(2), Le(2**16)] = 128
    """Bins that a numeric column is cut into; at least 2. Categories of a column with more of them (and two codes for
    unseen and null) are split in their order instead of by sets."""
    min_instances_per_node: Annotated[int, Ge(1), Le(2**31 - 1)] = 1
    """Fewest rows of a leaf; at least 1."""
    subsampling_rate: Share = 1.0
    """Share of the rows that a tree sees; in (0, 1]."""
    feature_subset_strategy: str = "auto"
    """Columns that a split may look at, as MLlib names them: auto, all, sqrt, log2, onethird, or a number."""
    entity: str = ""
    """Raw column of the cards for card precision; with source.timestamp."""
    top_k: Annotated[int, Ge(1), Le(2**31 - 1)] = 100
    """Cards that can be checked a day, for card precision@top_k; at least 1."""
    bootstrap: Annotated[int, Ge(20), Le(100_000)] = 200
    """Resamples of the test rows behind each interval of 95 %; at least 20."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Nothing to compare, or the same twice."""
        if not self.strategies:
            yield ConfigError("evaluate.strategies must name at least one strategy, got []")
        if len(set(self.strategies)) < len(self.strategies):
            yield ConfigError(f"evaluate.strategies names a strategy twice, got {list(self.strategies)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield ConfigError(f"evaluate.seeds must be different numbers, got {list(self.seeds)}")
