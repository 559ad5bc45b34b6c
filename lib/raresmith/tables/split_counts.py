"""How rows and classes fell to train, validation and test: what is said of it, and what no figure can be made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from raresmith.errors import DataError, Key

SPLITS = ("train", "validation", "test")


def is_far(shares: Iterable[float], asked: Iterable[float]) -> bool:
    """Whether one of the `shares` is off by more than five points in a hundred, or by more than half of what it was
    `asked` to be."""
    return any(abs(share - of) > min(0.05, of / 2) for share, of in zip(shares, asked, strict=True))


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """Rows of each split, and what was asked for."""

    rows: Mapping[str, Mapping[str, int]]
    """By split and class."""
    fractions: tuple[float, ...] = ()
    """Shares that were asked for, or none where days decide."""
    entity: str = ""
    """The column whose values stay together, or none."""
    together: int = 0
    """The most rows that one value may have."""

    @classmethod
    def of(cls, measures: Mapping[str, Any]) -> "SplitCounts":
        """What `prepare` noted in `runs.measures`; nothing where it noted none."""
        return cls(**measures.get("split", {"rows": {}}))

    def words(self) -> list[str]:
        """A sentence on shares that are far from those asked for, and one for each class that a split lacks."""
        classes = sorted({name for found in self.rows.values() for name in found})
        lacking = {name: [split for split in SPLITS if not self.rows.get(split, {}).get(name)] for name in classes}
        return [
            *self.far_shares(),
            *(
                f"class {name!r} has no row in {' and '.join(splits)}, so that it cannot be judged"
                for name, splits in lacking.items()
                if splits
            ),
        ]

    def far_shares(self) -> list[str]:
        """A sentence on shares that are far from those asked for, if they are."""
        of_split = [sum(self.rows.get(split, {}).values()) for split in SPLITS]
        total = sum(of_split)
        shares = [rows / total for rows in of_split] if total else []
        asked = self.fractions
        if not asked or not shares or not is_far(shares, asked):
            return []
        said = (
            f"train, validation and test have {_told(shares)} % of the rows where split.fractions asks for "
            f"{_told(asked)} %"
        )
        if not self.entity:
            return [f"{said}, which is as near as they can be cut"]
        return [
            f"{said}, which is as near as whole values of {self.entity!r} can be cut: one has up to "
            f"{_told([self.together / total])} % of the rows"
        ]


def _told(shares: Iterable[float]) -> str:
    return " / ".join(f"{100 * share:.1f}".removesuffix(".0") for share in shares)


def require_judged(rows: Mapping[str, Mapping[str, int]], label: str, positive: str) -> None:
    """Refuse a split in which the class `positive` of the column `label`, or all others, lack a row.

    Parameters
    ----------
    rows
        By split and class.

    Raises
    ------
    DataError
        Naming the split.
    """
    for split in SPLITS:
        found = rows.get(split, {})
        total, positives = sum(found.values()), found.get(positive, 0)
        for name, count in (("positive", positives), ("negative", total - positives)):
            if count == 0:
                raise DataError(
                    "the {split} split has no {name} rows (class {positive!r} of column {label!r} is positive) among "
                    "its {total}, so nothing can be judged; choose other days, fractions or another entity in "
                    "[split], another {seed}, or another {key}",
                    split=split,
                    name=name,
                    positive=positive,
                    label=label,
                    total=total,
                    seed=Key("run.random_state"),
                    key=Key("evaluate.positive"),
                )
