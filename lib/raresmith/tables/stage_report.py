"""The stages of a run by name, and what each reports when it is done."""

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from raresmith.tables.row_counts import told

STAGES = ("simulate", "prepare", "oversample", "refine", "evaluate", "publish")
"""In the order of a run."""
ONLY_GENERATE = "train nothing; make the rows again by the run's saved model"
"""What the option --only-generate of `refine` asks for."""
MARGIN = 11
"""Width of the column in which the stage's name stands."""


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What a finished stage says."""

    stage: str
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each table written, and of what was set aside, by the keys of `raresmith.tables.row_counts`."""
    seconds: float = 0.0
    unchanged: bool = False
    """Whether the tables were there already, made from the same inputs."""
    words: str = ""
    """Anything more that the user should read, in plain lines."""
    verdict: str = ""
    """What the run comes to, in its first line, and the grounds."""

    @classmethod
    def of(cls, note: Mapping[str, Any], *, unchanged: bool = False) -> Self:
        """What the row `note` of `runs`, its documents read, tells of the stage: the same when it is done and later."""
        return cls(
            stage=note["stage"],
            rows={key: count for key, count in note["row_counts"].items() if isinstance(count, int)},
            seconds=0.0 if unchanged else note["seconds"],
            unchanged=unchanged,
            words=note.get("words") or "",
            verdict=note.get("verdict") or "",
        )

    def fields(self) -> dict[str, Any]:
        """The report for a machine."""
        return asdict(self)

    def __str__(self) -> str:
        """As a terminal shows it: the stage's name at the margin, and what it says beside it."""
        counts = ", ".join(f"{rows:,} {told(key)}" for key, rows in self.rows.items())
        end = "nothing changed, made before from the same inputs" if self.unchanged else f"{self.seconds:.1f} s"
        lines = [f"{self.stage:<{MARGIN}}{counts or 'no rows'} · {end}"]
        if self.words:
            lines.append(textwrap.indent(self.words, MARGIN * " "))
        if self.verdict:
            lines.append(self.verdict)
        return "\n".join(lines)
