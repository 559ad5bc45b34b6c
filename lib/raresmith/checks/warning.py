"""A warning on the data, as `runs` keeps it and as people read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

NAMED = 5
"""Columns, and warnings, that are told in a line; the report and `runs` have all."""


class _Words(NamedTuple):
    """What is said of a kind: "what: each, each; answer"."""

    what: str
    each: str
    """Of each thing that was found, in its fields."""
    answer: str
    """With the setting that answers it."""


KINDS = {
    "leak": _Words(
        "leak? by itself it tells class {positive} from all others",
        "{column} (area under the ROC curve {area:.3f})",
        "if it is not known before the label, name its column in source.ignore",
    ),
    "class_slip": _Words(
        "class mistyped?",
        "{name!r} ({rows:,} rows) for {other!r}",
        "mend the labels in the raw table; evaluate.positive names the class that is looked for",
    ),
    "too_few": _Words(
        "fewer rows of class {positive} than a verdict takes",
        "{rows:,} in {split}",
        "it takes {least}; bring more rows, or give these splits more by split.fractions or by their days",
    ),
    "days_without": _Words(
        "train days without class {positive}",
        "{first} to {last} (about {expected:.0f} to be expected among the rows looked at)",
        "if their labels are not known yet, say so by source.label_delay_days or end split.train before",
    ),
    "personal_feature": _Words(
        "personal data?",
        "{column} ({looks_like})",
        "it is a feature, so that made rows have real values of it; name it in source.ignore",
    ),
    "personal": _Words(
        "personal data?",
        "{column} ({looks_like})",
        'made rows have none of it unless publish.carried = "base", but original rows have, unless '
        'publish.originals = "none"',
    ),
    "unique": _Words(
        "a key or an identifier? another value in every row",
        "{column}",
        "name it in source.key or source.ignore",
    ),
    "no_value": _Words(
        "stands for no value?",
        "{column} ({value} in {share:.1%})",
        "make it null in the raw table, for which prepare.on_null says what is done",
    ),
    "nulls": _Words(
        "without a value by class",
        "{column} ({positives:.0%} of class {positive}, {others:.0%} of all others)",
        "if it is filled in after the label is known, name it in source.ignore",
    ),
    "dates_as_numbers": _Words(
        "numbers that are taken for dates",
        "{column}",
        "if it holds codes, name it in prepare.categorical",
    ),
    "numbers_as_text": _Words(
        "text of which nearly all are numbers",
        "{column} ({share:.1%}{other})",
        "make it a number in the raw table; for CSV, source.options says what stands for no value and how numbers are "
        "written",
    ),
    "codes_in_two_ways": _Words(
        "codes with and without leading zeros, which are two categories",
        "{column} ({code!r} and {plain!r})",
        "write them alike in the raw table, or name it in source.ignore",
    ),
    "constant": _Words("one value, or none, in all train rows", "{column}", "name it in source.ignore"),
    "repeated_rows": _Words(
        "rows that repeat another in every column",
        "{rows:,}",
        'if they are copies by mistake, set prepare.on_duplicate = "quarantine"',
    ),
}  # fmt: skip
"""In the order in which they are told."""


@dataclass(frozen=True, kw_only=True)
class DataWarning:
    """One kind of oddity, and all that was found of it."""

    kind: str
    found: Sequence[dict[str, Any]]
    """The fields of each thing."""
    positive: str
    """The class that is looked for."""

    def __str__(self) -> str:
        """A sentence, with the setting that answers it."""
        what, each, answer = KINDS[self.kind]
        told = [each.format(positive=self.positive, **fields) for fields in self.found[:NAMED]]
        more = f" and {len(self.found) - NAMED:,} more" if len(self.found) > NAMED else ""
        fields = {"positive": self.positive, **self.found[0]}
        said = what.format(**fields)
        return f"{said}{'' if said.endswith('?') else ':'} {', '.join(told)}{more}; {answer.format(**fields)}"

    def document(self) -> dict[str, Any]:
        """For `runs.measures`."""
        return {"kind": self.kind, "found": [*self.found], "says": str(self)}


def told(warnings: Sequence[DataWarning]) -> list[str]:
    """The first warnings in a line each, and how many more there are."""
    more = len(warnings) - NAMED
    lines = [str(warning) for warning in warnings[:NAMED]]
    return [*lines, f"and {more} more warnings, which the report and runs.measures have"] if more > 0 else lines
