"""`[oversample]`: how many rows of which class, and how they are drawn."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from raresmith.config.section import Natural, Positive, Section, Share
from raresmith.errors import ConfigError

Method = Literal["smote", "smoten", "crossover", "borderline-1", "borderline-2", "adasyn", "random", "imblearn"]


SURROUNDED: tuple[Method, ...] = ("borderline-1", "borderline-2", "adasyn")
"""The methods that look at other classes."""

Wanted = Share | dict[str, Natural]
"""Minority ÷ majority, or rows of each class."""


class OversampleConfig(Section):
    """`[oversample]`: how many rows of which class, and how they are drawn."""

    section: ClassVar[str] = "oversample"

    method: Method = "smote"
    """smote: Chawla et al. 2002; tables with categorical features as SMOTE-NC does. smoten: the same paper's SMOTE-N,
    for tables of categories only. crossover: each column whole from the row or from its neighbour, so that every value
    is a real one (docs/methods.md). borderline-1 and -2: Han et al. 2005, from rows among rows of other classes.
    adasyn: He et al. 2008, the more the more of these are near. random: real rows again. imblearn: `sampler` of
    imbalanced-learn, run on one spatial cell of the table at a time."""
    sampling_strategy: Wanted | Literal["minority", "not minority", "not majority", "all", "auto"] = "auto"
    """As in imbalanced-learn: minority ÷ majority after resampling (two classes), one of "minority", "not minority",
    "not majority", "all", "auto", or the wished number of rows per class."""
    k_neighbors: Positive = 5
    """Nearest rows of the same class that a row may be drawn towards; at least 1."""
    m_neighbors: Positive = 10
    """Nearest rows of the whole table by which borderline knows that a row is in danger; at least 1."""
    on_few_neighbors: Literal["reduce", "refuse"] = "reduce"
    """A class with at most k_neighbors rows: use the neighbours there are, or refuse. One row alone is refused."""
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
    sampler: str = ""
    """Class of imblearn.over_sampling, such as "SVMSMOTE" or "KMeansSMOTE" (method "imblearn")."""
    sampler_params: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Its keywords, where imbalanced-learn's defaults are not to be; without them it takes k_neighbors and m_neighbors
    from here."""
    cell_rows: Annotated[int, Ge(1000)] = 20_000
    """Rows of a cell that the sampler sees, about, and never more than twice as many; at least 1,000. A table with no
    more train rows is one cell."""

    def mistakes(self) -> Iterator[ConfigError]:
        """What does not go together."""
        for name in ("sampling_strategy", "undersampling_strategy"):
            if getattr(self, name) == {}:
                yield ConfigError("{key} must give each class at least 0 rows, got {{}}", key=self.key_of(name))
        if self.method in SURROUNDED and self.neighbors == "partition":
            yield ConfigError(
                '{key} must be "exact" or "cells" with method {method}, got \'partition\'',
                key=self.key_of("neighbors"),
                method=self.method,
            )
        if self.method == "imblearn":
            if not self.sampler:
                yield ConfigError(
                    'oversample.sampler must name a class of imblearn.over_sampling, such as "SVMSMOTE", when '
                    'oversample.method is "imblearn"'
                )
        elif self.sampler or self.sampler_params:
            yield ConfigError(
                f'oversample.sampler and oversample.sampler_params need oversample.method = "imblearn", got '
                f"{self.method!r}; set that, or leave them out"
            )
        ours = ("sampling_strategy", "random_state", "n_jobs", "categorical_features")
        if taken := sorted(set(ours) & self.sampler_params.keys()):
            yield ConfigError(f"oversample.sampler_params names {taken}, which raresmith sets itself; leave them out")

    @property
    def removes(self) -> bool:
        """Whether rows are taken out as well."""
        return self.undersampling_strategy != "none" or self.cleaning != "none"
