"""What an oversampler is, and what it is told and asked.

An oversampler is a module of this package, or an entry point of another one, with a subclass of `Oversampler` that has
a `name`. All else finds it by that name: the configuration reads its `Parameters`, the stage of pyspark.ml and the
report its titles, and the machinery, in memory or in spatial cells, calls its hooks. It is pickled to Spark's tasks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import ArrayLike, NDArray

from raresmith.counter_rng import Stream, hash64, uniform
from raresmith.errors import DataError, Key, NothingToMake
from raresmith.neighbors.distance import Distance

Counts = Sequence[NDArray[np.int64]]
"""For each column the rows with each code, from 0 on."""
Copies = Callable[[NDArray[Any]], NDArray[np.int64]]
"""How many rows are made of each base, by how many of its nearest rows are of other classes."""


@dataclass(frozen=True, eq=False)
class Features:
    """The columns that rows are made in."""

    is_categorical: NDArray[np.bool_]
    """Of shape (n_features,): which hold codes."""
    names: tuple[str, ...] = ()
    groups: NDArray[np.intp] | None = None
    """Columns with the same number belong together; numbers from 0 on. Without it each is one of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassSample:
    """What an oversampler learns of a class from: all of its rows, or a sample of them."""

    row_ids: NDArray[np.int64]
    columns: NDArray[Any]
    """Of shape (n_features, n_rows)."""
    features: Features
    random_state: int
    category_counts: tuple[Counts, Counts] | None = None
    """Rows of the class, and of the whole table, with each code; for those that need them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Parents:
    """The parents of some rows to be made."""

    row_id: NDArray[np.int64]
    """Of the base of each row to be made; the base and the copy name the row."""
    copy: NDArray[np.int64]
    base: NDArray[np.int64]
    """Where the base stands in `columns`; of shape (n_made,), as all that follows where no other is given."""
    neighbor: NDArray[np.int64]
    is_other: NDArray[np.bool_]
    """Whether the neighbour is of another class."""
    columns: NDArray[Any]
    """Features of all rows that are meant, of shape (n_features, n_rows)."""
    bases: NDArray[np.int64]
    """The distinct bases."""
    near: NDArray[np.int64]
    """All neighbours of each of these, of shape (n_bases, k_neighbors)."""
    at: NDArray[np.intp]
    """Which of `bases` is the base."""
    is_categorical: NDArray[np.bool_]
    random_state: int

    def uniform(self, stream: int, slot: ArrayLike = 0, where: NDArray[Any] | slice = slice(None)) -> NDArray[Any]:
        """A random number in [0, 1) for each row to be made, of an independent series for each stream and slot."""
        return uniform(self.random_state, stream, self.row_id[where], self.copy[where], slot)


@dataclass(frozen=True, kw_only=True)
class FoundBases:
    """What is known of all rows of a class that rows may be made of, when each has been looked at."""

    class_name: str
    n_to_make: int
    n_bases: int
    n_others: int
    """Rows of other classes among the nearest of each, all added up."""
    most_others: int
    """The most that one has."""


@dataclass(frozen=True, kw_only=True)
class MadeRows:
    """Made rows; each array has one entry a row, `columns` is of shape (n_features, n_made)."""

    row_id: NDArray[np.int64]
    base_row_id: NDArray[np.int64]
    neighbor_row_id: NDArray[np.int64]
    gap: NDArray[np.float64]
    """In [0, 1): how much of the row is the neighbour's, as its oversampler counts it."""
    columns: NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellRows:
    """The rows of a cell, of all classes; row_ids ascending, columns of shape (n_features, n_rows)."""

    row_ids: NDArray[np.int64]
    labels: NDArray[np.int32]
    columns: NDArray[Any]


