"""When a label is known: one delay for the whole run, and the settings by which a label would be told before."""

from collections.abc import Iterator

from raresmith.config.section import Section
from raresmith.config.sections.evaluate import EvaluateConfig
from raresmith.config.sections.prepare import PrepareConfig, WindowConfig
from raresmith.config.sections.source import SourceConfig
from raresmith.config.sections.split import SplitConfig
from raresmith.errors import ConfigError


def with_label_delay(source: SourceConfig, split: SplitConfig, prepare: PrepareConfig) -> dict[str, Section]:
    """The sections by name, with the run's delay of labels where they name none."""
    days = source.label_delay_days or split.delay_days
    windows = tuple(
        window.replaced(delay_days=window.delay_days or days) if _of_labels(window, source) else window
        for window in prepare.windows
    )
    return {
        "source": source.replaced(label_delay_days=days),
        "split": split.replaced(delay_days=split.delay_days or days),
        "prepare": prepare.replaced(windows=windows),
    }


def _of_labels(window: WindowConfig, source: SourceConfig) -> str:
    """The key by which a window is computed from labels, or ""."""
    return "risk" if window.risk else "mean" if source.label in window.mean else ""


def label_mistakes(
    source: SourceConfig, split: SplitConfig, prepare: PrepareConfig, evaluate: EvaluateConfig
) -> Iterator[ConfigError]:
    """Delays that are shorter than the run's, and columns that may not be the label."""
    days = source.label_delay_days
    if split.delay_days < days:
        yield ConfigError(
            f"split.delay_days is {split.delay_days}, but source.label_delay_days says that a label is known after "
            f"{days} days; set at least that, or leave it out"
        )
    for window in prepare.windows:
        if (key := _of_labels(window, source)) and (why := too_early(window.delay_days, days)):
            yield ConfigError(f"prepare.windows.{key} of {window.entity} {why}")
    told = {
        "source.key": source.key,
        "prepare.features": prepare.features,
        "prepare.windows.entity": [window.entity for window in prepare.windows],
        "split.entity": [split.entity],
        "split.known_entity": [split.known_entity],
        "evaluate.entity": [evaluate.entity],
    }
    for key, names in told.items():
        if source.label in names:
            yield ConfigError(
                f"{key} names the label {source.label!r}, which is the answer; name a column that is known before it"
            )


def too_early(window_days: int, label_days: int) -> str:
    """Why what is computed from labels may not end so many days before a row, or "" where it may."""
    least = max(label_days, 1)
    if window_days >= least:
        return ""
    if window_days == 0:
        return (
            f"needs delay_days of at least {least}: without a delay a row would see its own label; set it, or "
            "source.label_delay_days for the whole run"
        )
    return (
        f"ends delay_days = {window_days} days before a row, but a label is known only after {label_days} days "
        f"(source.label_delay_days, or else split.delay_days); set at least {label_days}, or leave it out"
    )
