"""`[oversample]`: how many rows of which class, and how they are drawn."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from raresmith.config.parameters import Choice
from raresmith.config.section import Natural, Positive, Share
from raresmith.errors import ConfigError

Wanted = Share | dict[str, Natural]
"""Minority ÷ majority, or rows of each class."""


class OversampleConfig(Choice):
    """`[oversample]`: how many rows of which class, and how they are drawn."""

    section: ClassVar[str] = "oversample"

    chooser: ClassVar[str] = "method"
    registry: ClassVar[str] = "raresmith.oversampling.registry:OVERSAMPLERS"

    method: str = "smote"
    """The oversampler; its own keys stand beside those that are shared (docs/methods.md)."""
    sampling_strategy: Wanted | Literal["minority", "not minority", "not majority", "all", "auto"] = "auto"
    """As in imbalanced-learn: minority ÷ majority after resampling (two classes), one of "minority", "not minority",
    "not majority", "all", "auto", or the wished number of rows per class."""
    num_partitions: Natural = 0
    """Tasks that make the rows; 0 takes Spark's default parallelism. The rows do not depend on it."""
    neighbors: Literal["auto", "exact", "cells", "partition"] = "auto"
    """Where a row's neighbours are looked for. exact: the whole class, which each executor gets. cells: the spatial
    cells around the row. partition: parts of 10,000 rows without regard to space, which misses most neighbours.
    auto: exact up to max_exact_bytes, cells beyond."""
    min_recall: Share = 0.95
    """Share of the true neighbours that cells must find, measured on 1,000 rows; in (0, 1]."""
    undersampling_strategy: Wanted | Literal["none", "majority", "not minority", "not majority", "all", "auto"] = "none"
    """How many rows are left after oversampling, chosen by hash. As in imbalanced-learn: minority ÷ majority (two
    classes); "majority", "not minority", "not majority", "all" or "auto" (= "not minority"), which bring the named
    classes to the size of the smallest; the rows to keep per class; or "none"."""
    cleaning: Literal["none", "tomek", "enn"] = "none"
    """Rows of any class taken out afterwards. tomek: both of a Tomek link, two rows of different classes that are each
    other's nearest (Tomek 1976). enn: rows that have another class among their enn_neighbors nearest (Wilson 1972)."""
    enn_neighbors: Positive = 3
    """Nearest rows that must all be of a row's class; at least 1."""
    max_exact_bytes: Annotated[int, Ge(2**20)] = 128 * 2**20
    """Most bytes of one class's rows that are sent to every executor, whose Python workers take three times as much
    each; a larger class is sent cell by cell."""

    def mistakes(self) -> Iterator[ConfigError]:
        """What does not go together."""
        for name in ("sampling_strategy", "undersampling_strategy"):
            if getattr(self, name) == {}:
                yield ConfigError("{key} must give each class at least 0 rows, got {{}}", key=self.key_of(name))
        if self.neighbors == "partition" and self.kind.needs_other_classes:
            yield ConfigError(
                '{key} must be "exact" or "cells" with method {method}, got \'partition\'',
                key=self.key_of("neighbors"),
                method=self.method,
            )

    @property
    def removes(self) -> bool:
        """Whether rows are taken out as well."""
        return self.undersampling_strategy != "none" or self.cleaning != "none"
