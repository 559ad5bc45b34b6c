"""What `runs.row_counts` counts beside the rows of tables: the keys that stand there, and what people are told.

A key of a reason is its kind, and where it is about a column, a colon and the column's name.
"""

from collections.abc import Mapping

COPIES, UNREPAIRED, TOO_CLOSE, TAKEN_OUT = "copies", "unrepaired", "too_close", "taken_out"
LEFT_OUT = frozenset({COPIES, UNREPAIRED, TOO_CLOSE})
"""Made rows that are not published."""
QUARANTINED, IMPUTED, OWN_CATEGORY, WINSORISED = "quarantined", "imputed", "own_category", "winsorised"
"""Each holds numbers by reason: of rows set aside, and of values filled in, made a category, or taken for the nearest
end of all others."""

_TEXTS = {
    COPIES: "made rows equal to an original row, left out",
    UNREPAIRED: "made rows that break a constraint, left out",
    TOO_CLOSE: "made rows too close to a train row, left out",
    TAKEN_OUT: "original rows taken out by undersampling or cleaning",
    "train_copies": "equal to a train row, left out",
    OWN_CATEGORY: "a category of its own",
    WINSORISED: "out of all proportion, taken for the end of the others' range",
}
REASONS = {
    "malformed": "malformed record",
    "null_label": "null label",
    "null_timestamp": "null {}",
    "null_key": "null key {}",
    "null": "null {}",
    "nan": "NaN {}",
    "infinite": "infinite {}",
    "outlier": "outlier {}",
    "no_date": "no date {}",
    "duplicate_row": "duplicate row",
    "duplicate_key": "duplicate key",
    "earlier_run": "row of an earlier run",
}
"""What `quarantine.reason` says for each kind of reason; the column's name comes last."""


def reason(kind: str, column: str = "") -> str:
    """The key of a reason."""
    return f"{kind}:{column}" if column else kind


def kind_of(reason: str) -> str:
    """The kind of a reason, without its column."""
    return reason.partition(":")[0]


def told_reason(reason: str) -> str:
    """A reason as `quarantine.reason` tells it; what is no key is a text already, as earlier versions noted it."""
    kind, _, column = reason.partition(":")
    return REASONS[kind].format(column) if kind in REASONS else reason


def told(key: str) -> str:
    """What is counted under `key`; the names of tables and origins speak for themselves."""
    return _TEXTS.get(key, key)


def told_reasons(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Numbers by what happened and why, both as people are told."""
    return {told(what): {told_reason(r): n for r, n in reasons.items()} for what, reasons in counts.items()}
