"""From raw rows to features: contract, row ids, past of each entity, split, encoding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder, Label
from raresmith.errors import ConfigError, DataError
from raresmith.spark.columns import COMPLETE, LABEL, REASON, ROW_ID, SPLIT
from raresmith.spark.encoding.encode import FLOAT32_MAX, as_number, encode
from raresmith.spark.encoding.fit import fit_encoder, is_categorical
from raresmith.spark.prepare.calendar_features import with_calendar
from raresmith.spark.prepare.row_id import with_row_id, without_known
from raresmith.spark.prepare.source import MALFORMED
from raresmith.spark.prepare.split import with_split
from raresmith.spark.prepare.windows import window_feature_names, with_windows
from raresmith.spark.tables import col

MAX_CLASSES = 100


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What prepare hands on: lazy tables, and what was learnt."""

    features: DataFrame
    quarantine: DataFrame
    encoder: Encoder
    raw_schema: t.StructType
    reasons: dict[str, int]
    """Rows in quarantine by reason."""
    observed: Observation | None
    """Nulls of each column, known once the features are written; None where there are none."""
    cached: list[DataFrame] = field(default_factory=list)

    @property
    def notes(self) -> dict[str, Any]:
        """What the commit of the features remembers."""
        return {"quarantined": self.reasons}

    def release(self) -> None:
        """Let go of the rows kept in memory."""
        for df in self.cached:
            df.unpersist()

    def set_aside(self) -> dict[str, dict[str, int]]:
        """Rows in quarantine by reason, and values filled in by column; known once the features are written."""
        found: dict[str, dict[str, int]] = {"quarantined": self.reasons, "imputed": {}, "a category of its own": {}}
        nulls = self.observed.get if self.observed else {}
        for feature in self.encoder.features:
            name = f"null {feature.source}"
            if count := nulls.get(name):
                found["imputed" if feature.kind == "numeric" else "a category of its own"][name] = count
        return {what: counts for what, counts in found.items() if counts}

    def words(self) -> str:
        """One line on what was set aside or filled in, or ""."""
        parts = [
            f"{what}: " + ", ".join(f"{name} ({count:,})" for name, count in counts.items())
            for what, counts in self.set_aside().items()
        ]
        return "; ".join(parts)


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


def rule_breaks(schema: t.StructType, config: Config) -> dict[str, Column]:
    """For each rule of the contract that a row by itself can break, its name and the condition of breaking it."""
    prepare, breaks = config.prepare, {}
    if MALFORMED in schema.names:
        breaks["malformed record"] = col(MALFORMED).isNotNull()
    breaks["null label"] = col(config.source.label).isNull()
    if isinstance(schema[config.source.label].dataType, (t.FloatType, t.DoubleType)):
        breaks["null label"] = breaks["null label"] | F.isnan(col(config.source.label))
    if config.source.timestamp:
        breaks[f"null {config.source.timestamp}"] = col(config.source.timestamp).isNull()
    for name in config.source.key:
        breaks[f"null key {name}"] = col(name).isNull()
    for f in feature_columns(schema, config):
        raw = col(f.name)
        if prepare.on_null != "impute":
            breaks[f"null {f.name}"] = raw.isNull()
        if not is_categorical(f, prepare) and isinstance(f.dataType, (t.FloatType, t.DoubleType, t.DecimalType)):
            if prepare.on_nan != "impute" and not isinstance(f.dataType, t.DecimalType):
                breaks[f"NaN {f.name}"] = F.isnan(raw)
            # NaN is greater than any number to Spark; as_number makes it null.
            breaks[f"infinite {f.name}"] = F.abs(as_number(raw, f.dataType)) > FLOAT32_MAX
    return breaks


def is_complete(schema: t.StructType, config: Config) -> Column:
    """Whether a row has a value in range in every column that counts: such a row breaks no rule."""
    features = feature_columns(schema, config)
    present = [
        col(name).isNotNull() for name in (config.source.label, config.source.timestamp, *config.source.key) if name
    ]
    conditions = present + [_has_value(f) for f in features]
    label = schema[config.source.label]
    if isinstance(label.dataType, (t.FloatType, t.DoubleType)):
        conditions.append(~F.isnan(col(label.name)))
    if MALFORMED in schema.names:
        conditions.append(col(MALFORMED).isNull())
    return F.coalesce(_all(conditions), F.lit(False))


def _all(conditions: Sequence[Column]) -> Column:
    """Their conjunction as a balanced tree: as a chain, a thousand columns would be a thousand calls deep in Spark."""
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    return _all(conditions[:middle]) & _all(conditions[middle:])


