"""Whether torch.compile works here."""

import logging

import torch

from raresmith.gan.ranks import Ranks

logger = logging.getLogger(__name__)


def can_compile(ranks: Ranks) -> bool:
    """Whether all ranks can compile: it is tried. If not, the main one logs why."""
    reason = ""
    numbers = torch.ones(8, device=ranks.device, requires_grad=True)
    try:
        torch.compile(_probe)(numbers).backward()
    except Exception as error:  # of many kinds, all of them torch's own
        reason = str(error).strip().partition("\n")[0] or repr(error)
    failures = int(ranks.all_reduce(torch.tensor(int(bool(reason)), device=ranks.device)))
    if failures and ranks.is_main:
        logger.warning(
            "torch.compile does not work here (%s); training is not compiled",
            reason or "on another rank",
            extra={"stage": "refine"},
        )
    return failures == 0


def _probe(numbers: torch.Tensor) -> torch.Tensor:
    return (numbers.sin() * numbers).sum()
