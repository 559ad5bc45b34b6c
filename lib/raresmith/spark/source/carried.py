"""What columns are read as whose type no Delta table has, so that they can be carried along."""

from pyspark.sql import DataFrame
from pyspark.sql import types as t

from raresmith.errors import DataError
from raresmith.spark.columns import col, sql_type

_NONE_IN_DELTA = (t.AnsiIntervalType, t.CalendarIntervalType, t.TimeType, t.SpatialType)


def carried(df: DataFrame, path: str) -> tuple[DataFrame, list[str]]:
    """`df` with columns of types that Delta has, and what a person should know of those that had another.

    Raises
    ------
    DataError
        Naming column and type, where Delta has none for its values.
    """
    kinds, words = [], []
    for f in df.schema.fields:
        kind = _carried(f.dataType)
        if kind is None:
            raise DataError(
                f"column {f.name!r} of {path} is of type {sql_type(f.dataType)}, which no Delta table can hold; "
                "write it as text or as a number, or leave it out"
            )
        kinds.append((f, kind))
        if isinstance(f.dataType, t.NullType):
            words.append(f"{f.name} has neither values nor a type: read as text")
        elif kind != f.dataType:
            words.append(f"{f.name} is {f.dataType.simpleString()}: read as {kind.simpleString()}")
    if not words:
        return df, words
    columns = [col(f.name) if kind == f.dataType else col(f.name).cast(kind).alias(f.name) for f, kind in kinds]
    return df.select(*columns), words


def _carried(kind: t.DataType) -> t.DataType | None:
    """The type that Delta has for the values of `kind`, however deep; None where it has none."""
    if isinstance(kind, _NONE_IN_DELTA):
        return None
    if isinstance(kind, (t.NullType, t.StringType)):
        return t.StringType()  # of characters as they are, whatever else they are taken for
    if isinstance(kind, t.ArrayType):
        element = _carried(kind.elementType)
        return None if element is None else t.ArrayType(element, kind.containsNull)
    if isinstance(kind, t.MapType):
        key, value = _carried(kind.keyType), _carried(kind.valueType)
        return None if key is None or value is None else t.MapType(key, value, kind.valueContainsNull)
    if isinstance(kind, t.StructType):
        within = [(f, _carried(f.dataType)) for f in kind.fields]
        if not within or any(of is None for _, of in within):
            return None  # Delta has no struct without fields
        return t.StructType([t.StructField(f.name, of, f.nullable, f.metadata) for f, of in within if of is not None])
    return kind
