"""The contract that a raw row must keep: which rows pass, and why the others do not."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.errors import DataError
from raresmith.spark.columns import COMPLETE, CONTENT, MALFORMED, REASON, ROW_ID, col, quoted, text
from raresmith.spark.encoding.encode import FLOAT32_MAX, as_number, double
from raresmith.spark.encoding.fit import is_categorical
from raresmith.spark.prepare.label import has_class
from raresmith.spark.prepare.row_id import is_whole_number, plain_id, with_row_id
from raresmith.tables.row_counts import REASONS, kind_of, reason, told_reason

_SETTINGS = {
    "null": "on_null",
    "null_timestamp": "on_null",
    "nan": "on_nan",
    "infinite": "on_infinite",
    "duplicate_row": "on_duplicate",
}
"""For each kind of reason that may be an error of the table, the key of [prepare] that says so."""


def feature_columns(schema: t.StructType, config: Config) -> list[t.StructField]:
    """The raw columns that are features, in table order.

    Raises
    ------
    DataError
        If there is none, or one is of a type that cannot be a feature.
    """
    source = config.source
    not_features = {source.label, source.timestamp, *source.key, *source.ignore, MALFORMED}
    wanted = set(config.prepare.features) or set(schema.names) - not_features
    fields = [f for f in schema.fields if f.name in wanted]
    for f in fields:
        is_categorical(f, config.prepare)
    if not fields and not config.prepare.windows and not config.prepare.calendar:
        raise DataError("no column is left to be a feature; shorten source.ignore or name some in prepare.features")
    return fields


def rule_breaks(schema: t.StructType, config: Config) -> dict[str, str]:
    """For each rule of the contract that a row by itself can break, the reason and the condition of breaking it."""
    prepare, breaks = config.prepare, {}
    if MALFORMED in schema.names:
        breaks[reason("malformed")] = f"{quoted(MALFORMED)} IS NOT NULL"
    breaks[reason("null_label")] = f"NOT {has_class(schema[config.source.label])}"
    if config.source.timestamp:
        breaks[reason("null_timestamp", config.source.timestamp)] = f"{quoted(config.source.timestamp)} IS NULL"
    for name in config.source.key:
        breaks[reason("null_key", name)] = f"{quoted(name)} IS NULL"
    for f in feature_columns(schema, config):
        raw = quoted(f.name)
        if prepare.on_null != "impute":
            breaks[reason("null", f.name)] = f"{raw} IS NULL"
        if not is_categorical(f, prepare) and isinstance(f.dataType, (t.FloatType, t.DoubleType, t.DecimalType)):
            if prepare.on_nan != "impute" and not isinstance(f.dataType, t.DecimalType):
                breaks[reason("nan", f.name)] = f"isnan({raw})"
            # NaN is greater than any number to Spark; as_number makes it null.
            breaks[reason("infinite", f.name)] = f"abs({as_number(raw, f.dataType)}) > {double(FLOAT32_MAX)}"
    return breaks


def is_complete(schema: t.StructType, config: Config) -> Column:
    """Whether a row has a value in range in every column that counts: such a row breaks no rule."""
    present = [f"{quoted(name)} IS NOT NULL" for name in (config.source.timestamp, *config.source.key) if name]
    conditions = [has_class(schema[config.source.label]), *present]
    conditions += [_has_value(f) for f in feature_columns(schema, config)]
    if MALFORMED in schema.names:
        conditions.append(f"{quoted(MALFORMED)} IS NULL")
    # Spark makes a balanced tree of a long conjunction; as a chain a thousand columns would be as many calls deep.
    return F.expr(f"coalesce({' AND '.join(conditions)}, FALSE)")


def _has_value(field: t.StructField) -> str:
    if isinstance(field.dataType, t.FractionalType):
        # Neither null nor NaN, which is greater than any number to Spark.
        return f"abs(CAST({quoted(field.name)} AS DOUBLE)) <= {double(FLOAT32_MAX)}"
    return f"{quoted(field.name)} IS NOT NULL"


def admitted(raw: DataFrame, config: Config) -> DataFrame:
    """`raw` with COMPLETE and REASON, null where the row passes the contract, and with what `with_row_id` gives."""
    breaks = rule_breaks(raw.schema, config)
    # As text, for thousands of columns would take the driver seconds one by one.
    first = F.expr(f"coalesce({', '.join(f'IF({broken}, {text(rule)}, NULL)' for rule, broken in breaks.items())})")
    # Most rows are complete; only the others are held against one rule after the other.
    judged = raw.withColumn(COMPLETE, is_complete(raw.schema, config)).withColumn(REASON, F.when(~col(COMPLETE), first))
    return with_row_id(judged, config.source.key, config.prepare.on_duplicate)


def passed(raw: DataFrame, config: Config, *, none_set_aside: bool = False) -> DataFrame:
    """The rows of `raw` that pass the contract, with ROW_ID.

    Parameters
    ----------
    none_set_aside
        Whether `prepare` set none of these very rows aside. They are not judged again where the key is the id; other
        ids depend on which rows repeat.
    """
    if none_set_aside and is_whole_number(key := [raw.schema[name] for name in config.source.key]):
        return raw.withColumn(ROW_ID, plain_id(key))
    return admitted(raw, config).where(col(REASON).isNull()).drop(REASON, COMPLETE, CONTENT)


def told(reason: Column) -> Column:
    """A reason as people are told, as `told_reason` does."""
    kind = F.substring_index(reason, ":", 1)
    column = F.substr(reason, F.length(kind) + 2)
    sentences = {name: sentence.partition("{}") for name, sentence in REASONS.items()}
    return F.coalesce(
        *[
            F.when(kind == k, F.concat(F.lit(begun), column if hole else F.lit("")))
            for k, (begun, hole, _) in sentences.items()
        ]
    )


def refuse(reasons: Mapping[str, int], config: Config) -> None:
    """Stop where the configuration says that such rows are an error of the table."""
    for found, rows in reasons.items():
        setting = _SETTINGS.get(kind_of(found))
        if setting and getattr(config.prepare, setting) == "refuse":
            raise DataError(
                f'{rows} rows of {config.source.path} have: {told_reason(found)}; prepare.{setting} is "refuse"; '
                'mend the rows or set it to "quarantine"'
            )


def is_missing(field: t.StructField) -> str:
    """Whether a raw value counts as missing, as SQL text."""
    name = quoted(field.name)
    can_be_nan = isinstance(field.dataType, (t.FloatType, t.DoubleType))
    return f"({name} IS NULL OR isnan({name}))" if can_be_nan else f"{name} IS NULL"
