"""The class column: what counts as a class, and what only looks like two."""

import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder, Label
from raresmith.errors import ConfigError, DataError
from raresmith.spark.columns import col, quoted

MAX_CLASSES = 100


def has_class(field: t.StructField) -> str:
    """Whether a row has a class: null, NaN and text that is empty or blank are none. As SQL text, never null."""
    value = quoted(field.name)
    if _is_float(field.dataType):
        return f"({value} IS NOT NULL AND NOT isnan({value}))"
    if isinstance(field.dataType, t.StringType):
        return rf"coalesce({value} RLIKE '(?U)\\S', FALSE)"  # in Unicode's sense of a space
    return f"({value} IS NOT NULL)"


def class_text(field: t.StructField) -> Column:
    """The class of a row as text, null where it has none; 0.0 and -0.0 are one number and so one class."""
    value = col(field.name)
    text = F.when(F.expr(has_class(field)), value.cast("string"))
    # Spark compares the two as equal but writes them apart.
    return F.when(value == 0, F.lit("0.0")).otherwise(text) if _is_float(field.dataType) else text


def class_counts(df: DataFrame, field: t.StructField) -> dict[str | None, int]:
    """Rows of each class of the label column `field`; of more classes than there can be only some."""
    counted = df.groupBy(class_text(field).alias("class")).count().limit(10 * MAX_CLASSES).collect()
    return {row["class"]: int(row["count"]) for row in counted}


def fit_label(counts: Mapping[str | None, int], kind: t.DataType, config: Config) -> Label:
    """The classes of the label column, sorted, and which of them is positive.

    Parameters
    ----------
    counts
        Rows of each `class_text`.

    Raises
    ------
    DataError
        If there are fewer than two classes or more than MAX_CLASSES, or two that are one but for how they are written.
    ConfigError
        If evaluate.positive is none of them.
    """
    name = config.source.label
    classes = [text for text in counts if text is not None]
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"source.label names {name!r}, which has more than {MAX_CLASSES} different values; it is no class column"
        )
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no class at all"
        raise DataError(f"column {name!r} of {config.source.path} has {found}; there must be two classes or more")
    if isinstance(kind, t.NumericType):
        numbers = {text: float(text) for text in classes}
        if others := [text for text, number in numbers.items() if not number.is_integer()]:
            raise DataError(
                f"source.label names {name!r}, which holds {others[0]}; a class must be text, boolean or a whole number"
            )
        ordered = sorted(classes, key=lambda text: numbers[text])
    else:
        ordered = sorted(classes)
        _refuse_spellings(ordered, counts, config)
    positive = config.evaluate.positive or min(ordered, key=lambda text: (counts[text], text))
    if positive not in ordered:
        raise ConfigError(
            f"evaluate.positive is {positive!r}, which column {name!r} does not hold; its classes are {ordered}"
        )
    return Label(name=name, type=kind.simpleString(), classes=tuple(ordered), positive=positive)


def known_label(counts: Mapping[str | None, int], kept: Encoder, config: Config) -> Label:
    """The label of an encoder that is kept, which must know all classes of the table."""
    unknown = sorted({text for text in counts if text is not None} - set(kept.label.classes))
    if unknown:
        _refuse_spellings([*unknown, *kept.label.classes], counts, config)
        raise DataError(
            f"column {kept.label.name!r} of {config.source.path} holds the classes {unknown[:20]}, but the encoder of "
            f"{config.run.warehouse} knows only {list(kept.label.classes)}; mend the rows or take another run.warehouse"
        )
    return kept.label


def _refuse_spellings(classes: Iterable[str], counts: Mapping[str | None, int], config: Config) -> None:
    """Stop where texts differ only in spaces, case or the way a number is written: they would be classes of their own.

    Not made one in silence: what the table says comes back in `augmented`, and made rows would have one spelling alone.
    """
    spellings: dict[str | Decimal, list[str]] = {}
    for text in classes:
        spellings.setdefault(_meaning(text), []).append(text)
    alike = [
        " and ".join(f"{text!r} ({counts.get(text, 0):,} rows)" for text in sorted(texts))
        for texts in spellings.values()
        if len(texts) > 1
    ]
    if alike:
        raise DataError(
            f"column {config.source.label!r} of {config.source.path} holds {'; '.join(alike)}, which differ only in "
            "spaces, case or the way a number is written and would be classes of their own; write them alike"
        )


def _meaning(text: str) -> str | Decimal:
    """What a class is called but for spaces, case and the way a number is written."""
    plain = " ".join(unicodedata.normalize("NFKC", text).split()).casefold()
    # To Python 1_0 is a number.
    if "_" in plain:
        return plain
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return plain
    return number if number.is_finite() else plain


def _is_float(kind: t.DataType) -> bool:
    return isinstance(kind, (t.FloatType, t.DoubleType))
