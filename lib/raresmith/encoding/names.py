"""Names of columns."""

import re
from collections.abc import Sequence

_SOME = 5
"""Names in a sentence."""
RESERVED = {
    "row_id",
    "split",
    "label",
    "run_id",
    "base_row_id",
    "neighbor_row_id",
    "gap",
    "method",
    "synthetic_row_id",
    "score",
    "model",
}
"""Columns of the feature tables that are no features."""


def safe_names(names: list[str], taken: set[str]) -> list[str]:
    """Column names of letters, digits and '_' for `names`, distinct from each other and `taken` whatever the case.

    Delta refuses spaces and ,;{}()= in names without column mapping, and readers differ on the rest.
    """
    return distinct_names([re.sub(r"\W", "_", name, flags=re.ASCII) or "_" for name in names], taken)


def distinct_names(names: list[str], taken: set[str]) -> list[str]:
    """`names`, each with a number behind it where one before it or in `taken` has it already, whatever the case.

    None begins with two underscores, as the columns do that travel beside the raw ones.
    """
    used, distinct = {name.lower() for name in taken}, []
    for name in names:
        stem = re.sub("^__+", "_", name)
        candidate, number = stem, 2
        while candidate.lower() in used:
            candidate, number = f"{stem}_{number}", number + 1
        used.add(candidate.lower())
        distinct.append(candidate)
    return distinct


def some_of(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are.

    Examples
    --------
    >>> print(some_of("abcdefg"))
    'a', 'b', 'c', 'd', 'e' and 2 more
    """
    more = f" and {len(names) - _SOME:,} more" if len(names) > _SOME else ""
    return ", ".join(map(repr, names[:_SOME])) + more
