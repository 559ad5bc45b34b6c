"""`[run]`: what the run is called and where its tables lie."""

import re
from collections.abc import Iterator
from typing import ClassVar

from raresmith.config.section import Section, Seed
from raresmith.errors import ConfigError

UNFIT_FOR_TABLES = re.compile(r"[\x00-\x1f\x7f\[\]\\^|]|%[0-9A-Fa-f]{2}")
"""What delta-rs refuses in a path, or takes for something else (seen with 1.6.6)."""


class RunConfig(Section):
    """`[run]`: what the run is called and where its tables lie."""

    section: ClassVar[str] = "run"

    name: str
    """Name of the run; letters, digits, '-' and '_'. With the logical date it is the run id."""
    warehouse: str
    """Folder or s3a:// URL that holds the Delta tables; a relative path counts from the configuration file."""
    random_state: Seed = 0
    """Seed of everything random; at least 0."""
    incremental: bool = False
    """Each run, named by its logical date, brings one batch of raw rows; the rows of other runs stay as they are."""

    def mistakes(self) -> Iterator[ConfigError]:
        """A name that is no part of a path, or a folder that one of the engines cannot open."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            yield ConfigError(f"run.name must hold only letters, digits, '-' and '_', got {self.name!r}")
        if "://" not in self.warehouse and (unfit := UNFIT_FOR_TABLES.search(self.warehouse)):
            yield ConfigError(
                f"run.warehouse has {unfit[0]!r} in its path, in which no Delta table can be made; name another "
                f"folder, got {self.warehouse!r}"
            )