def _has_value(field: t.StructField) -> Column:
    if isinstance(field.dataType, t.FractionalType):
        # Neither null nor NaN, which is greater than any number to Spark.
        return F.abs(col(field.name).cast("double")) <= FLOAT32_MAX
    return col(field.name).isNotNull()


def admitted(raw: DataFrame, config: Config) -> DataFrame:
    """`raw` with ROW_ID, COMPLETE, and REASON: null where the row passes the contract, else the rule it breaks."""
    breaks = rule_breaks(raw.schema, config)
    reason = F.coalesce(*[F.when(condition, F.lit(name)) for name, condition in breaks.items()])
    # Most rows are complete; only the others are held against one rule after the other.
    judged = raw.withColumn(COMPLETE, is_complete(raw.schema, config)).withColumn(
        REASON, F.when(~col(COMPLETE), reason)
    )
    return with_row_id(judged, config.source.key, config.prepare.on_duplicate)


def _refuse(reasons: dict[str, int], config: Config) -> None:
    """Stop where the configuration says that such rows are an error of the table."""
    policies = {
        "null ": config.prepare.on_null,
        "NaN ": config.prepare.on_nan,
        "infinite ": config.prepare.on_infinite,
        "duplicate row": config.prepare.on_duplicate,
    }
    settings = {"null ": "on_null", "NaN ": "on_nan", "infinite ": "on_infinite", "duplicate row": "on_duplicate"}
    always = ("null label", "null key")
    for reason, rows in reasons.items():
        for prefix, policy in policies.items():
            if reason.startswith(prefix) and policy == "refuse" and not reason.startswith(always):
                raise DataError(
                    f'{rows} rows of {config.source.path} have: {reason}; prepare.{settings[prefix]} is "refuse"; '
                    'mend the rows or set it to "quarantine"'
                )


def fit_label(counts: dict[str | None, int], kind: t.DataType, config: Config) -> Label:
    """The classes of the label column, sorted, and which of them is positive."""
    name = config.source.label
    classes = [text for text in counts if text is not None]
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"source.label names {name!r}, which has more than {MAX_CLASSES} different values; it is no class column"
        )
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no class at all"
        raise DataError(f"column {name!r} of {config.source.path} has {found}; there must be two classes or more")
    if isinstance(kind, (t.NumericType)):
        numbers = {text: float(text) for text in classes}
        if fractions := [text for text, number in numbers.items() if number != int(number)]:
            raise DataError(
                f"source.label names {name!r}, which holds the fraction {fractions[0]}; "
                "a class must be text, boolean or a whole number"
            )
        ordered = sorted(classes, key=lambda text: numbers[text])
    else:
        ordered = sorted(classes)
    positive = config.evaluate.positive or min(ordered, key=lambda text: (counts[text], text))
    if positive not in ordered:
        raise ConfigError(
            f"evaluate.positive is {positive!r}, which column {name!r} does not hold; its classes are {ordered}"
        )
    return Label(name=name, type=kind.simpleString(), classes=tuple(ordered), positive=positive)


def known_label(counts: dict[str | None, int], kept: Encoder, config: Config) -> Label:
    """The label of an encoder that is kept, which must know all classes of the table."""
    unknown = sorted({text for text in counts if text is not None} - set(kept.label.classes))
    if unknown:
        raise DataError(
            f"column {kept.label.name!r} of {config.source.path} holds the classes {unknown[:20]}, but the encoder of "
            f"{config.run.warehouse} knows only {list(kept.label.classes)}; mend the rows or take another run.warehouse"
        )
    return kept.label


