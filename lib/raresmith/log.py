"""How a door shows what the library says.

The library logs under `raresmith` and attaches nothing, so a notebook hears it as it hears any other library. The
command line and the jobs call `show`: results go to stdout, all else to stderr, as plain lines or, with
RARESMITH_LOG=json, as one JSON object a line; RARESMITH_LOG_LEVEL names the lowest level that is shown of the latter.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from raresmith.errors import ConfigError
from raresmith.tables.stage_report import MARGIN, StageReport

FORMATS = ("text", "json")
RESULT = logging.getLogger("raresmith.result")
"""What a command was asked for: reports of stages, a plan, the verdict."""


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The message as it is; after the name of its stage where it has one, and errors after our own name."""
        text = super().format(record)
        if record.levelno >= logging.ERROR:
            return f"raresmith: {text}"
        return f"{record.stage:<{MARGIN}}{text}" if hasattr(record, "stage") else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger and message, the stage where there is one, and the fields of a report."""
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if hasattr(record, "stage"):
            document["stage"] = record.stage
        if isinstance(record.msg, StageReport):
            document |= record.msg.fields()
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


class _Stream(logging.StreamHandler[TextIO]):
    """A handler of `sys.stdout` or `sys.stderr` as it is when something is said, for these are exchanged at times."""

    def __init__(self, name: str, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self._name_of_stream = name
        self.setFormatter(formatter)

    def handleError(self, record: logging.LogRecord) -> None:
        """A result that cannot be written is no success."""
        if record.name == RESULT.name:
            raise
        super().handleError(record)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where to write."""
        return getattr(sys, self._name_of_stream)  # type: ignore[no-any-return]


def show() -> None:
    """Let this process show what the library says; a second call shows nothing twice.

    Raises
    ------
    ConfigError
        If RARESMITH_LOG or RARESMITH_LOG_LEVEL is none that there is.
    """
    chosen, level = os.environ.get("RARESMITH_LOG", "text"), os.environ.get("RARESMITH_LOG_LEVEL", "INFO").upper()
    library = logging.getLogger("raresmith")
    for logger, stream in ((library, "stderr"), (RESULT, "stdout")):
        for handler in [handler for handler in logger.handlers if isinstance(handler, _Stream)]:
            logger.removeHandler(handler)
        logger.addHandler(_Stream(stream, _Json() if chosen == "json" else _Text()))
        logger.setLevel(logging.INFO)
    RESULT.propagate = False
    if chosen not in FORMATS:
        raise ConfigError(f"RARESMITH_LOG must be one of {list(FORMATS)}, got {chosen!r}")
    if level not in (levels := list(logging.getLevelNamesMapping())):
        raise ConfigError(f"RARESMITH_LOG_LEVEL must be one of {levels}, got {level!r}")
    library.setLevel(level)
