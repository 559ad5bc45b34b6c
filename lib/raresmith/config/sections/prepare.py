"""`[prepare]`: features, their encoding, and what happens to bad values."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field

from raresmith.config.section import Natural, Positive, Section
from raresmith.errors import ConfigError

Normalisation = Literal["standard", "minmax", "robust", "quantile", "log", "none"]


ValuePolicy = Literal["impute", "quarantine", "refuse"]


class WindowConfig(Section):
    """`[[prepare.windows]]`: features of the past of one entity; each ends `delay_days` before the row itself."""

    section: ClassVar[str] = "prepare.windows"

    entity: str
    """Column whose rows are looked back on."""
    days: tuple[Positive, ...] = (1, 7, 30)
    """Lengths of the windows in days of 24 hours, each (now - days, now]; at least 1."""
    count: bool = True
    """Add the number of rows: `<entity>_count_<days>d`."""
    mean: tuple[str, ...] = ()
    """Add the mean of these columns: `<entity>_mean_<column>_<days>d`; 0 where the window is empty."""
    risk: bool = False
    """Add the share of positive rows: `<entity>_risk_<days>d`; 0 where the window is empty. Under a split by hash or
    entity it looks at train rows alone, or at the entity's own where split.entity keeps them together."""
    delay_days: Natural = 0
    """The windows end this many days before the row. What is computed from labels, which are risk and the mean of the
    label or of a column that tells it, must wait for at least source.label_delay_days, and a day; for risk and the mean
    of the label 0 takes that. What else a row has is known when it happens."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Windows twice or none."""
        if not self.days or len(set(self.days)) < len(self.days):
            yield ConfigError(
                f"prepare.windows.days must be different whole numbers of at least 1, got {list(self.days)}"
            )


class PrepareConfig(Section):
    """`[prepare]`: features, their encoding, and what happens to bad values."""

    section: ClassVar[str] = "prepare"

    features: tuple[str, ...] = ()
    """Raw columns that are features; empty takes all but the label, key, timestamp and ignored columns."""
    categorical: tuple[str, ...] = ()
    """Number columns whose values are names, not quantities."""
    calendar: tuple[Literal["weekend", "night", "hour", "weekday", "day"], ...] = ()
    """Features made from source.timestamp: Saturday or Sunday, hour at most 6, hour 0-23, weekday 0 (Monday) to 6,
    day of the month."""
    windows: tuple[WindowConfig, ...] = ()
    """Features of an entity's past."""
    normalise: Normalisation = "standard"
    """How numbers are scaled: standard (mean, deviation), minmax (to [-1, 1]), robust (median, quartiles), quantile
    (to a normal distribution), log (log1p of the size with its sign, then standard), none."""
    normalise_columns: dict[str, Normalisation] = Field(default_factory=dict)
    """The same for single columns."""
    max_categories: Annotated[int, Ge(2), Le(2**20)] = 1000
    """Most categories kept for a column, the most frequent first; the rest share the bucket of unseen values."""
    on_null: ValuePolicy = "impute"
    """Null numbers: impute the mean beside an indicator feature, quarantine the row, or refuse the run. Null
    categories are a category of their own unless quarantined or refused."""
    on_nan: ValuePolicy = "impute"
    """NaN: as a null."""
    on_infinite: Literal["quarantine", "refuse"] = "quarantine"
    """Numbers that are infinite as 32-bit floats (size above 3.4e38)."""
    on_duplicate: Literal["keep", "quarantine", "refuse"] = "keep"
    """Rows that repeat another in every column. Rows that share a key but differ are always quarantined but one."""
