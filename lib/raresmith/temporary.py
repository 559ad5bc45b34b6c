"""Temporary files whose names say whose they are: what a killed process leaves, the next one deletes."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_OURS = re.compile(r"raresmith-(?:spark|refine)-(\d+)(?:-\w+|\.log)")


def name_of(kind: str) -> str:
    """How the name of a temporary file or folder of this process begins; `kind` is "spark" or "refine"."""
    return f"raresmith-{kind}-{os.getpid()}"


def delete_leftovers() -> None:
    """Delete the temporary files and folders of this user's processes that have ended."""
    _delete(lambda process: not _lives(process))


def delete_own() -> None:
    """Delete the temporary files and folders of this process."""
    _delete(lambda process: process == os.getpid())


def _delete(whose: Callable[[int], bool]) -> None:
    """Delete what this user's processes left that `whose` says."""
    for path in Path(tempfile.gettempdir()).glob("raresmith-*"):
        found = _OURS.fullmatch(path.name)
        with suppress(OSError):  # another process may delete it at the same time
            if found is None or not whose(int(found[1])) or path.lstat().st_uid != os.getuid():
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True
