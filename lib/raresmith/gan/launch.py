"""Start the trainer under torchrun and tell how it went."""

import os
import subprocess
import sys
from collections import deque

from raresmith.config import Config
from raresmith.errors import DataError
from raresmith.gan.data import tables
from raresmith.gan.training import stage
from raresmith.tables.stage_report import StageReport

_OURS, _REFUSED = "refine ", "raresmith: "


def command(config: Config, *, only_generate: bool = False) -> list[str]:
    """The command line that runs the stage on this machine, by the interpreter that runs this one."""
    settings = config.refine
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(settings.nproc_per_node), "--max-restarts", str(settings.max_restarts)),
        *("-m", "raresmith.gan.train", str(config.path)),
        *(("--logical-date", config.logical_date) if config.logical_date else ()),
        *(("--only-generate",) if only_generate else ()),
    ]


def environment() -> dict[str, str]:
    """The environment of the processes."""
    return {
        # One thread a process: the networks are small, and more threads than cores make every step slower.
        "OMP_NUM_THREADS": "1",
        # After a rank died, agents that share one store number the next attempt differently and never meet again
        # (pytorch issue 135712).
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
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
    DataError
        With the trainer's own sentence where it refuses the data; RuntimeError with its last lines where it crashed.
    """
    if config.run.incremental:
        return StageReport(stage="refine", words=stage.LEFT_OUT)
    identity = tables.generate_run if only_generate else tables.refine_run
    run = identity(config)
    if stage.is_finished(config, run):
        return stage.report(config, run, unchanged=True)
    refused, last = "", deque[str](maxlen=30)
    with subprocess.Popen(
        command(config, only_generate=only_generate),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as torchrun:
        assert torchrun.stderr is not None
        try:
            for line in torchrun.stderr:
                last.append(line)
                if line.startswith(_OURS):
                    print(line, end="", file=sys.stderr, flush=True)
                elif line.startswith(_REFUSED) and not refused:
                    refused = line.removeprefix(_REFUSED).strip()
                    torchrun.terminate()  # or it would try the same again
        except BaseException:
            torchrun.terminate()
            raise
    if refused:
        raise DataError(refused)
    if torchrun.returncode != 0:
        raise RuntimeError(f"the trainer ended with code {torchrun.returncode}; its last lines:\n{''.join(last)}")
    return stage.report(config, identity(config))
