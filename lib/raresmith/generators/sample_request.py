"""What `raresmith generate` is asked for; jobs/generate.py takes the same words."""

import argparse
from dataclasses import dataclass

from raresmith.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """Which rows a saved model is to make."""

    num_samples: int
    """Rows; at least 1. More rows begin with the same ones."""
    seed: int = 0
    """Of what is drawn; at least 0. Row i is a function of the model, the seed and i."""
    label: str | None = None
    """The class of all rows, as in the raw table; without it classes have their shares of the synthetic rows."""
    where: tuple[tuple[str, str], ...] = ()
    """Raw columns and the values that all rows have there."""

    def __post_init__(self) -> None:
        if not 1 <= self.num_samples < 2**62:
            raise ConfigError(f"--num-samples must be at least 1, got {self.num_samples}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed must be in [0, 2^63), got {self.seed}")
        columns = [column for column, _ in self.where]
        if repeated := {column for column in columns if columns.count(column) > 1}:
            raise ConfigError(f"--where names {sorted(repeated)} more than once; give a column one value")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command line that make a request."""
    parser.add_argument("--num-samples", type=int, required=True, metavar="N", help="rows to make")
    parser.add_argument("--class", dest="label", metavar="LABEL", help="make rows of this class alone")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE", help="a value of all rows")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="other rows for another seed (default: 0)")


def request_of(arguments: argparse.Namespace) -> SampleRequest:
    """The request that the parsed words make; ConfigError where they make none."""
    where = []
    for condition in arguments.where:
        column, equals, value = condition.partition("=")
        if not equals:
            raise ConfigError(f"--where must be COLUMN=VALUE, got {condition!r}")
        where.append((column, value))
    return SampleRequest(
        num_samples=arguments.num_samples, seed=arguments.seed, label=arguments.label, where=tuple(where)
    )