def prepare(raw: DataFrame, config: Config, kept: Encoder | None = None, known: DataFrame | None = None) -> Prepared:
    """Judge, split and encode the raw table.

    The split is decided before anything is learnt; windows look back over all rows that passed, for that is what is
    known when a transaction happens; the encoder sees the train rows only.

    Parameters
    ----------
    kept
        The encoder of an earlier run, to encode with instead of fitting one.
    known : DataFrame with row_id
        Rows of other runs, which are set aside where they come again.

    Raises
    ------
    DataError
        If the table is empty, has no two classes, or one that `kept` does not know, or breaks a rule that the
        configuration refuses.
    """
    raw_schema = t.StructType([f for f in raw.schema.fields if f.name != MALFORMED])
    made_names = [*config.prepare.calendar, *window_feature_names(config.prepare.windows)]
    if clash := sorted(set(made_names) & set(raw.columns)):
        raise ConfigError(f"the table has the columns {clash}, which prepare would make; rename or ignore them")
    judged = admitted(raw, config)
    if known is not None:
        judged = without_known(judged, known)
    label_column = raw_schema[config.source.label]
    used = feature_columns(raw_schema, config)
    counts, reasons, has_nulls = _audit(judged, label_column.name)
    if not counts and not reasons:
        raise DataError(f"{config.source.path} has no rows")
    _refuse(reasons, config)
    label = known_label(counts, kept, config) if kept else fit_label(counts, label_column.dataType, config)

    # Telling the reason takes all columns of a row; where there is none, a job reads those alone that it needs.
    passed = (judged.where(col(REASON).isNull()) if reasons else judged).drop(REASON, COMPLETE, MALFORMED)
    is_class = {text: col(label.name) == F.lit(text).cast(label_column.dataType) for text in label.classes}
    is_positive = is_class[label.positive]
    code = F.coalesce(*[F.when(condition, code) for code, condition in enumerate(is_class.values())])
    rows = passed.withColumn(LABEL, code)
    rows = with_calendar(rows, config.prepare.calendar, config.source.timestamp)
    rows = with_windows(rows, config.prepare.windows, config.source.timestamp, is_positive)
    rows = with_split(
        rows, config.split, timestamp=config.source.timestamp, positive=is_positive,
        random_state=config.run.random_state, fixed=config.run.incremental,
    )  # fmt: skip
    if config.split.strategy == "time":  # the other strategies leave no row out
        rows = rows.where(col(SPLIT).isNotNull())
    made = [rows.schema[name] for name in made_names]
    slim = rows.select(col(ROW_ID), col(SPLIT), col(LABEL), *[col(f.name) for f in (*used, *made)])
    cached = []
    if config.prepare.windows or config.split.known_entity:
        # The windows cost two sorts of the whole table; fitting and encoding read the few rows of the splits again.
        slim = slim.persist()
        cached.append(slim)
    train = slim.where(col(SPLIT) == "train")
    encoder = kept or fit_encoder(train, [*used, *made], made_names, label, raw_schema, config.prepare)
    observed = Observation() if has_nulls else None
    features = encode(_observed(slim, used, observed) if observed else slim, encoder)
    quarantine = judged.where(col(REASON).isNotNull()).select(
        *[col(name) for name in raw_schema.names], col(REASON).alias("reason")
    )
    return Prepared(
        features=features,
        quarantine=quarantine if reasons else quarantine.limit(0),
        encoder=encoder,
        raw_schema=raw_schema,
        reasons=reasons,
        observed=observed,
        cached=cached,
    )


def _audit(judged: DataFrame, label: str) -> tuple[dict[str | None, int], dict[str, int], bool]:
    """In one pass the rows that passed by class, the others by reason, and whether one that passed lacks a value."""
    text = col(label).cast("string").alias("class")
    # The class of a row with a reason does not count, but to leave it out at once would be to tell the reason twice.
    groups = judged.groupBy(col(REASON), text).agg(F.count(F.lit(1)).alias("rows"), F.min(COMPLETE).alias("complete"))
    counted = groups.groupBy(col(REASON), F.when(col(REASON).isNull(), F.col("class")).alias("class")).agg(
        F.sum("rows").alias("rows"), F.min("complete").alias("complete")
    )
    classes: dict[str | None, int] = {}
    reasons: dict[str, int] = {}
    has_nulls = False
    # Classes are few or an error: past the limit there is no need to know them all.
    for row in counted.limit(20 * MAX_CLASSES).collect():
        if row[REASON] is None:
            classes[row["class"]] = row["rows"]
            has_nulls |= not row["complete"]
        else:
            reasons[row[REASON]] = row["rows"]
    return classes, dict(sorted(reasons.items())), has_nulls


def _observed(df: DataFrame, columns: Sequence[t.StructField], observation: Observation) -> DataFrame:
    """`df` that counts its null features as it is written."""
    counts = [F.count(F.when(as_null(f), 1)).alias(f"null {f.name}") for f in columns]
    return df.observe(observation, F.count(F.lit(1)).alias("rows"), *counts)


def as_null(field: t.StructField) -> Column:
    """Whether a raw value counts as missing."""
    missing = col(field.name).isNull()
    if isinstance(field.dataType, (t.FloatType, t.DoubleType)):
        missing = missing | F.isnan(col(field.name))
    return missing
