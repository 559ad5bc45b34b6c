"""The raw rows that prepare let pass, for stages that read the raw table again."""

from pyspark.sql import DataFrame

from raresmith.errors import DataError
from raresmith.spark.prepare.rules import passed
from raresmith.spark.source.read import read_source
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context


def prepared_source(ctx: Context) -> str:
    """The identity of the raw table that prepare read in this run; DataError where it is not done."""
    note = ctx.notes.get("prepare")
    if note is None:
        raise DataError(f"prepare of the run {ctx.config.run_id} is not done; run prepare first")
    return str(note["inputs"]["source"])


def passed_rows(ctx: Context, source: str) -> DataFrame:
    """The rows of the raw table `source` that passed the contract, with ROW_ID.

    Judged again only where prepare set some aside.

    Raises
    ------
    DataError
        If the raw table that prepare read is not there any more.
    """
    raw = read_source(ctx.spark, ctx.config.source, source)
    note = ledger.recorded(ctx, ctx.run("prepare", source=source))
    return passed(raw, ctx.config, none_set_aside=note is not None and note["row_counts"].get("quarantine") == 0)
