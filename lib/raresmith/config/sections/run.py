"""`[run]`: what the run is called and where its tables lie."""

import re
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import unquote

from raresmith.config.section import Section, Seed
from raresmith.errors import ConfigError

_UNFIT_IN_PATHS = r"[\x00-\x1f\x7f\[\]\\^|`]|%[0-9A-Fa-f]{2}"
"""What delta-rs refuses in a path, or takes for something else (seen with 1.6.6); and what ends a path for Delta."""
_UNFIT_IN_URLS = f"{_UNFIT_IN_PATHS}|[#?]"
"""It takes the rest of a URL for no part of the path; Spark takes all for one."""


def unfit_for_tables(place: str) -> str:
    """What a path or URL has in it that the engines do not all take for the same; or ""."""
    found = re.search(_UNFIT_IN_URLS if "://" in place else _UNFIT_IN_PATHS, place)
    return found[0] if found else ""


def local_path(place: str) -> str:
    """The path that a file: URL names, for engines differ on what it is; another `place` as it is."""
    scheme = re.match(r"file:(//(localhost)?)?(?=/)", place)
    return unquote(place[scheme.end() :]) if scheme else place


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
        if unfit := unfit_for_tables(local_path(self.warehouse)):
            yield ConfigError(
                f"run.warehouse has {unfit!r} in its path, in which no Delta table can be made; name another "
                f"folder, got {self.warehouse!r}"
            )
