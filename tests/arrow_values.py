"""Values of all types that Arrow writes into Parquet files, and what they are to Spark."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa


class Sample(NamedTuple):
    """Some values of a type."""

    kind: str
    """The type of the column in `augmented`."""
    array: pa.Array
    expected: list[Any]
    """The values in `augmented`."""
    can_be_feature: bool = True


def _sample(
    kind: str, type: pa.DataType, values: Sequence[Any], expected: Sequence[Any] = (), *, can_be_feature: bool = True
) -> Sample:
    if isinstance(type, pa.BaseExtensionType):
        array = pa.ExtensionArray.from_storage(type, pa.array([*values, None], type.storage_type))
    else:
        array = pa.array([*values, None], type)
    return Sample(kind, array, [*(expected or values), None], can_be_feature)


def _ends(kind: str, type: pa.DataType, least: int, most: int) -> Sample:
    return _sample(kind, type, [least, most, 0, 1], can_be_feature=most < 2**53)


def _clock(unit: str, texts: Sequence[str]) -> Sample:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    numbers = []
    for text in texts:
        hours, minutes, seconds = text.split(":")
        numbers.append(int((int(hours) * 3600 + int(minutes) * 60 + Decimal(seconds)) * per_second))
    return _sample("string", (pa.time32 if unit in ("s", "ms") else pa.time64)(unit), numbers, texts)


def _moments(unit: str, zone: str | None, *moments: str) -> Sample:
    read = [dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC if zone else None) for moment in moments]
    kind = "timestamp" if zone else "timestamp_ntz"
    return _sample(kind, pa.timestamp(unit, zone), read, can_be_feature=unit != "us")


_OLD = (
    "0001-01-01 00:00:00",
    "1582-10-10 00:00:00",
    "1969-12-31 23:59:59",
    "2024-03-31 02:30:00",
    "9999-12-31 23:59:59",
)
_HALVES = [1.5, -0.0, 0.0, 2.0**-24, -(2.0**-14), 65504.0, -65504.0, 0.0999755859375, float("nan")]
_NANOS = [-1, 0, 1_700_000_000_000_000_999, 1_711_850_400_000_000_001]
_NANOS_READ = [dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=nanos // 1000) for nanos in _NANOS]
_TEXTS = ["", "é", "e\u0301", "a\0b", 'q"\\\n', "x" * 10_000]
_BYTES = [b"", b"\0", b"\xff\xfe", bytes(range(256))]
_IDS = [b"\0" * 16, b"\xff" * 16, bytes(range(16))]
_ID_TEXTS = [
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "00010203-0405-0607-0809-0a0b0c0d0e0f",
]  # fmt: skip
_LISTS = [[], [None], [1, None, -(2**31)]]

ARROW: dict[str, Sample] = {
    "bool": _sample("boolean", pa.bool_(), [True, False]),
    "bool8": _sample("tinyint", pa.bool8(), [1, 0]),
    "int8": _ends("tinyint", pa.int8(), -(2**7), 2**7 - 1),
    "int16": _ends("smallint", pa.int16(), -(2**15), 2**15 - 1),
    "int32": _ends("int", pa.int32(), -(2**31), 2**31 - 1),
    "int64": _ends("bigint", pa.int64(), -(2**63), 2**63 - 1),
    "uint8": _ends("smallint", pa.uint8(), 0, 2**8 - 1),
    "uint16": _ends("int", pa.uint16(), 0, 2**16 - 1),
    "uint32": _ends("bigint", pa.uint32(), 0, 2**32 - 1),
    "uint64": _sample(
        "decimal(20,0)", pa.uint64(), [2**63, 2**64 - 1, 2**64 - 1000],
        [Decimal(2**63), Decimal(2**64 - 1), Decimal(2**64 - 1000)], can_be_feature=False,
    ),
    "half": _sample("float", pa.float16(), [np.float16(x) for x in _HALVES], _HALVES),
    "half_infinite": _sample(
        "float", pa.float16(), [np.float16("inf"), np.float16("-inf")], [float("inf"), -float("inf")],
        can_be_feature=False,
    ),
    "float32": _sample("float", pa.float32(), [0.0, -0.0, 2.0**-149, 2.0**127, float("nan")]),
    "float64": _sample("double", pa.float64(), [0.0, -0.0, 5e-324, 1e30, float("nan")]),
    "decimal32": _sample("decimal(5,2)", pa.decimal32(5, 2), [Decimal("999.99"), Decimal("-0.01")]),
    "decimal64": _sample("decimal(15,2)", pa.decimal64(15, 2), [Decimal("9999999999999.99"), Decimal("-0.01")]),
    "decimal128": _sample(
        "decimal(38,38)", pa.decimal128(38, 38), [Decimal("0." + "9" * 38), Decimal("-0." + "9" * 38)],
        can_be_feature=False,
    ),
    "decimal256": _sample(
        "decimal(38,10)", pa.decimal256(38, 10), [Decimal("9" * 28 + "." + "9" * 10), Decimal("0E-10")],
        can_be_feature=False,
    ),
    "date32": _sample("date", pa.date32(), [dt.date.min, dt.date(1582, 10, 10), dt.date(1969, 12, 31), dt.date.max]),
    "date64": _sample("date", pa.date64(), [dt.date.min, dt.date(1969, 12, 31), dt.date.max]),
    "seconds": _moments("s", None, *_OLD),
    "millis": _moments("ms", None, *_OLD),
    "micros": _moments("us", None, *_OLD[:3], "9999-12-31 23:59:59.999999"),
    "millis_utc": _moments("ms", "UTC", *_OLD),
    "micros_zoned": _moments("us", "UTC", *_OLD[:3], "9999-12-31 23:59:59.999999"),
    "nanos": _sample(
        "timestamp_ntz", pa.timestamp("ns"), _NANOS, [moment.replace(tzinfo=None) for moment in _NANOS_READ]
    ),
    "nanos_zoned": _sample("timestamp", pa.timestamp("ns", "Europe/Berlin"), _NANOS, _NANOS_READ),
    "duration": _sample("bigint", pa.duration("us"), [0, -1, 86_400_000_000]),
    "clock_s": _clock("s", ["00:00:00", "12:34:56", "23:59:59"]),
    "clock_ms": _clock("ms", ["00:00:00", "12:34:56.1", "23:59:59.999"]),
    "clock_us": _clock("us", ["00:00:00", "12:34:50.000001", "23:59:59.999999"]),
    "clock_ns": _clock("ns", ["00:00:00", "12:34:50.000000001", "23:59:59.999999999"]),
    "string": _sample("string", pa.string(), _TEXTS),
    "large_string": _sample("string", pa.large_string(), _TEXTS),
    "string_view": _sample("string", pa.string_view(), _TEXTS),
    "dictionary": Sample("string", pa.array([*_TEXTS, None]).dictionary_encode(), [*_TEXTS, None]),
    "json": _sample("string", pa.json_(), ['{"a b": [1, null]}', "1"]),
    "uuid": _sample("string", pa.uuid(), _IDS, _ID_TEXTS),
    "binary": _sample("binary", pa.binary(), _BYTES, can_be_feature=False),
    "large_binary": _sample("binary", pa.large_binary(), _BYTES, can_be_feature=False),
    "binary_view": _sample("binary", pa.binary_view(), _BYTES, can_be_feature=False),
    "fixed_binary": _sample("binary", pa.binary(16), _IDS, can_be_feature=False),
    "list": _sample("array<int>", pa.list_(pa.int32()), _LISTS, can_be_feature=False),
    "large_list": _sample("array<int>", pa.large_list(pa.int32()), _LISTS, can_be_feature=False),
    "list_view": _sample("array<int>", pa.list_view(pa.int32()), _LISTS, can_be_feature=False),
    "fixed_list": _sample("array<float>", pa.list_(pa.float32(), 2), [[0.0, -0.0], [1.5, None]], can_be_feature=False),
    "map": _sample(
        "map<string,int>", pa.map_(pa.string(), pa.int32()), [[], [("", 1), ("é", None)]], can_be_feature=False
    ),
    "struct": _sample(
        "struct<a-b:int,c d:string>", pa.struct([("a-b", pa.int32()), ("c d", pa.string())]),
        [{"a-b": 1, "c d": ""}, {"a-b": None, "c d": None}], can_be_feature=False,
    ),
    "nothing": Sample("string", pa.nulls(2), [None, None]),
}  # fmt: skip
