"""publish: raw table, synthetic and refined → augmented."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from raresmith.errors import ConfigError, Key
from raresmith.spark.columns import ROW_ID, raw_columns
from raresmith.spark.evaluate.strategies import made_table
from raresmith.spark.publish.publish import as_originals, published_schema, raw_schema, told_names, valid_rows
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context, stage
from raresmith.spark.stages.passed import passed_rows, prepared_source
from raresmith.tables import contracts
from raresmith.tables.row_counts import COPIES, TAKEN_OUT
from raresmith.tables.stage_report import StageReport


@stage
def publish_stage(ctx: Context) -> StageReport:
    """Write original and made rows in the raw schema."""
    origin = ctx.config.publish.source
    parents = ["synthetic"] if origin == "refined" else []
    removed = ["removed"] if ctx.config.oversample.removes else []
    inputs = ctx.inputs(made_table(origin), "features", *parents, *removed)
    source = prepared_source(ctx)
    run = ctx.run("publish", source=source, **inputs)
    if report := ledger.done(ctx, run):
        return report
    encoder, made = ctx.encoder(), ctx.read_own(made_table(origin))
    if origin == "refined":
        bases = ctx.read("synthetic").select(F.col("row_id").alias("synthetic_row_id"), "base_row_id")
        made = made.join(bases, "synthetic_row_id", "left")
    features, passed = ctx.read("features"), passed_rows(ctx, source)
    if ctx.own:
        # Without those that an earlier run had brought already.
        passed = _only(passed, features.where(ctx.own), "left_semi")
    valid = valid_rows(made, passed, features, encoder, ctx.config)
    originals, counts = _originals(ctx, passed, features)
    out = valid.rows
    if originals is not None:
        out = as_originals(originals, encoder, run.run_id).unionByName(out)
    schema = published_schema(encoder, ctx.config)
    check_names(ctx, schema)
    contract = contracts.augmented(raw_columns(schema))
    out = out.withColumnsRenamed(dict(zip(raw_schema(encoder).names, schema.names, strict=True)))
    written = ctx.write(out, contract, run)
    valid.release()
    counted = ctx.read_own("augmented").groupBy("origin").count().collect()
    by_origin = {row["origin"]: int(row["count"]) for row in sorted(counted)}
    copies = valid.n_made - sum(valid.left_out.values()) - by_origin.get(origin, 0)
    rows = {"augmented": written.rows, **by_origin, COPIES: copies, **valid.left_out, **counts}
    words = "\n".join(filter(None, [valid.words(), told_names(schema)]))
    return ledger.finish(ctx, run, written, rows, measures=valid.measures, words=words)


def check_names(ctx: Context, schema: StructType) -> None:
    """Refuse to call columns otherwise than the days before did, whose rows stay."""
    if not ctx.own or not ctx.exists("augmented"):
        return
    others = ctx.read("augmented").where(f"NOT ({ctx.own})")
    if (lacking := sorted(set(schema.names) - set(others.columns))) and not others.isEmpty():
        raise ConfigError(
            "{key} is {names!r}, but earlier runs published without the columns {lacking} that come of it; set it "
            "back, or take another {warehouse}",
            key=Key("publish.names"),
            names=ctx.config.publish.names,
            lacking=lacking,
            warehouse=Key("run.warehouse"),
        )


def _originals(ctx: Context, passed: DataFrame, features: DataFrame) -> tuple[DataFrame | None, dict[str, int]]:
    """The original rows to publish, or None, and how many were taken out of them."""
    if ctx.config.publish.originals == "none":
        return None, {}
    if ctx.config.publish.originals == "train":
        passed = _only(passed, features.where(F.col("split") == "train"), "left_semi")
    if not ctx.config.oversample.removes:
        return passed, {}
    removed = ctx.read("removed")
    return _only(passed, removed, "left_anti"), {TAKEN_OUT: removed.count()}


def _only(rows: DataFrame, ids: DataFrame, how: str) -> DataFrame:
    """The `rows` whose ROW_ID is, or by "left_anti" is not, a row_id of `ids`."""
    return rows.join(ids.select(F.col("row_id").alias(ROW_ID)), ROW_ID, how)
