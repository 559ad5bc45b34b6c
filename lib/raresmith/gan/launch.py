"""Start the trainer, several processes of it under torchrun, and tell how it went."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

from raresmith.config import Config
from raresmith.errors import RaresmithError
from raresmith.gan import refusal
from raresmith.gan.data import tables
from raresmith.gan.stage import ledger
from raresmith.tables.stage_report import StageReport
from raresmith.temporary import name_of

logger = logging.getLogger(__name__)

_ALONE = {"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "alone"}
"""What torchrun would tell a process that is the only one; to start torchrun for it would take seconds."""


def command(config: Config, *more: str, only_generate: bool = False) -> list[str]:
    """The command line that runs the stage on this machine, by the interpreter that runs this one; `more` is for
    torchrun, where it is several processes."""
    settings = config.refine
    torchrun = [
        *("-m", "torch.distributed.run", "--standalone", *more),
        *("--nproc-per-node", str(settings.nproc_per_node), "--max-restarts", str(settings.max_restarts)),
    ]
    return [
        *(sys.executable, *(torchrun if settings.nproc_per_node > 1 else ())),
        *("-m", "raresmith.gan.train", str(config.path)),
        *(("--logical-date", config.logical_date) if config.logical_date else ()),
        *(("--only-generate",) if only_generate else ()),
    ]


def environment() -> dict[str, str]:
    """The environment of the processes."""
    return {
        # One thread a process: the networks are small, and more threads than cores make every step slower.
        "OMP_NUM_THREADS": "1",
        # Memory of tensors is kept for the next step; giving it back to the system costs more than computing with it.
        "MALLOC_MMAP_THRESHOLD_": str(2**25),
        "MALLOC_TRIM_THRESHOLD_": str(2**30),
        # After a rank died, agents that share one store number the next attempt differently and never meet again
        # (pytorch issue 135712).
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        # Seconds until torchrun kills processes that it has asked to end; else half a minute.
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "4",
        **os.environ,
    }


def launch(config: Config, *, only_generate: bool = False) -> StageReport:
    """Do the stage `refine` by `refine.nproc_per_node` processes, showing their progress; return its report.

    Parameters
    ----------
    only_generate
        Make the rows by the run's saved model, without training.

    Raises
    ------
    RaresmithError
        The trainer's own, where it refuses; RuntimeError with its last lines where it crashed.
    """
    if config.run.incremental:
        return StageReport(stage="refine", words=ledger.LEFT_OUT)
    identity = tables.generate_run if only_generate else tables.refine_run
    run = identity(config)
    if ledger.is_finished(config, run):
        return ledger.report(config, run, unchanged=True)
    with tempfile.TemporaryDirectory(prefix=f"{name_of('refine')}-") as folder:
        # torchrun gives each process a file for its error, below this folder.
        words = command(config, "--log-dir", folder, only_generate=only_generate)
        is_alone, restarts = config.refine.nproc_per_node == 1, config.refine.max_restarts
        for restart in range(1 + restarts if is_alone else 1):
            error_file = {"TORCHELASTIC_ERROR_FILE": f"{folder}/error.json"}
            alone = _ALONE | error_file | {"TORCHELASTIC_RESTART_COUNT": str(restart)} if is_alone else {}
            refused, code, last = _watched(words, alone, Path(folder))
            if refused is not None or code == 0:
                break
    if refused is not None:
        raise refused
    if code != 0:
        raise RuntimeError(f"the trainer ended with code {code}; its last lines:\n{last}")
    return ledger.report(config, identity(config))


def _watched(words: list[str], more: dict[str, str], folder: Path) -> tuple[RaresmithError | None, int, str]:
    """Run the trainer, with `more` in its environment, until it ends or one of its processes refuses; return the
    refusal, the exit code and the last lines."""
    last = deque[str](maxlen=30)
    refused = None
    told = {refusal.WATCHED: "1", "RARESMITH_LOG": "json", "RARESMITH_LOG_LEVEL": "INFO"}
    with subprocess.Popen(
        words,
        env=environment() | more | told,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        # Who presses Ctrl-C sends SIGINT to all of a group, on which ranks that wait for each other do not end.
        start_new_session=True,
    ) as trainer:
        assert trainer.stderr is not None
        try:
            for line in trainer.stderr:
                last.append(line)
                _say_again(line)
                # A process that refuses writes its error first and then says it.
                if refused is None and (refused := refusal.read(folder)) is not None:
                    trainer.terminate()  # or it would try the same again
        except BaseException:
            trainer.terminate()
            raise
    return refused, trainer.returncode, "".join(last)


def _say_again(line: str) -> None:
    """Log what one of the processes logs of its stage; all else on stderr is torchrun's and torch's."""
    try:
        record = json.loads(line)
    except ValueError:
        return
    if isinstance(record, dict) and str(record.get("logger")).startswith("raresmith.") and "stage" in record:
        level = logging.getLevelNamesMapping()[record["level"]]
        logging.getLogger(record["logger"]).log(level, "%s", record["message"], extra={"stage": record["stage"]})
