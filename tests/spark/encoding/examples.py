"""Rows of every type, and the encoder fitted on them, for the tests of this folder."""

import datetime as dt
import decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.config import PrepareConfig
from raresmith.encoding.encoder import Encoder, Label
from raresmith.spark import columns
from raresmith.spark.columns import ROW_ID
from raresmith.spark.encoding.decode import decode
from raresmith.spark.encoding.encode import encode
from raresmith.spark.encoding.fit import fit_encoder

LABEL = Label(name="y", type="int", classes=("0", "1"), positive="1")
SCHEMA = (
    "`a b` double, `i.x` int, l bigint, b boolean, `s``q` string, ts timestamp, tn timestamp_ntz, d date, "
    "de decimal(10,2), f float, cents double"
)
ROWS = [
    (
        i * 1.37 - 50 if i % 7 else None,
        i - 100,
        10**12 + i * 1000,
        bool(i % 2),
        ["x", "y", None, "z"][i % 4] if i < 150 else f"k{i}",
        dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=i * 10**9 + i),
        dt.datetime(2025, 1, 1) + dt.timedelta(seconds=i),
        dt.date(2025, 1, 1) + dt.timedelta(days=i),
        decimal.Decimal(i) / 100,
        float("nan") if i % 50 == 0 else i / 3,
        i / 100,
    )
    for i in range(200)
]


def numbered(df: DataFrame) -> DataFrame:
    return df.withColumn(ROW_ID, F.monotonically_increasing_id())


def fitted(df: DataFrame, config: PrepareConfig, label: str = "0", drawn: Column | None = None) -> Encoder:
    train = df.withColumn(columns.LABEL, F.expr(label))
    return fit_encoder(train, [f for f in df.schema.fields if f.name != ROW_ID], [], LABEL, df.schema, config, drawn)


def there_and_back(df: DataFrame, encoder: Encoder) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    encoded = encode(df, encoder)
    columns = decode(encoded, encoder)
    back = encoded.select("row_id", *[column.alias(name) for name, column in columns.items()])
    raw = sorted((row.asDict() for row in df.collect()), key=lambda row: row[ROW_ID])
    got = sorted((row.asDict() for row in back.collect()), key=lambda row: row["row_id"])
    return [({name: one[name] for name in columns}, two) for one, two in zip(raw, got, strict=True)]
