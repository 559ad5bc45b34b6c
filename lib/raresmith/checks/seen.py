"""A column, and its values in the rows that were looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["whole", "number", "text", "boolean", "moment", "other"]


@dataclass(frozen=True, kw_only=True)
class SeenColumn:
    """A column, and its values in the rows that were looked at."""

    name: str
    kind: Kind
    type: str
    """As Spark calls it."""
    values: Sequence[Any]
    """Of each row looked at; None where there is none. Moments are numbers: dates days since 1970, others
    microseconds."""

    @cached_property
    def present(self) -> list[Any]:
        """The values that there are."""
        return [value for value in self.values if value is not None]


def seen(name: str, type: str, values: pa.Array | pa.ChunkedArray) -> SeenColumn:
    """The column called `name` with its `values`, of which NaN is none."""
    kind = _kind(values.type)
    if kind == "moment":
        values = values.cast(pa.int32() if pa.types.is_date32(values.type) else pa.int64())
    elif kind == "whole":
        values = values.cast(pa.int64()) if pa.types.is_integer(values.type) else values
    elif kind == "number":
        values = values.cast(pa.float64())
        values = pc.if_else(pc.is_nan(values), None, values)
    elif kind == "other":
        values = pc.is_valid(values)
    listed = values.to_pylist()
    if pa.types.is_decimal(values.type):
        listed = [None if value is None else int(value) for value in listed]
    return SeenColumn(name=name, kind=kind, type=type, values=listed)


def _kind(type: pa.DataType) -> Kind:
    if pa.types.is_integer(type) or (pa.types.is_decimal(type) and type.scale == 0):
        return "whole"
    if pa.types.is_floating(type) or pa.types.is_decimal(type):
        return "number"
    if pa.types.is_date32(type) or pa.types.is_timestamp(type):
        return "moment"
    if pa.types.is_boolean(type):
        return "boolean"
    return "text" if pa.types.is_string(type) else "other"
