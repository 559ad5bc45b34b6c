"""`[spark]`: the session."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from raresmith.config.section import Positive, Section
from raresmith.errors import ConfigError

OWN = {
    # Days, hours and windows of 24 hours must not depend on where the driver stands.
    "spark.sql.session.timeZone": "UTC",
    # Spark's own default holds no times before 1677 nor after 2262, and few other readers know it.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.ansi.enabled": "true",
    # Folders called bank=007 name a bank, not the number 7.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # pandas writes nanoseconds, which Spark would not read at all.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Without it Spark reads no text in windows-1252, which is what many banks export.
    "spark.sql.legacy.javaCharsets": "true",
    # A column may be called ${total}, and a text be just that.
    "spark.sql.variable.substitute": "false",
}
"""Settings of the session that rows depend on, whoever opens it."""


class SparkConfig(Section):
    """`[spark]`: the session, where spark-submit has not set it. Nothing here changes a row of any table."""

    section: ClassVar[str] = "spark"

    master: str = "local[*]"
    """Master URL, used only when the job is not started by spark-submit."""
    driver_memory: str = "3g"
    """Heap of the driver, likewise."""
    shuffle_partitions: Positive = 8
    """Partitions after a shuffle, before adaptive execution joins small ones; at least 1."""
    conf: dict[str, str] = Field(default_factory=dict)
    """Further Spark settings, such as the S3 endpoint; none that a row depends on."""

    def mistakes(self) -> Iterator[ConfigError]:
        """Settings that rows depend on."""
        for key in sorted(OWN.keys() & self.conf.keys()):
            yield ConfigError(
                f"spark.conf sets {key!r}, which is {OWN[key]} in every run, for rows depend on it; leave it out"
            )
