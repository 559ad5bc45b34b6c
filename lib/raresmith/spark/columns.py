"""Columns by their exact names, and the names of those that travel beside the raw ones until the tables are written.

The latter have two underscores, because a raw table may have a column `label`, `split` or `row_id` of its own.

Names with some characters Delta takes only where it maps them to others. Of itself it calls such a column `col-` and a
random number in the files, and readers that do not look at the mapping, as pyarrow does not, find no column of the
right name there and give nulls without a word. So names are mapped to themselves.
"""

import re
from collections.abc import Callable, Collection

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.encoding.names import distinct_names
from raresmith.tables import contracts
from raresmith.tables.contracts import MAPPED

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
MAPPING = "delta.columnMapping.mode"
"""The property of a table that maps names, where it is "name"."""
_PHYSICAL_NAME = "delta.columnMapping.physicalName"


def quoted(name: str) -> str:
    """`name` as a column reference, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """`value` as a literal of SQL, whatever characters it has."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


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


def raw_columns(schema: t.StructType) -> tuple[contracts.Column, ...]:
    """The raw table's columns as contract columns; all may be null."""
    return tuple(
        contracts.Column(
            name=f.name,
            type=sql_type(f.dataType),
            comment=f.metadata.get("comment") or "as in the raw table",
            nullable=True,
        )
        for f in schema.fields
    )


def mapped_columns(schema: t.StructType) -> list[str]:
    """The columns that have, or hold a field that has, a name that Delta takes only where it maps names."""
    return [f.name for f in schema.fields if any(MAPPED & set(name) for name in {f.name, *names_within(f.dataType)})]


def mapped_to_itself(schema: t.StructType) -> t.StructType:
    """`schema` that asks Delta to call all fields, however deep, in its files what they are called in the table."""
    return _of_each_struct(schema, _physically_named)


def is_mapped_to_itself(schema: t.StructType) -> bool:
    """Whether the files of a table, whose log has this `schema`, call all fields so."""
    return schema == mapped_to_itself(schema)


def plainly_named(schema: t.StructType, taken: Collection[str]) -> t.StructType:
    """`schema` with '_' for each character that Delta takes only where it maps names; a comment has the name before.

    Names stay distinct from each other and from those `taken`, whatever the case; one that can stay does.
    """
    return _of_each_struct(schema, lambda struct: _plainly_named(struct, taken))


def _physically_named(struct: t.StructType) -> t.StructType:
    return t.StructType(
        [t.StructField(f.name, f.dataType, f.nullable, {**f.metadata, _PHYSICAL_NAME: f.name}) for f in struct.fields]
    )


def _plainly_named(struct: t.StructType, taken: Collection[str]) -> t.StructType:
    odd = [name for name in struct.names if MAPPED & set(name)]
    plain = [re.sub(f"[{re.escape(''.join(MAPPED))}]", "_", name) for name in odd]
    names = dict(zip(odd, distinct_names(plain, {*taken, *struct.names}), strict=True))
    return t.StructType([_renamed(f, names[f.name]) if f.name in names else f for f in struct.fields])


def _renamed(field: t.StructField, name: str) -> t.StructField:
    told = filter(None, [field.metadata.get("comment"), f"called {field.name!r} in the raw table"])
    return t.StructField(name, field.dataType, field.nullable, {**field.metadata, "comment": "; ".join(told)})


def _of_each_struct(schema: t.StructType, change: Callable[[t.StructType], t.StructType]) -> t.StructType:
    """`schema` with `change` made of every struct in it and then of itself."""

    def within(kind: t.DataType) -> t.DataType:
        if isinstance(kind, t.StructType):
            return _of_each_struct(kind, change)
        if isinstance(kind, t.ArrayType):
            return t.ArrayType(within(kind.elementType), kind.containsNull)
        if isinstance(kind, t.MapType):
            return t.MapType(within(kind.keyType), within(kind.valueType), kind.valueContainsNull)
        return kind

    return change(
        t.StructType([t.StructField(f.name, within(f.dataType), f.nullable, f.metadata) for f in schema.fields])
    )
