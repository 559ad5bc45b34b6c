"""Whether torch.compile works here."""

import sys

import torch

from raresmith.gan.ranks import Process


def can_compile(process: Process) -> bool:
    """Whether all ranks can compile: it is tried. If not, the first one says so on stderr."""
    reason = ""
    numbers = torch.ones(8, device=process.device, requires_grad=True)
    try:
        torch.compile(_probe)(numbers).backward()
    except Exception as error:  # of many kinds, all of them torch's own
        reason = str(error).strip().partition("\n")[0] or repr(error)
    failures = int(process.sum(torch.tensor(int(bool(reason)), device=process.device)))
    if failures and process.first:
        print(
            f"refine     torch.compile does not work here ({reason or 'on another rank'}); training is not compiled",
            file=sys.stderr,
            flush=True,
        )
    return failures == 0


def _probe(numbers: torch.Tensor) -> torch.Tensor:
    return (numbers.sin() * numbers).sum()
