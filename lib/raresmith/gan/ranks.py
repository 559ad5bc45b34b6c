"""This process among the ranks: where it stands, how it starts and ends."""

import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist

from raresmith.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Ranks:
    """One of `world_size` processes, and the device that it computes on."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """`tensor` summed over all ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def broadcast(self, tensor: torch.Tensor) -> torch.Tensor:
        """`tensor` as the first rank has it, in place."""
        if self.world_size > 1:
            dist.broadcast(tensor, src=0)
        return tensor

    def agree(self, value: bool) -> bool:
        """`value` as the first rank has it."""
        return bool(self.broadcast(torch.tensor(value, device=self.device)))

    def barrier(self) -> None:
        """Until all ranks have come here."""
        if self.world_size > 1:
            dist.barrier()


def start(device: str) -> Ranks:
    """Join the process group that torchrun describes, or stand alone; `device` is refine.device.

    Raises
    ------
    ConfigError
        If CUDA is asked for and there is none, or this machine has fewer GPUs than processes.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError('refine.device is "cuda" but torch sees no CUDA device here; set it to "auto" or "cpu"')
    if device != "cpu" and torch.cuda.is_available():
        here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
        if here > gpus:
            raise ConfigError(
                f"{here} processes were started on a machine of {gpus} GPUs, and each needs one of its own; lower "
                f'refine.nproc_per_node (or --nproc-per-node) to {gpus}, or set refine.device = "cpu"'
            )
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(place)
    else:
        place = torch.device("cpu")
        # The networks are too small to share between threads, and the order of a sum would depend on their number:
        # more processes use more cores.
        torch.set_num_threads(1)
    if world_size > 1:
        # Others wait while the first writes tables, and torchrun ends them all if it dies.
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=timedelta(days=1))
    return Ranks(rank, world_size, place)


def finish(code: int) -> NoReturn:
    """End this process with the exit code `code`.

    Without running what Python and gloo do at exit: gloo's threads can abort a process whose work is done (a race in
    torch 2.15), and torchrun would start all over.
    """
    if dist.is_initialized() and code == 0:
        dist.barrier()
        dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
