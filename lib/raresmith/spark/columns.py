"""Columns by their exact names, and the names of those that travel beside the raw ones until the tables are written.

The latter have two underscores, because a raw table may have a column `label`, `split` or `row_id` of its own.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as t

ROW_ID = "__row_id"
CONTENT = "__content"
"""Id that rows equal in every column share; there where some repeat and are kept, and have a ROW_ID each."""
LABEL = "__label"
SPLIT = "__split"
REASON = "__reason"
COMPLETE = "__complete"
"""Whether a row has a value in every column that counts, and none is out of range: most have, and one look tells."""
MALFORMED = "_malformed_record"
"""Not null where a record of a text file, or a value in it, could not be read."""
BASE = "__base_"
"""Before a raw column's name: the value that a made row's base row has."""


def quoted(name: str) -> str:
    """`name` as a column reference, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def sql_type(kind: t.DataType) -> str:
    """`kind` as SQL writes it, whatever characters the names of its fields have.

    `DataType.simpleString` quotes none of them, so that Spark cannot read it back.
    """
    if isinstance(kind, t.StructType):
        return f"struct<{','.join(f'{quoted(f.name)}:{sql_type(f.dataType)}' for f in kind.fields)}>"
    if isinstance(kind, t.ArrayType):
        return f"array<{sql_type(kind.elementType)}>"
    if isinstance(kind, t.MapType):
        return f"map<{sql_type(kind.keyType)},{sql_type(kind.valueType)}>"
    return kind.simpleString()


def names_within(kind: t.DataType) -> set[str]:
    """The names of all fields in `kind`, however deep."""
    if isinstance(kind, t.StructType):
        return {*kind.names}.union(*[names_within(f.dataType) for f in kind.fields])
    if isinstance(kind, t.ArrayType):
        return names_within(kind.elementType)
    if isinstance(kind, t.MapType):
        return names_within(kind.keyType) | names_within(kind.valueType)
    return set()


def col(name: str) -> Column:
    """The column called exactly `name`; dots and back-ticks are part of the name."""
    return F.col(quoted(name))
