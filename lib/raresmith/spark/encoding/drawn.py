"""Rows that are drawn by the hash of their id: the same whatever the partitions, and some of each class."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from raresmith.spark.columns import LABEL, ROW_ID

_ROWS = 4_000
"""Of a class, about."""
_VALUES = 2_000_000
"""In all, of wide tables' fewer rows."""


def hash_up_to(wanted: float, rows: int) -> Column:
    """The hash up to which about `wanted` of `rows` rows have theirs."""
    return F.lit(int(2**64 * min(1.0, wanted / max(1, rows))) - 2**63 - 1)


def is_drawn(classes: Mapping[Any, int], n_columns: int) -> Column:
    """Whether a row is one of those whose values are counted.

    Parameters
    ----------
    classes
        Rows by class, as LABEL calls it.
    """
    wanted = min(_ROWS, _VALUES / max(1, n_columns * len(classes)))
    last = F.coalesce(*[F.when(F.col(LABEL) == code, hash_up_to(wanted, rows)) for code, rows in classes.items()])
    return F.coalesce(F.xxhash64(ROW_ID) <= last, F.lit(False))
