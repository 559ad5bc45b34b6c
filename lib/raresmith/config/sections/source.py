"""`[source]`: the raw table."""

import warnings
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from raresmith.config.section import Natural, Section
from raresmith.config.sections.source_options import SourceOptions
from raresmith.errors import ConfigError

with warnings.catch_warnings():
    # pydantic's own `schema`, a method that has another name today, is not missed.
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class SourceConfig(Section):
        """`[source]`: the raw table."""

        section: ClassVar[str] = "source"

        path: str
        """File, folder or URL, for the format "table" a name in Spark's catalogs; `${NAME}` and `${NAME:-default}` are
        taken from the environment, `{logical_date}` from the run; a relative path counts from the configuration
        file."""
        label: str
        """Column that holds the class: text, boolean or whole numbers. Rows without one, which is null, NaN or text
        that is empty or blank, go to quarantine."""
        format: Literal["parquet", "csv", "json", "excel", "delta", "iceberg", "table"] = "parquet"
        """Format of the raw table: "json" has one object a line, "excel" is a sheet of an .xlsx workbook, "table" any
        table or view that Spark knows by its name."""
        schema: str = ""  # type: ignore[assignment]
        """Spark DDL of the columns that must be there, such as "amount DOUBLE, country TEXT"; empty takes those of the
        table. For CSV, JSON and Excel it saves the pass that infers types. A missing, extra or retyped column is
        refused; of JSON one that no line has is null."""
        key: tuple[str, ...] = ()
        """Columns that identify a row; empty takes the whole row."""
        timestamp: str = ""
        """Column that says when the row happened; needed by a split in time, windows and calendar features."""
        label_delay_days: Natural = 0
        """Days until a label is known, from which split and windows follow: both wait at least so long. 0 takes
        split.delay_days."""
        ignore: tuple[str, ...] = ()
        """Columns that are no features: identifiers, and what gives the label away. Made rows have none of them, or
        their base row's (publish.carried)."""
        options: SourceOptions = Field(default_factory=SourceOptions)
        """How text files and workbooks are written."""

        def mistakes(self) -> Iterator[ConfigError]:
            """An empty name, or options of another format."""
            if not self.label:
                yield ConfigError("source.label must name the column of the class, got ''")
            if unfit := self.options.not_for(self.format):
                yield ConfigError(
                    f"source.format is {self.format!r}, of which [source.options] cannot say {' and '.join(unfit)}; "
                    f"leave {'it' if len(unfit) == 1 else 'them'} out"
                )

        @property
        def is_named(self) -> bool:
            """Whether `path` is a name in Spark's catalogs instead of a place."""
            return self.format == "table"

        @property
        def has_malformed(self) -> bool:
            """Whether records or values of the files may be malformed."""
            return self.format in ("csv", "json", "excel")
