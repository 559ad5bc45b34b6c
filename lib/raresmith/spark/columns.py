"""Columns by their exact names, and the names of those that travel beside the raw ones until the tables are written.

The latter have two underscores, because a raw table may have a column `label`, `split` or `row_id` of its own.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

ROW_ID = "__row_id"
CONTENT = "__content"
"""Id that rows equal in every column share; there where some repeat and are kept, and have a ROW_ID each."""
LABEL = "__label"
SPLIT = "__split"
REASON = "__reason"
COMPLETE = "__complete"
"""Whether a row has a value in every column that counts, and none is out of range: most have, and one look tells."""
BASE = "__base_"
"""Before a raw column's name: the value that a made row's base row has."""


def quoted(name: str) -> str:
    """`name` as a column reference, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def col(name: str) -> Column:
    """The column called exactly `name`; dots and back-ticks are part of the name."""
    return F.col(quoted(name))
