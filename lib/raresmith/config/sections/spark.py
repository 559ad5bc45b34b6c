"""`[spark]`: the session."""

from typing import ClassVar

from pydantic import Field

from raresmith.config.section import Positive, Section


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
    """Further Spark settings, such as the S3 endpoint."""
