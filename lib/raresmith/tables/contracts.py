"""What each Delta table of the warehouse promises: columns, types, comments, constraints.

Plain values, so that Spark (`spark/tables.py`) and delta-rs (`gan/tables.py`) build the same tables from them.
"""

from dataclasses import dataclass, field

from raresmith.encoding.encoder import Encoder

TABLES = ("features", "quarantine", "encoder", "synthetic", "removed", "refined", "metrics", "augmented", "runs")
"""The tables of a warehouse, in the order of a run; `removed` only where rows are taken out."""
MAPPED = frozenset(" ,;{}()\n\t=")
"""Characters that no column of a Delta table, nor a field in one, can have in its name unless Delta maps the names."""
LABEL_CHECK = {"label_is_a_class": "label >= 0"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column; `type` is what Spark's SQL calls it (bigint, int, string, float, double, timestamp, ...)."""

    name: str
    type: str
    comment: str
    nullable: bool = False
    repeats: bool = True
    """Whether values repeat, so that a dictionary of them makes the file smaller; to try one costs time."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table; `checks` maps a constraint's name to its SQL condition."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    checks: dict[str, str] = field(default_factory=dict)
    ranged_columns: int = 32
    """Of how many of the first columns each file's range is noted, for readers to skip files by; 32 is Delta's own."""


def _feature_columns(encoder: Encoder) -> tuple[Column, ...]:
    columns = []
    for feature in encoder.features:
        origin = "made here" if feature.made else f"raw column {feature.source!r}"
        if feature.kind == "categorical":
            comment = f"{origin} as a code: 0 unseen, 1 null, 2 and up its {len(feature.categories)} categories"
        else:
            comment = f"{origin}, normalised ({feature.transform})"
        repeats = feature.kind == "categorical" or feature.step > 0
        columns.append(Column(name=feature.name, type=feature.storage, comment=comment, repeats=repeats))
    return tuple(columns)


_RUN_ID = Column(name="run_id", type="string", comment="the run that wrote the row: its name and logical date")
ADDED = ("reason", "run_id", "origin", "parent_row_id")
"""Columns that stand beside the raw ones in `quarantine` and `augmented`."""


def _label(encoder: Encoder) -> Column:
    classes = ", ".join(f"{code} = {text}" for code, text in enumerate(encoder.label.classes[:20]))
    return Column(name="label", type="int", comment=f"class of column {encoder.label.name!r}: {classes}")


def features(encoder: Encoder) -> Table:
    """`features`: every raw row of a split, encoded."""
    return Table(
        name="features",
        comment="Raw rows that passed the contract and belong to a split: encoded, normalised, null-free",
        columns=(
            Column(name="row_id", type="bigint", comment="stable identity of the raw row", repeats=False),
            Column(name="split", type="string", comment="what the row may be used for: train, validation or test"),
            _label(encoder),
            _RUN_ID,
            *_feature_columns(encoder),
        ),
        checks={"split_is_known": "split IN ('train', 'validation', 'test')", **LABEL_CHECK},
        # Nobody looks for rows by the range of a feature, and to note it costs half as much again as the rows.
        ranged_columns=4,
    )


def quarantine(raw: tuple[Column, ...]) -> Table:
    """`quarantine`: raw rows that did not pass, with the reason."""
    return Table(
        name="quarantine",
        comment="Raw rows that did not pass the contract of the configuration",
        columns=(*raw, Column(name="reason", type="string", comment="which rule the row broke"), _RUN_ID),
        ranged_columns=0,
    )


def encoder() -> Table:
    """`encoder`: the fitted encoder, one row."""
    return Table(
        name="encoder",
        comment="The encoder fitted on the train rows of the newest run; where runs are incremental, of the first",
        columns=(
            _RUN_ID,
            Column(
                name="document", type="string", comment="JSON: roles, categories, statistics, types of the original"
            ),
            Column(name="settings", type="string", comment="JSON: the configuration that it was fitted under"),
        ),
    )


def synthetic(encoder: Encoder) -> Table:
    """`synthetic`: the SMOTE rows, encoded."""
    return Table(
        name="synthetic",
        comment="Rows drawn between a minority row of the train split and one of its nearest neighbours",
        columns=(
            Column(name="row_id", type="bigint", comment="hash of seed, base row and copy number"),
            Column(name="base_row_id", type="bigint", comment="features.row_id of the row it starts from"),
            Column(name="neighbor_row_id", type="bigint", comment="features.row_id of the row it is drawn towards"),
            Column(
                name="gap",
                type="double",
                comment="share of the way from base to neighbour, or how much of the row is the neighbour's",
            ),
            Column(
                name="method",
                type="string",
                comment="oversampling method; where it made too few, that which made the rest",
            ),
            _label(encoder),
            _RUN_ID,
            *_feature_columns(encoder),
        ),
        checks={"gap_in_unit_interval": "gap >= 0 AND gap < 1", **LABEL_CHECK},
        ranged_columns=7,
    )


def refined(encoder: Encoder) -> Table:
    """`refined`: the GAN's rows, encoded."""
    return Table(
        name="refined",
        comment="Rows that the generator made, one for each synthetic row",
        columns=(
            Column(name="row_id", type="bigint", comment="hash of the synthetic row and the model's run"),
            Column(
                name="synthetic_row_id",
                type="bigint",
                comment="synthetic.row_id of the row it was refined from; null where it was made from noise",
                nullable=True,
            ),
            Column(name="score", type="double", comment="discriminator's probability that the row is real, in [0, 1]"),
            Column(name="model", type="string", comment="architecture and what it starts from"),
            _label(encoder),
            _RUN_ID,
            *_feature_columns(encoder),
        ),
        checks={"score_is_a_probability": "score >= 0 AND score <= 1", **LABEL_CHECK},
        ranged_columns=1,
    )


def removed(encoder: Encoder) -> Table:
    """`removed`: train rows that undersampling or cleaning took out."""
    return Table(
        name="removed",
        comment="Train rows that are not to be trained on with the made ones",
        columns=(
            Column(name="row_id", type="bigint", comment="features.row_id of the row", repeats=False),
            _label(encoder),
            Column(name="reason", type="string", comment="what took it out: undersampled, tomek or enn"),
            _RUN_ID,
        ),
        checks={"reason_is_known": "reason IN ('undersampled', 'tomek', 'enn')", **LABEL_CHECK},
        ranged_columns=1,
    )


def metrics() -> Table:
    """`metrics`: one figure of one forest, over all runs."""
    return Table(
        name="metrics",
        comment="What a classifier trained with each strategy reaches on rows that it has not seen",
        columns=(
            _RUN_ID,
            Column(name="strategy", type="string", comment="what was added to the train rows"),
            Column(name="classifier", type="string", comment="the judge"),
            Column(
                name="class",
                type="string",
                comment="the class that is told from all others; macro is the unweighted mean over all that are judged",
            ),
            Column(name="split", type="string", comment="rows the figure is taken on"),
            Column(name="metric", type="string", comment="name of the figure; @0.5 marks the fixed threshold"),
            Column(name="value", type="double", comment="the figure"),
            Column(
                name="low",
                type="double",
                comment="lower end of its 95 % bootstrap interval; null where there is none or the rows are too few",
                nullable=True,
            ),
            Column(name="high", type="double", comment="upper end of its 95 % bootstrap interval", nullable=True),
            Column(name="seed", type="bigint", comment="seed of the classifier"),
        ),
    )


def augmented(raw: tuple[Column, ...]) -> Table:
    """`augmented`: the raw schema and where each row comes from."""
    return Table(
        name="augmented",
        comment="Original and made rows in the raw schema and units",
        columns=(
            *raw,
            Column(
                name="origin", type="string", comment="original, refined, or the oversampling method that made the row"
            ),
            Column(
                name="parent_row_id",
                type="bigint",
                comment="features.row_id of the train row that a made row starts from; null for originals and rows "
                "made from noise",
                nullable=True,
            ),
            _RUN_ID,
        ),
        checks={
            "origin_is_known": "origin <> ''",  # not by name: other distributions bring methods, and take them away
            "made_rows_have_a_parent": "origin IN ('original', 'refined') OR parent_row_id IS NOT NULL",
        },
    )


def runs() -> Table:
    """`runs`: the finished stages."""
    return Table(
        name="runs",
        comment="One row for each finished stage of each run",
        columns=(
            _RUN_ID,
            Column(name="stage", type="string", comment="prepare, oversample, refine, evaluate or publish"),
            Column(name="fingerprint", type="string", comment="hash of all that decides the stage's rows"),
            Column(name="config_hash", type="string", comment="hash of the configuration that the stage reads"),
            Column(name="random_state", type="bigint", comment="seed of the run"),
            Column(name="versions", type="string", comment="JSON: library versions"),
            Column(
                name="inputs",
                type="string",
                comment="JSON: version of each table read, and ms at which it was committed",
            ),
            Column(name="outputs", type="string", comment="JSON: version of each table written"),
            Column(name="row_counts", type="string", comment="JSON: rows of each table written, and rows set aside"),
            Column(name="seconds", type="double", comment="wall time of the stage"),
            Column(name="content_hash", type="string", comment="order-free hash of the stage's main table"),
            Column(
                name="measures",
                type="string",
                comment="JSON: what the stage measured of itself, as the recall of its neighbours",
                nullable=True,
            ),
            Column(
                name="settings",
                type="string",
                comment="JSON: the keys of the configuration that the stage read",
                nullable=True,
            ),
            Column(name="words", type="string", comment="what the stage said beside its counts", nullable=True),
            Column(name="verdict", type="string", comment="what evaluate found, in words", nullable=True),
        ),
    )
