"""What was seen of a table before anybody said what its columns are for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from raresmith.checks.seen import SeenColumn


@dataclass(frozen=True, kw_only=True)
class SeenTable:
    """A table, of which some rows were looked at."""

    rows: int
    classes: Mapping[str, int]
    """Rows of each class."""
    positive: str
    """The class that is looked for."""
    labels: Sequence[str | None]
    """The class of each row looked at; None where there is none."""
    columns: Sequence[SeenColumn]
    days: Mapping[str, Mapping[date, Mapping[str, int]]]
    """Of each column of moments the rows of each of its days by class."""
