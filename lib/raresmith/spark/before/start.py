"""From a table to a configuration, and to a sample of the table that a few minutes are enough for."""

import os
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from raresmith.config import Config, load_config, parse_config
from raresmith.config.sections.run import local_path
from raresmith.errors import ConfigError
from raresmith.spark.before.first_look import format_of, look
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.files import exists
from raresmith.spark.source.read import how_read, read_source
from raresmith.spark.source.versioned import is_known
from raresmith.starting.draft import Draft, run_name
from raresmith.starting.roles import Told, roles
from raresmith.starting.seen import SeenTable
from raresmith.starting.split import by_days

VALUES_A_MINUTE = 1_500_000
"""Of a table that all stages go through in a minute on two cores, about."""
OF_A_ROW = 10
"""Values that a row costs as much as, however few columns there are."""
_SEED = 0


def begin(spark: SparkSession, path: str, told: Told, file: Path) -> tuple[SeenTable, Draft, tuple[str, ...]]:
    """Look at the table at `path` and draft the configuration `file`; what was seen, the draft, and how it was read.

    Raises
    ------
    ConfigError, DataError
        If there is no table, or none that can be read; if it lacks a column that is told.
    """
    path = local_path(path)
    located = path if "://" in path else os.path.abspath(path)  # noqa: PTH100 - a pattern is no path
    is_named = not exists(spark, located) and is_known(spark, path)
    path = path if is_named else located
    document = {
        "run": {"name": run_name(path), "warehouse": "w"},
        "source": {
            "path": path,
            "label": told.label,
            "format": format_of(spark, path),
            "timestamp": told.timestamp,
            "key": [*told.key],
            "ignore": [told.entity] if told.entity else [],
        },
    }
    config = parse_config(document, file)
    seen = look(spark, config)
    found = roles(seen, told)
    time = next((role.name for role in found if role.use == "timestamp"), "")
    days = by_days(seen.days[time], seen.positive) if time else None
    draft = Draft(
        name=config.run.name,
        path=path if is_named or "://" in path else os.path.relpath(path, file.parent),
        format=config.source.format,
        roles=found,
        days=days,
        no_days=f"of the days of {time}, no first 60 % and last 20 % have rows of both classes"
        if not days and time
        else "",
    )
    return seen, draft, how_read(spark, config.source)


def sampled(spark: SparkSession, config: Config, seen: SeenTable, draft: Draft, minutes: float, folder: Path) -> Draft:
    """The draft for a sample of the table in `folder`, of as many rows as all stages go through in so many minutes; or
    for the table itself, where that is no more.

    Whole entities are drawn where there is one, else rows, so that the classes keep their shares.

    Raises
    ------
    ConfigError
        If the sample's folder is there.
    """
    most = int(minutes * VALUES_A_MINUTE / (len(seen.columns) + OF_A_ROW))
    if seen.rows <= most:
        return draft
    path, share = folder / f"{draft.name}-sample", most / seen.rows
    if path.exists():
        raise ConfigError(f"{path}, where the sample would be written, is there already; delete it")
    raw = read_source(spark, config.source)
    if MALFORMED in raw.columns:
        raw = raw.where(col(MALFORMED).isNull()).drop(MALFORMED)
    if entity := draft.first("entity"):
        place = F.pmod(F.xxhash64(col(entity).cast("string")), F.lit(2**32)) / 2**32
        rows = raw.where(col(entity).isNotNull() & (place < share))
    else:
        rows = raw.sample(fraction=share, seed=_SEED)
    rows.write.parquet(str(path))
    return replace(draft, name=f"{draft.name}-try", path=path.name, format="parquet")


def write(draft: Draft, file: Path) -> Config:
    """Write the configuration, which must not be there yet, and read it back.

    Raises
    ------
    ConfigError
        If there is a file of that name.
    """
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(draft.text())
    except FileExistsError:
        raise ConfigError(f"{file} is there already; name another file by --output, or delete it") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}; name another file by --output") from None
    return load_config(file)
