"""A terminal sees what it always saw, a cluster may ask for JSON, and a library that is imported is quiet."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from raresmith.errors import ConfigError
from raresmith.log import RESULT, show
from raresmith.tables.stage_report import StageReport

REPORT = StageReport(stage="publish", rows={"augmented": 1200, "copies": 3}, seconds=1.25, words="one\ntwo")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    for logger in (logging.getLogger("raresmith"), RESULT):
        logger.handlers = [handler for handler in logger.handlers if isinstance(handler, logging.NullHandler)]
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("raresmith.gan.training.progress")


def test_a_terminal_sees_plain_lines(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    show()
    show()  # by the command line, and by a function of it
    RESULT.info(REPORT)
    logger.info("step %d", 5, extra={"stage": "refine"})
    logger.debug("nobody asked")
    logger.error("%s", ConfigError("the key is wrong"))
    out, err = capsys.readouterr()
    made = "1,200 augmented, 3 made rows equal to an original row, left out · 1.2 s"
    assert out == f"publish    {made}\n           one\n           two\n"
    assert err == "refine     step 5\nraresmith: the key is wrong\n"


def test_a_cluster_reads_one_json_object_a_line(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RARESMITH_LOG", "json")
    show()
    RESULT.info(REPORT)
    logger.warning("slow\nas never", extra={"stage": "refine"})
    out, err = (json.loads(text) for text in capsys.readouterr())
    assert (out["stage"], out["rows"], out["unchanged"]) == ("publish", {"augmented": 1200, "copies": 3}, False)
    assert (out["level"], out["logger"], out["message"]) == ("INFO", "raresmith.result", str(REPORT))
    assert (err["level"], err["message"], err["stage"]) == ("WARNING", "slow\nas never", "refine")
    assert err["logger"] == logger.name and err["time"].endswith("+00:00")


def test_the_level_quietens_progress_but_no_result(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RARESMITH_LOG_LEVEL", "warning")
    show()
    logger.info("step 5")
    logger.warning("slow")
    RESULT.info("the plan")
    assert capsys.readouterr() == ("the plan\n", "slow\n")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("RARESMITH_LOG", "xml", r"one of \['text', 'json'\]"), ("RARESMITH_LOG_LEVEL", "LOUD", "'INFO', ")],
)
def test_what_cannot_be_shown_so_is_refused_in_plain_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=rf"{name} must be .*{expected}.*, got {value!r}"):
        show()
    logging.getLogger("raresmith.cli").error("refused")
    assert capsys.readouterr().err == "raresmith: refused\n"


@pytest.mark.parametrize(("silence", "heard"), [("", "odd\n"), ("logging.getLogger('raresmith').disabled = True", "")])
def test_a_library_that_is_imported_tells_warnings_alone_and_can_be_silenced(silence: str, heard: str) -> None:
    # As in Spark's tasks, whose stderr is all that there is to hear of them.
    says = "logger = logging.getLogger('raresmith'); logger.info('as usual'); logger.warning('odd')"
    code = f"import logging, raresmith\n{silence}\n{says}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", heard)
