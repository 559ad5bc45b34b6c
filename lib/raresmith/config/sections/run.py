"""`[run]`: what the run is called and where its tables lie."""

import re
from collections.abc import Iterator
from typing import ClassVar

from raresmith.config.section import Section, Seed
from raresmith.errors import ConfigError


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
        """A name that is no part of a path."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            yield ConfigError(f"run.name must hold only letters, digits, '-' and '_', got {self.name!r}")
