"""Values of every type that are lost where somebody is careless: as texts that Spark casts, or as SQL."""

import re
from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

INFINITE = ("Infinity", "-Infinity")
_MOMENTS = (
    "0001-01-01 00:00:00",
    "1582-10-04 23:59:59.999999",
    "1582-10-15 00:00:00",
    "1883-11-18 12:03:58",
    "1969-12-31 23:59:59.999999",
    "1970-01-01 00:00:00",
    "2024-03-31 01:59:59.999999",
    "2024-03-31 02:30:00",  # an hour that Berlin has not
    "2024-10-27 02:30:00",  # and one that it has twice
    "9999-12-31 23:59:59.999999",
    None,
)
_FEATURE_MOMENTS = (
    *("0001-01-01 00:00:00", "1582-10-04 23:59:59", "1582-10-15 00:00:00", "1969-12-31 23:59:59"),
    *("2024-03-31 02:30:00", "2024-10-27 02:30:00", "9999-12-31 23:59:59", None),
)
_TEXTS = (
    *("", "é", "e\u0301", "\U0001f600", "\u202egnirts", "ß", "SS", "İ", "\ufeffmark", "a\ufffdb\u2028c"),
    *("a\0b", "\0", 'say "no"', '"', "'", "\\", "\\n", "a\\", "a,b;c\td|e", "line\nbreak", "line\r\nbreak", "\n"),
    *(" padded ", " ", "null", "NULL", "NA", "NaN", "true", "007", "1e5", "2024-01-01", "-", "\x7f\x01", "é" * 10_000),
    None,
)
SCALARS: dict[str, tuple[str | None, ...]] = {
    "BOOLEAN": ("true", "false", None),
    "TINYINT": ("-128", "127", "0", "-1", "1", None),
    "SMALLINT": ("-32768", "32767", "0", "-1", None),
    "INT": ("-2147483648", "2147483647", "0", "-1", None),
    "BIGINT": ("-9223372036854775808", "9223372036854775807", "0", "-1", "9007199254740993", None),
    "FLOAT": (
        *("0.0", "-0.0", "1.4E-45", "-1.4E-45", "1.17549435E-38", "3.4028235E38", "-3.4028235E38", "0.1", "16777217"),
        *("NaN", *INFINITE, None),
    ),
    "DOUBLE": (
        *("0.0", "-0.0", "4.9E-324", "-4.9E-324", "2.2250738585072014E-308", "1.7976931348623157E308"),
        *("-1.7976931348623157E308", "0.1", "0.30000000000000004", "9007199254740993", "1E23", "NaN", *INFINITE, None),
    ),
    "DECIMAL(5,5)": ("0.99999", "-0.99999", "0.00001", "0", None),
    "DECIMAL(10,2)": ("99999999.99", "-99999999.99", "0.01", "-0.01", "0", None),
    "DECIMAL(20,0)": ("18446744073709551615", "-99999999999999999999", "0", "1", None),
    "DECIMAL(38,0)": ("9" * 38, "-" + "9" * 38, "9007199254740993", "0", "1", None),
    "DECIMAL(38,18)": ("9" * 20 + "." + "9" * 18, "-" + "9" * 20 + ".5", "0.000000000000000001", "1.99", None),
    "DECIMAL(38,38)": ("0." + "9" * 38, "-0." + "9" * 38, "0." + "0" * 37 + "1", "0", None),
    "DATE": (
        *("0001-01-01", "1582-10-04", "1582-10-15", "1899-12-31", "1969-12-31", "1970-01-01", "2024-02-29"),
        *("9999-12-31", None),
    ),
    "TIMESTAMP": _MOMENTS,
    "TIMESTAMP_NTZ": _MOMENTS,
    "STRING": _TEXTS,
}
FEATURES: dict[str, tuple[str | None, ...]] = {
    # What spans 2^53 steps or has more than 32 digits is refused, and what no 32-bit float holds set aside.
    "BIGINT": ("9223372036854775807", "9223372036854775806", "9223372036854774808", None),
    "DOUBLE": (*SCALARS["DOUBLE"][:5], "0.1", "0.30000000000000004", "9007199254740993", "1E23", "NaN", None),
    "FLOAT": tuple(text for text in SCALARS["FLOAT"] if text not in INFINITE),
    "DECIMAL(20,0)": ("18446744073709551615", "18446744073709551614", "18446744073709550000", None),
    "DECIMAL(38,0)": ("9" * 32, "9" * 31 + "8", "9" * 28 + "0000", None),
    "DECIMAL(38,18)": ("9" * 14 + "." + "9" * 18, "9" * 14 + "." + "9" * 17 + "1", None),
    "DECIMAL(38,38)": ("0.000000" + "9" * 32, "0.000000" + "9" * 31 + "1", "0.000000" + "9" * 28 + "0000", None),
    "TIMESTAMP": _FEATURE_MOMENTS,
    "TIMESTAMP_NTZ": _FEATURE_MOMENTS,
}
"""Those of a feature, where it can have others only."""
SET_ASIDE = {"FLOAT": INFINITE, "DOUBLE": (*INFINITE, "1.7976931348623157E308", "-1.7976931348623157E308")}
"""What no feature can be: the row goes to quarantine."""

