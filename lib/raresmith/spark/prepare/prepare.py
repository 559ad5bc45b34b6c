"""From raw rows to features: contract, row ids, past of each entity, split, encoding."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config, SplitConfig
from raresmith.encoding.encoder import Encoder, Feature, Label
from raresmith.errors import DataError
from raresmith.spark.columns import COMPLETE, CONTENT, LABEL, MALFORMED, REASON, ROW_ID, SPLIT, col, quoted
from raresmith.spark.encoding.drawn import is_drawn
from raresmith.spark.encoding.encode import encode, is_no_day, is_outlier
from raresmith.spark.encoding.fit import fit_encoder
from raresmith.spark.prepare.calendar_features import with_calendar
from raresmith.spark.prepare.label import MAX_CLASSES, class_text, fit_label, known_label
from raresmith.spark.prepare.label_columns import label_columns
from raresmith.spark.prepare.row_id import without_known
from raresmith.spark.prepare.rules import admitted, feature_columns, is_missing, refuse, told
from raresmith.spark.prepare.split import Split, side_by_day, with_split
from raresmith.spark.prepare.windows import window_feature_names, with_windows
from raresmith.tables.row_counts import (
    IMPUTED,
    OWN_CATEGORY,
    QUARANTINED,
    WINSORISED,
    reason,
    told_reason,
    told_reasons,
)
from raresmith.tables.split_counts import SPLITS, SplitCounts, require_judged


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What prepare hands on: lazy tables, and what was learnt."""

    features: DataFrame
    quarantine: DataFrame
    encoder: Encoder
    raw_schema: t.StructType
    reasons: dict[str, int]
    """Rows in quarantine by reason."""
    split: SplitCounts | None
    """How the rows fell to the splits; None where they were not counted, as under fixed cuts."""
    repeated: int
    """Rows that repeat another in every column and passed."""
    replaced: dict[str, int]
    """Nulls, outliers and the like by reason: values that the features have others for."""
    cached: list[DataFrame] = field(default_factory=list)

    @property
    def measures(self) -> dict[str, Any]:
        """For the note of the run."""
        return {"split": asdict(self.split)} if self.split else {}

    def release(self) -> None:
        """Let go of the rows kept in memory."""
        for df in self.cached:
            df.unpersist()

    def set_aside(self) -> dict[str, dict[str, int]]:
        """Rows in quarantine by reason, and values filled in by column."""
        found: dict[str, dict[str, int]] = {QUARANTINED: self.reasons, IMPUTED: {}, OWN_CATEGORY: {}, WINSORISED: {}}
        for feature in self.encoder.features:
            of_null = IMPUTED if feature.kind == "numeric" else OWN_CATEGORY
            for what, kind in ((of_null, "null"), (IMPUTED, "no_date"), (WINSORISED, "outlier")):
                if count := self.replaced.get(why := reason(kind, feature.source)):
                    found[what][why] = count
        return {what: counts for what, counts in found.items() if counts}

    def words(self) -> str:
        """Lines on the split, and one on what was set aside or filled in, or ""."""
        parts = [
            f"{what}: " + ", ".join(f"{name} ({count:,})" for name, count in counts.items())
            for what, counts in told_reasons(self.set_aside()).items()
        ]
        return "\n".join([*(self.split.words() if self.split else []), *filter(None, ["; ".join(parts)])])


