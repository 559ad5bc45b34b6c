"""What the log of a Delta table says of its commits, read as the files that it consists of.

Delta's own history answers by a query each time, which takes longer than a small table's rows do. Source: the
transaction protocol of Delta, "Delta Log Entries" and "Commit Provenance Information".
"""

import json
import re
from collections.abc import Iterator

from pyspark.sql import SparkSession

from raresmith.spark import files
from raresmith.tables.commits import Commit

_COMMIT = re.compile(r"\d{20}\.json")


def newest_first(spark: SparkSession, location: str) -> Iterator[Commit]:
    """The commits of the table at `location` of which its log still tells; each is read when it is asked for."""
    log = f"{location}/_delta_log"
    names = [name for name in files.names_in(spark, log) if _COMMIT.fullmatch(name)]
    for name in sorted(names, reverse=True):
        yield _read(spark, f"{log}/{name}", int(name.removesuffix(".json")))


def _read(spark: SparkSession, url: str, version: int) -> Commit:
    for line in files.lines_of(spark, url):
        # Spark tells first who made the commit, delta-rs may do so last.
        if '"commitInfo"' in line and (info := json.loads(line).get("commitInfo")) is not None:
            return Commit.of(version, info)
    return Commit.of(version, {})
