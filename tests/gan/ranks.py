"""Processes that do one job after another as ranks: to start them costs more than most trainings of the tests."""

import json
import os
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from threading import Timer

from raresmith.gan.launch import environment

ROOT = Path(__file__).parents[2]
DONE = "done with code "


class Ranks:
    """`world_size` processes, which join a new process group for each job."""

    def __init__(self, world_size: int, folder: Path) -> None:
        self.logs = [folder / f"rank{rank}.log" for rank in range(world_size)]
        self.processes = [self._start(rank, log) for rank, log in enumerate(self.logs)]

    def _start(self, rank: int, log: Path) -> subprocess.Popen[str]:
        place = {"RANK": str(rank), "WORLD_SIZE": str(len(self.logs)), "MASTER_ADDR": "127.0.0.1"}
        with log.open("w") as out:
            return subprocess.Popen(
                [sys.executable, "-m", __name__],
                env={**environment(), **place},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
            )

    def run(self, module: str, *argv: str | Path) -> str:
        """Let each rank call main of `module` with these words; it must end well. Returns what the first one says."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        job = json.dumps({"port": port, "module": module, "argv": [str(word) for word in argv]})
        for process in self.processes:
            print(job, file=process.stdin, flush=True)
        watchdog = Timer(300, self.stop)
        watchdog.start()
        said = [self._answer(process) for process in self.processes]
        watchdog.cancel()
        for answer, log in zip(said, self.logs, strict=True):
            assert answer.endswith(f"{DONE}0\n"), log.read_text()[-3000:]
        return said[0].removesuffix(f"{DONE}0\n")

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith(DONE):
                break
        return said

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def serve() -> None:
    """Do the jobs that come on stdin."""
    import torch.distributed as dist

    for line in sys.stdin:
        job = json.loads(line)
        os.environ["MASTER_PORT"] = str(job["port"])
        code = import_module(job["module"]).main(job["argv"])
        if code == 0:
            dist.barrier()  # or one rank takes the store away while others still leave the group
        dist.destroy_process_group()
        print(f"{DONE}{code}", flush=True)


if __name__ == "__main__":
    serve()
