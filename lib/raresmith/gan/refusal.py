"""An error of our own in one of torchrun's processes, told by torchelastic's error file to whoever started torchrun.

torchrun names a file to each process, in which torch's own `record` puts what ended it. Here it holds the error's type,
message and fields beside what torch looks for, as JSON.
"""

import errno
import json
import os
import re
import time
import traceback
from pathlib import Path
from typing import Any

from raresmith import errors
from raresmith.errors import Key, RaresmithError, StorageError

WATCHED = "RARESMITH_WATCHED"
"""In the environment of a process whose refusal someone reads and ends all processes."""
_LONGEST_WAIT = 60.0
"""Seconds until a process ends itself that nobody ends."""


_OF_STORAGE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
}
"""What the system says where trying again does not help."""


def of(error: Exception) -> RaresmithError | None:
    """`error` as one that ends all processes: one of our own, or a disk or permission in the way; else nothing."""
    if isinstance(error, RaresmithError):
        return error
    # delta-rs and safetensors tell the system's number as Rust does, within their own errors.
    said = re.search(r"\(os error (\d+)\)", str(error))
    number = int(said[1]) if said else error.errno if isinstance(error, OSError) else None
    return StorageError.of("refine", " ".join(str(error).split())) if number in _OF_STORAGE else None


def write(error: RaresmithError) -> None:
    """Note `error` in the file that torchrun named to this process, if it did."""
    if not (path := os.environ.get("TORCHELASTIC_ERROR_FILE")):
        return
    keys = [name for name, value in error.fields.items() if isinstance(value, Key)]
    kind = next(cls for cls in type(error).__mro__ if cls.__module__ == errors.__name__)  # which `read` can name
    fields = {name: _plain(value) for name, value in error.fields.items()}
    told = {"type": kind.__name__, "message": error.message, "fields": fields, "keys": keys}
    document = {
        "message": {
            "message": f"{type(error).__name__}: {error}",
            "extraInfo": {"py_callstack": traceback.format_exc(), "timestamp": str(int(time.time()))},
            "raresmith": told,
        }
    }
    aside = Path(f"{path}.{os.getpid()}")
    aside.write_text(json.dumps(document), encoding="utf-8")
    aside.rename(path)


def _plain(value: Any) -> Any:
    """A field's value as JSON has it, or as text."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return str(value)


def read(folder: Path) -> RaresmithError | None:
    """The error that one of the processes has noted below `folder`, torchrun's `--log-dir`."""
    for path in sorted(folder.rglob("error.json")):
        try:
            message: Any = json.loads(path.read_text(encoding="utf-8"))["message"]
        except (ValueError, KeyError):  # torch's own, half written
            continue
        if isinstance(message, dict) and (found := message.get("raresmith")):
            fields = {name: Key(v) if name in found["keys"] else v for name, v in found["fields"].items()}
            kind: type[RaresmithError] = getattr(errors, found["type"])
            return kind(found["message"], **fields)
    return None


def await_end() -> None:
    """Wait to be ended, where this process is watched: torchrun starts all again as soon as one ends by itself."""
    if WATCHED in os.environ:
        time.sleep(_LONGEST_WAIT)
