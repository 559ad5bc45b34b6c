"""The stages of a run by name, and what each reports when it is done."""

from dataclasses import dataclass, field

STAGES = ("simulate", "prepare", "oversample", "refine", "evaluate", "publish")
"""In the order of a run."""
ONLY_GENERATE = "train nothing; make the rows again by the run's saved model"
"""What the option --only-generate of `refine` asks for."""


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What a finished stage says: one line."""

    stage: str
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each table written, and of what was set aside."""
    seconds: float = 0.0
    unchanged: bool = False
    """Whether the tables were there already, made from the same inputs."""
    words: str = ""
    """Anything more that the user should read."""

    def __str__(self) -> str:
        counts = ", ".join(f"{rows:,} {name}" for name, rows in self.rows.items())
        end = "nothing changed, made before from the same inputs" if self.unchanged else f"{self.seconds:.1f} s"
        line = f"{self.stage:<11}{counts or 'no rows'} · {end}"
        return f"{line}\n{self.words}" if self.words else line
