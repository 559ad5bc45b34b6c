"""`[simulate]`: card transactions made here."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from raresmith.config.section import Positive, Section
from raresmith.errors import ConfigError


class SimulateConfig(Section):
    """`[simulate]`: card transactions made here, written to source.path in source.format when it is not there yet."""

    section: ClassVar[str] = "simulate"

    rows: Positive
    """Transactions; at least 1."""
    customers: Positive = 1000
    """Customers, each with one card; at least 1."""
    terminals: Positive = 2000
    """Terminals of merchants; at least 1."""
    start: str = "2025-01-01"
    """First day, an ISO date."""
    days: Positive = 60
    """Days of transactions; at least 1."""
    fraud_share: Annotated[float, Ge(0), Le(0.5)] = 0.01
    """Share of fraud over the whole table, about; in [0, 0.5]."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Days that the calendar does not have."""
        try:
            datetime.fromisoformat(self.start) + timedelta(days=self.days)
        except (ValueError, OverflowError):
            yield ConfigError(f"simulate.start must be an ISO date, got {self.start!r}")