NESTED: dict[str, tuple[str, ...]] = {
    "BINARY": ("X''", "X'00'", "X'00FF7F80'", "encode('é', 'UTF-8')", "NULL"),
    "CHAR(4)": ("'é   '", "'abcd'", "'    '", "NULL"),
    "VARCHAR(4)": ("'é'", "' b '", "''", "NULL"),
    "ARRAY<INT>": ("array()", "array(NULL)", "array(1, NULL, -2147483648)", "NULL"),
    "ARRAY<STRING>": ("array('')", "array(NULL, 'null')", "array('e\u0301', 'é', 'a,b')", "NULL"),
    "ARRAY<DOUBLE>": ("array(0.0D, -0.0D)", "array(double('NaN'), double('Infinity'), 4.9E-324D)", "NULL"),
    "MAP<STRING,INT>": ("map()", "map('', 1, 'é', NULL)", "map('b', 2, 'a', 1)", "map('a', 1, 'b', 2)", "NULL"),
    "MAP<INT,ARRAY<STRUCT<`x y`:DECIMAL(38,18)>>>": (
        "map(-1, array(named_struct('x y', 0.000000000000000001BD)))",
        "map(0, NULL, 1, array(NULL))",
        "NULL",
    ),
    "STRUCT<`a-b`:INT,`c d`:STRING,`e.f`:DOUBLE,`g``;=h`:DATE>": (
        "named_struct('a-b', 1, 'c d', '', 'e.f', -0.0D, 'g`;=h', DATE'0001-01-01')",
        "named_struct('a-b', NULL, 'c d', NULL, 'e.f', NULL, 'g`;=h', NULL)",
        "NULL",
    ),
    "STRUCT<t:TIMESTAMP,n:TIMESTAMP_NTZ>": tuple(
        f"named_struct('t', TIMESTAMP'{t}', 'n', TIMESTAMP_NTZ'{t}')" for t in _MOMENTS[:2] + _MOMENTS[7:10]
    ),
    "STRUCT<nothing:VOID,items:ARRAY<VOID>>": ("named_struct('nothing', NULL, 'items', array(NULL))", "NULL"),
    "VOID": ("NULL",),
}
"""By type as SQL."""
VARIANTS = ('parse_json(\'{"a b": [1, null, 1.5], "é": ""}\')', "parse_json('null')", "parse_json('\"x\"')", "NULL")


def named(role: str, kind: str) -> str:
    """A column's name."""
    plain = re.sub(r"\W+", "_", kind).strip("_").lower()
    return f"{role}_{plain}"


Columns = dict[str, tuple[str, tuple[str | None, ...]]]
"""By name the type and the values: texts where it is one of `SCALARS`, else SQL."""


def texts_of(rows: int, columns: Columns, others: Sequence[tuple[str, str | None]]) -> dict[str, list[str | None]]:
    """The columns of `table` that have a type of `SCALARS`, as texts."""
    texts = {
        name: [values[n % len(values)] for n in range(rows + len(others))]
        for name, (kind, values) in columns.items()
        if kind in SCALARS
    }
    for n, (name, value) in enumerate(others, rows):
        if name in texts:
            texts[name][n] = value
    return texts


def table(spark: SparkSession, rows: int, columns: Columns, others: Sequence[tuple[str, str | None]]) -> DataFrame:
    """Rows numbered by n: `rows` with the values of each column over and over, and one for each of the `others`, which
    has that value in the column."""
    texts = texts_of(rows, columns, others)
    is_null = {name: n for n, (name, _) in enumerate(others, rows) if name not in texts}
    selected = ["n", "CAST(n % 3 = 0 AS INT) AS y"]
    for name, (kind, values) in columns.items():
        if kind in SCALARS:
            selected.append(f"CAST({name} AS {kind}) AS {name}")
        else:
            cases = " ".join(f"WHEN {i} THEN {value}" for i, value in enumerate(values))
            value = f"CAST(CASE n % {len(values)} {cases} END AS {cast_to(kind)})"
            selected.append(f"IF(n = {is_null.get(name, -1)}, NULL, {value}) AS {name}")
    arrays = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    return spark.createDataFrame(pa.table({"n": pa.array(range(rows + len(others)), pa.int64()), **arrays})).selectExpr(
        *selected
    )


def cast_to(kind: str) -> str:
    """The type that values of `kind` have in a query, where CHAR and VARCHAR are text."""
    return re.sub(r"(VAR)?CHAR\(\d+\)", "STRING", kind)
