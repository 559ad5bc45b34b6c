"""`[publish.constraints]`: what holds in every made row that is published."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from raresmith.config.section import Section
from raresmith.errors import ConfigError

Value = bool | int | float | str
"""What a TOML file can say of a value; dates and timestamps as ISO texts."""


class RangeConfig(Section):
    """`[publish.constraints.ranges.COLUMN]`: the least and the greatest value, or one of them."""

    section: ClassVar[str] = "publish.constraints.ranges.COLUMN"

    low: int | float | str | None = None
    """A number, or for dates and timestamps an ISO text."""
    high: int | float | str | None = None
    """The same; not below `low`."""


class SumConfig(Section):
    """`[[publish.constraints.sums]]`: columns that add up."""

    section: ClassVar[str] = "publish.constraints.sums"

    columns: tuple[str, ...]
    """Numbers; at least two."""
    total: int | float | str
    """What they add up to: a column, or a number."""

    def mistakes(self) -> Iterator[ConfigError]:
        """A sum of one column, or of itself."""
        yield from _too_few(self.key_of("columns"), self.columns)
        if self.total in self.columns:
            yield ConfigError(
                f"publish.constraints.sums has the total {self.total!r} among its columns {list(self.columns)}; "
                "name another, or leave it out of them"
            )


class CombinationConfig(Section):
    """`[[publish.constraints.combinations]]`: columns whose values go together."""

    section: ClassVar[str] = "publish.constraints.combinations"

    columns: tuple[str, ...]
    """At least two."""
    values: tuple[tuple[Value, ...], ...] = ()
    """The combinations that are allowed, each with a value for each column; without it those that train rows have."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Combinations of one column, or with values for fewer or more."""
        yield from _too_few(self.key_of("columns"), self.columns)
        for row in self.values:
            if len(row) != len(self.columns):
                yield ConfigError(
                    f"publish.constraints.combinations.values must give each of {list(self.columns)} a value, "
                    f"got {list(row)}"
                )


def _too_few(key: str, columns: tuple[str, ...]) -> Iterator[ConfigError]:
    if len(columns) < 2 or len(set(columns)) < len(columns):
        yield ConfigError(f"{key} must name at least two different columns, got {list(columns)}")


class ConstraintsConfig(Section):
    """`[publish.constraints]`: what holds in every made row that is published (docs/publish.md).

    Columns are those of the raw table, values in its units. Null and NaN are no values: they break `not_null` and no
    range, order or sum, and are a value of their own to combinations.
    """

    section: ClassVar[str] = "publish.constraints"

    not_null: tuple[str, ...] = ()
    """Columns that have a value."""
    ranges: dict[str, RangeConfig] = Field(default_factory=dict)
    """By column, numbers, dates or timestamps: both ends are allowed values."""
    combinations: tuple[CombinationConfig, ...] = ()
    """Columns whose values occur together."""
    orders: tuple[tuple[str, ...], ...] = ()
    """Columns, all numbers or all dates and timestamps, none of which is greater than the next one."""
    sums: tuple[SumConfig, ...] = ()
    """Columns that add up to another or to a number."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Orders of one column, and ranges without ends."""
        for columns in self.orders:
            yield from _too_few(self.key_of("orders"), columns)
        for name, ends in self.ranges.items():
            if ends.low is None and ends.high is None:
                yield ConfigError(f"publish.constraints.ranges.{name} must have low, high or both")

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that each key names."""
        totals = [total for s in self.sums if isinstance(total := s.total, str)]
        return {
            "publish.constraints.not_null": self.not_null,
            "publish.constraints.ranges": tuple(self.ranges),
            "publish.constraints.combinations": tuple(name for c in self.combinations for name in c.columns),
            "publish.constraints.orders": tuple(name for columns in self.orders for name in columns),
            "publish.constraints.sums": (*(name for s in self.sums for name in s.columns), *totals),
        }
