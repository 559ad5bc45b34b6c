"""`[split]`: which rows train, choose and judge."""

import itertools
from collections.abc import Iterator
from datetime import date
from typing import ClassVar, Literal

from raresmith.config.section import Natural, Section
from raresmith.errors import ConfigError


class SplitConfig(Section):
    """`[split]`: which rows train, choose and judge; decided before anything is learnt."""

    section: ClassVar[str] = "split"

    strategy: Literal["hash", "entity", "time"] = "hash"
    """hash: stratified by class, by hash of row_id, rows that repeat another together; entity: whole entities by hash;
    time: by dates. Where windows read labels, hash cuts at fixed hashes, so that no label moves a row: the shares of a
    class are then those of `fractions` up to chance."""
    fractions: tuple[float, ...] = (0.6, 0.2, 0.2)
    """Shares of train, validation and test for hash and entity; each in (0, 1), summing to 1."""
    entity: str = ""
    """Column whose values stay together (strategy "entity")."""
    train: tuple[str, ...] = ()
    """First and last day (both included, ISO dates) of the train rows (strategy "time"); the others alike."""
    validation: tuple[str, ...] = ()
    """First and last day of the validation rows."""
    test: tuple[str, ...] = ()
    """First and last day of the test rows."""
    delay_days: Natural = 0
    """The test days must start more than this many days after the last train and the last validation day: at least
    source.label_delay_days, which 0 takes."""
    known_entity: str = ""
    """Column of the entity (card) that is taken out of the test day once its fraud is known: one labelled positive
    between the first train day and `delay_days` + 1 days before the test day."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Shares that are none, a column or days that are missing, and days by which the split would leak."""
        shares = self.fractions
        if len(shares) != 3 or not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) >= 1e-9:
            yield ConfigError(f"split.fractions must be three shares in (0, 1) that sum to 1, got {list(shares)}")
        if self.strategy == "entity" and not self.entity:
            yield ConfigError('split.entity must name a column when split.strategy is "entity"')
        if self.strategy == "time":
            yield from self._mistakes_in_time()

    def _mistakes_in_time(self) -> Iterator[ConfigError]:
        days: dict[str, tuple[date, date]] = {}
        for name in ("train", "validation", "test"):
            try:
                days[name] = self.days(name)
            except ConfigError as error:
                yield error
        if len(days) < 3:
            return
        first_test = days["test"][0]
        for (earlier, one), (later, two) in itertools.pairwise(sorted((span, name) for name, span in days.items())):
            if earlier[1] >= later[0]:
                yield ConfigError(f"split.{one} and split.{two} share days; each day has one split")
        if days["validation"][1] >= first_test:
            yield ConfigError(
                "split.validation must end before split.test starts; thresholds may not be chosen in hindsight"
            )
        for name, use in {"train": "the model learns from", "validation": "thresholds are chosen by"}.items():
            gap = (first_test - days[name][1]).days - 1
            if gap < self.delay_days and (gap >= 0 or name == "train"):
                yield ConfigError(
                    f"split.test starts {first_test}, {gap} whole days after split.{name} ends; it must be at least "
                    f"split.delay_days = {self.delay_days} days later (where that is not set, "
                    f"source.label_delay_days), or {use} labels that nobody knew"
                )

    def days(self, name: str) -> tuple[date, date]:
        """First and last day of the split `name` ("train", "validation" or "test")."""
        value = getattr(self, name)
        try:
            first, last = (date.fromisoformat(day) for day in value)
        except ValueError:
            raise ConfigError(f"split.{name} must be a first and a last day as ISO dates, got {list(value)}") from None
        if first > last:
            raise ConfigError(f"split.{name} must not end before it starts, got {list(value)}")
        return first, last
