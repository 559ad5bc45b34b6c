"""The raw rows that prepare let pass, for stages that read the raw table again."""

from pyspark.sql import DataFrame

from raresmith.spark.prepare.rules import passed
from raresmith.spark.prepare.source import read_source
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context


def passed_rows(ctx: Context) -> DataFrame:
    """The raw rows that passed the contract, with ROW_ID; judged again only where prepare set some aside."""
    raw = read_source(ctx.spark, ctx.config.source)
    note = ledger.recorded(ctx, ctx.prepare_run())
    return passed(raw, ctx.config, none_set_aside=note is not None and note["row_counts"].get("quarantine") == 0)