class Oversampler(ABC):
    """How rows are made of a class; a made row is a pure function of the seed, its base, its copy number and the class.

    The hooks are called in this order: `check` and `usable_neighbors` before anything is read, `fit` on the rows of the
    class or a sample, `distance`, then, where it needs other classes, `may_be_base` and `choose_bases`, and `draw`
    wherever rows are made.

    Parameters
    ----------
    parameters : Parameters
        Its own keys of `[oversample]`; without them the defaults.
    """

    name: ClassVar[str]
    """As `oversample.method` and the column `method` have it."""
    title: ClassVar[str]
    """As text has it."""
    explained: ClassVar[str]
    """What is trained on, in the report."""
    stage: ClassVar[str] = ""
    """The stage of pyspark.ml; several oversamplers may share one, which then has a param `kind`. A class that
    does not say it itself has one by its own name."""
    needs_other_classes: ClassVar[bool] = False
    """Whether bases are chosen by the rows of other classes around them."""
    towards_other_classes: ClassVar[bool] = False
    """Whether, where bases are chosen so, neighbours are rows of any class."""
    takes_whole_cells: ClassVar[bool] = False
    """Whether it is given all rows of a cell and finds its bases itself, as a `CellOversampler` does."""
    needs_category_counts: ClassVar[bool] = False
    """Whether it learns from how often each category comes with the class."""
    copies_rows: ClassVar[bool] = False
    """Whether made rows equal train rows, and no neighbours are looked for."""

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        """Nothing to set."""

    def __init__(self, parameters: Any = None) -> None:
        self.parameters: Any = self.Parameters() if parameters is None else parameters

    def __str__(self) -> str:
        return self.title

    def check(self, features: Features | None = None) -> None:
        """Hold the parameters against what is installed and, where they are known, against the columns.

        Raises
        ------
        ConfigError, DataError
            If they do not fit.
        """
        return

    @abstractmethod
    def usable_neighbors(self, n_rows: int, class_name: str) -> int:
        """How many neighbours each of so many rows of a class has; with 0 a row is made of its base alone.

        Raises
        ------
        NothingToMake, DataError
            If there are too few rows.
        """

    def fit(self, rows: ClassSample) -> Self:
        """This oversampler with what it learns of a class; by itself nothing."""
        return self

    def distance(self, columns: NDArray[Any], is_categorical: NDArray[np.bool_]) -> Distance:
        """How far rows of the class, such as these, are from each other; called once fitted."""
        return Distance.among(columns, is_categorical)

    def m_nearest(self, k_neighbors: int) -> int:
        """The nearest rows of the whole table by which a row is judged that has so many neighbours in its class."""
        return k_neighbors

    def may_be_base(self, n_others: NDArray[Any]) -> NDArray[np.bool_]:
        """Which rows to make others of, by how many of their `m_nearest` rows are of other classes."""
        return np.ones(len(n_others), bool)

    def choose_bases(self, found: FoundBases) -> Copies | None:
        """How many rows to make of each base; None makes `n_to_make`, equally many of each but for one.

        Raises
        ------
        NothingToMake
            If that would be none.
        """
        return None

    @abstractmethod
    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Features, of shape (n_features, n_made) and of the type of the parents', and gaps of the rows to be made."""


class NeighborOversampler(Oversampler):
    """An oversampler that makes each row of a base and one of its nearest rows."""

    @dataclass(frozen=True, kw_only=True)
    class Parameters(Oversampler.Parameters):
        """How many neighbours."""

        k_neighbors: Annotated[int, Ge(1)] = 5
        """Nearest rows of the same class that a row may be drawn towards; at least 1."""
        on_few_neighbors: Literal["reduce", "refuse"] = "reduce"
        """A class with at most k_neighbors rows: use the neighbours there are, or refuse. One row alone is refused."""

    def usable_neighbors(self, n_rows: int, class_name: str) -> int:
        """`k_neighbors`, or the n_rows - 1 that there are where the policy allows it."""
        k_neighbors = self.parameters.k_neighbors
        if n_rows == 1:
            raise NothingToMake(
                "class {class_name!r} has 1 train row, and {title} needs at least 2 to draw a row between them; "
                "leave the class out of {strategy} or give the run more of its rows",
                class_name=class_name,
                title=self.title,
                strategy=Key("oversample.sampling_strategy"),
            )
        if n_rows <= k_neighbors and self.parameters.on_few_neighbors == "refuse":
            raise DataError(
                "class {class_name!r} has {n_rows} train rows but {k} is {k_neighbors}; lower {k} to at most {most} or "
                'set {policy} = "reduce"',
                class_name=class_name,
                n_rows=n_rows,
                k_neighbors=k_neighbors,
                most=n_rows - 1,
                k=Key("oversample.k_neighbors"),
                policy=Key("oversample.on_few_neighbors"),
            )
        return int(min(k_neighbors, n_rows - 1))


class CellOversampler(NeighborOversampler):
    """An oversampler that is given whole cells of the table, with the rows of all classes, and finds bases itself."""

    takes_whole_cells = True

    @dataclass(frozen=True, kw_only=True)
    class Parameters(NeighborOversampler.Parameters):
        """How large a cell is."""

        cell_rows: Annotated[int, Ge(1000)] = 20_000
        """Rows of a cell that the sampler sees, about, and never more than twice as many; at least 1,000. A table with
        no more train rows is one cell."""

    @property
    @abstractmethod
    def fewest_rows(self) -> int:
        """Rows of the class that each cell must have, if there are as many."""

    def measures(self) -> dict[str, Any]:
        """What is noted of it beside the cells."""
        return {}

    @abstractmethod
    def made_in_cell(
        self, cell: CellRows, label: int, n_to_make: int, features: Features, random_state: int
    ) -> Iterator[tuple[MadeRows, str]]:
        """Exactly `n_to_make` rows of a class, in parts of at most twice `cell_rows`, and the method of each part."""

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Not asked: rows are made by `made_in_cell`."""
        raise NotImplementedError(f"{self.name} makes rows by whole cells")


def made_row_id(random_state: int, base_row_id: NDArray[np.int64], copy: NDArray[np.int64]) -> NDArray[np.int64]:
    """A random 64-bit number: two made rows, or a made and a raw one, share it with a chance of n² / 2^65."""
    return hash64(random_state, Stream.ROW_ID, base_row_id, copy)


def copies_per_base(row_ids: NDArray[np.int64], n_to_make: int, random_state: int) -> NDArray[np.int64]:
    """How often each row is a base: n_to_make ÷ n, and once more for as many as remain, those with the least hash."""
    whole, remaining = divmod(n_to_make, len(row_ids))
    copies = np.full(len(row_ids), whole, np.int64)
    order = np.argsort(hash64(random_state, Stream.EXTRA_COPY, row_ids), kind="stable")
    copies[order[:remaining]] += 1
    return copies