def prepare(raw: DataFrame, config: Config, kept: Encoder | None = None, known: DataFrame | None = None) -> Prepared:
    """Judge, split and encode the raw table.

    The split is decided before anything is learnt. Windows look back over all rows that passed, for that is what is
    known when a transaction happens; but over labels as `_labelled` says. The encoder sees the train rows only.

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
        configuration refuses; or if a split lacks rows of the class to judge, or of all others.
    """
    raw_schema = t.StructType([f for f in raw.schema.fields if f.name != MALFORMED])
    made_names = [*config.prepare.calendar, *window_feature_names(config.prepare.windows)]
    judged = admitted(raw, config) if known is None else without_known(admitted(raw, config), known)
    label_column = raw_schema[config.source.label]
    used = feature_columns(raw_schema, config)
    counts, reasons, has_nulls, by_day, repeated = _audit(judged, label_column, config)
    if not counts and not reasons:
        raise DataError(f"{config.source.path} has no rows")
    refuse(reasons, config)
    label = known_label(counts, kept, config) if kept else fit_label(counts, label_column.dataType, config)

    # Telling the reason takes all columns of a row; where there is none, a job reads those alone that it needs.
    passed = (judged.where(col(REASON).isNull()) if reasons else judged).drop(REASON, COMPLETE, MALFORMED)
    rows, cut = _in_splits(passed, label, config)
    made = [rows.schema[name] for name in made_names]
    slim = rows.select(col(ROW_ID), col(SPLIT), col(LABEL), *[col(f.name) for f in (*used, *made)])
    # The windows cost two sorts of the whole table; fitting and encoding read the few rows of the splits again.
    is_dear = bool(config.prepare.windows or config.split.known_entity)
    slim = slim.persist() if is_dear else slim
    split = _split_counts(cut, by_day, slim, label, config)
    if split is not None:
        require_judged(split.rows, label.name, label.positive)
    train = slim.where(col(SPLIT) == "train")
    drawn = None if kept else is_drawn(_train_rows(train, label, split), len(used))
    encoder = kept or fit_encoder(train, [*used, *made], made_names, label, raw_schema, config.prepare, drawn)
    quarantine = judged.where(col(REASON).isNotNull()).select(
        *[col(name) for name in raw_schema.names], told(col(REASON)).alias("reason")
    )
    return Prepared(
        features=encode(slim, encoder),
        quarantine=quarantine if reasons else quarantine.limit(0),
        encoder=encoder,
        raw_schema=raw_schema,
        reasons=reasons,
        split=split,
        repeated=repeated,
        replaced=_replaced(slim, used if has_nulls else [], encoder.features),
        cached=[slim] if is_dear else [],
    )


def _in_splits(passed: DataFrame, label: Label, config: Config) -> tuple[DataFrame, Split]:
    """The rows that belong to a split, with LABEL, SPLIT and the columns that are made; and how they were cut."""
    kind, timestamp = passed.schema[label.name].dataType, config.source.timestamp
    is_class = {text: col(label.name) == F.lit(text).cast(kind) for text in label.classes}
    is_positive = is_class[label.positive]
    code = F.coalesce(*[F.when(condition, code) for code, condition in enumerate(is_class.values())])
    rows = with_calendar(passed.withColumn(LABEL, code), config.prepare.calendar, timestamp)
    cut = with_split(
        rows,
        config.split,
        timestamp=timestamp,
        positive=is_positive,
        random_state=config.run.random_state,
        fixed=config.run.incremental or _labels_feed_windows(config),
    )
    rows = cut.rows
    if windows := config.prepare.windows:
        told = label_columns(rows.where(col(SPLIT) == "train"), label, config)
        rows = with_windows(
            rows, windows, timestamp, is_positive, labels=told, labelled=lambda entity: _labelled(entity, config.split)
        )
    # The other strategies leave no row out.
    return (rows.where(col(SPLIT).isNotNull()) if config.split.strategy == "time" else rows), cut


def _split_counts(
    cut: Split, by_day: Mapping[str, Mapping[str, int]], slim: DataFrame, label: Label, config: Config
) -> SplitCounts | None:
    """How the rows fell to the splits, as they were counted on the way; None for one day of many."""
    by_time, counts = config.split.strategy == "time", cut.counts
    if by_time and not config.split.known_entity:
        return SplitCounts(rows=by_day)
    if by_time or (counts is None and not config.run.incremental):
        # These rows are kept, and two columns of them are looked at.
        found = slim.groupBy(col(SPLIT).alias("side"), col(LABEL).alias("label")).count().collect()
        counts = {name: {row["label"]: row["count"] for row in found if row["side"] == name} for name in SPLITS}
    if counts is None:
        return None
    return SplitCounts(
        rows={name: {label.classes[code]: rows for code, rows in of.items()} for name, of in counts.items()},
        fractions=() if by_time else config.split.fractions,
        entity=config.split.entity if config.split.strategy == "entity" else "",
        together=cut.together,
    )


def _train_rows(train: DataFrame, label: Label, split: SplitCounts | None) -> dict[int, int]:
    """The train rows of each class: which of them are looked at hangs on no label of another split."""
    if split is not None:
        return {label.classes.index(text): rows for text, rows in split.rows.get("train", {}).items()}
    return {row[LABEL]: row["count"] for row in train.groupBy(LABEL).count().collect()}


