"""Where the published tables are, for the tests that need them."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("RARESMITH_DATA") or Path(__file__).resolve().parent.parent.parent / "shared" / "data")


def published(name: str) -> Path:
    """The published table `name`; skips the test, saying why, where it is not there."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there; RARESMITH_DATA names the folder of the published tables")
    return path