def _labels_feed_windows(config: Config) -> bool:
    """Whether a cut by the counts of classes would let a label of a test row into features of train rows.

    Through the row that it moves over the cut; windows that read labels are those that wait for them.
    """
    return config.split.strategy == "hash" and any(window.delay_days for window in config.prepare.windows)


def _labelled(entity: str, split: SplitConfig) -> Column:
    """The rows whose labels windows of `entity` may look at.

    Labels flow by time where the split goes by time. Else a test row may lie before a train row, and train rows may not
    see its label; rows of an entity that is all on one side are seen by that side alone.
    """
    if split.strategy == "time" or (split.strategy == "entity" and split.entity == entity):
        return F.lit(True)
    return col(SPLIT) == "train"


class _Audit(NamedTuple):
    """What one look at all rows tells."""

    classes: dict[str | None, int]
    """Rows that passed, by class."""
    reasons: dict[str, int]
    """The others, by reason."""
    has_nulls: bool
    """Whether a row that passed lacks a value."""
    by_day: dict[str, dict[str, int]]
    """Rows that passed, by the side that their day has and class; empty where days do not decide."""
    repeated: int
    """Rows that passed and repeat another."""


def _audit(judged: DataFrame, label: t.StructField, config: Config) -> _Audit:
    split = config.split
    side = side_by_day(split, config.source.timestamp) if split.strategy == "time" else F.lit(None).cast("string")
    # The first of those that share their content has its id.
    again = col(ROW_ID) != col(CONTENT) if CONTENT in judged.columns else F.lit(False)
    # The class of a row with a reason does not count, but to leave it out at once would be to tell the reason twice.
    groups = judged.groupBy(col(REASON), class_text(label).alias("class"), side.alias("side")).agg(
        F.count(F.lit(1)).alias("rows"), F.min(COMPLETE).alias("complete"), F.count_if(again).alias("repeated")
    )
    of_passed = [F.when(col(REASON).isNull(), F.col(name)).alias(name) for name in ("class", "side")]
    counted = groups.groupBy(col(REASON), *of_passed).agg(
        F.sum("rows").alias("rows"), F.min("complete").alias("complete"), F.sum("repeated").alias("repeated")
    )
    classes, reasons = Counter[str | None](), dict[str, int]()
    by_day: dict[str, dict[str, int]] = {}
    has_nulls, repeated = False, 0
    # Classes are few or an error: past the limit there is no need to know them all.
    for row in counted.limit(20 * MAX_CLASSES).collect():
        if row[REASON] is not None:
            reasons[row[REASON]] = row["rows"]
            continue
        classes[row["class"]] += row["rows"]
        has_nulls |= not row["complete"]
        repeated += row["repeated"]
        if row["side"] is not None:
            by_day.setdefault(row["side"], {})[row["class"]] = row["rows"]
    in_order = dict(sorted(reasons.items(), key=lambda found: told_reason(found[0])))
    return _Audit(classes, in_order, has_nulls, by_day, repeated)


def _replaced(df: DataFrame, columns: Sequence[t.StructField], features: Sequence[Feature]) -> dict[str, int]:
    """By reason the nulls of `columns`, and what is an outlier, or no date among dates written as numbers."""
    kinds = {f.name: f.dataType for f in df.schema.fields}
    conditions = {reason("null", f.name): is_missing(f) for f in columns}
    for f in features:
        if f.kind == "numeric" and f.outlier is not None:
            conditions[reason("outlier", f.source)] = is_outlier(quoted(f.source), kinds[f.source], f)
        if f.kind == "numeric" and f.is_day_number:
            conditions[reason("no_date", f.source)] = is_no_day(quoted(f.source), kinds[f.source], f)
    if not conditions:
        return {}
    # An aggregate for each would take longer than all else where there are thousands; most rows name few places here.
    places = ", ".join(f"IF({condition}, {place}, NULL)" for place, condition in enumerate(conditions.values()))
    met = df.select(F.expr(f"explode(array_compact(array({places}))) AS place")).groupBy("place").count().collect()
    names = [*conditions]
    return {names[row["place"]]: row["count"] for row in met}
