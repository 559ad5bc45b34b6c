"""oversample: features → synthetic, and removed where rows are taken out."""

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.errors import DataError
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context, stage
from raresmith.tables import contracts
from raresmith.tables.stage_report import StageReport


@stage
def oversample_stage(ctx: Context) -> StageReport:
    """Make rows of the minority classes from the train rows."""
    run = ctx.run("oversample", **ctx.inputs("features"))
    removed = ["removed"] if ctx.config.oversample.removes else []
    if report := ledger.done(ctx, run, *removed):
        return report
    encoder, features = ctx.encoder(), ctx.read_so_far("features")
    made = oversample(features, encoder, ctx.config.oversample, run.random_state, run.run_id, ctx.own)
    rows = {}
    if made.removed is not None:
        rows["removed"] = ctx.write(made.removed, contracts.removed(encoder), run).rows
    written = ctx.write(made.rows, contracts.synthetic(encoder), run)
    made.release()
    _check_parents(ctx)
    words = [
        *_recall_words(made.measures),
        *_sampler_words(made.measures, ctx.read("synthetic"), encoder.label.classes),
        *(f"no rows made: {reason}" for reason in made.left_out),
    ]
    rows = {"synthetic": written.rows, **rows}
    return ledger.finish(ctx, run, written, rows, measures=made.measures, words="\n".join(words))


def _recall_words(measures: dict[str, Any]) -> list[str]:
    """How many of the true neighbours are found, where it is not all."""
    return [
        f"{name if name == 'cleaning' else f'class {name}'}: {found['recall']:.3f} of the true neighbours found, "
        f"in {found['cells']:,} cells"
        for name, found in measures.items()
        if found.get("neighbors", "exact") != "exact"
    ]


def _sampler_words(measures: dict[str, Any], synthetic: DataFrame, classes: tuple[str, ...]) -> list[str]:
    """Where a sampler worked, and how many of the rows are SMOTE's because it refused a cell or made too few."""
    sampled = {name: found for name, found in measures.items() if "sampler" in found}
    if not sampled:
        return []
    counted = synthetic.where(F.col("method") == "smote").groupBy("label").count().collect()
    by_smote = {classes[row["label"]]: row["count"] for row in counted}
    lines = []
    for name, found in sampled.items():
        cells = "one cell" if found["cells"] == 1 else f"{found['cells']:,} cells"
        line = f"class {name}: {found['sampler']} in {cells}"
        if found["kept_of_others"] < 1:
            line += f", which see {found['kept_of_others']:.1%} of the rows of other classes"
        if name in by_smote:
            line += f"; {by_smote[name]:,} rows are smote's, where it refused a cell or made too few"
        lines.append(line)
    return lines


def _check_parents(ctx: Context) -> None:
    """The proof of rule 1: every parent is a train row."""
    strangers = ctx.spark.sql(
        """
        SELECT count(*) AS strangers FROM
          (SELECT base_row_id AS parent FROM {synthetic} UNION ALL SELECT neighbor_row_id FROM {synthetic}) AS parents
        LEFT ANTI JOIN {features} AS train ON train.row_id = parents.parent AND train.split = 'train'
        """,
        synthetic=ctx.read_own("synthetic"),
        features=ctx.read("features"),
    ).first()
    assert strangers is not None
    if strangers["strangers"]:
        raise DataError(
            f"{strangers['strangers']} parents in {ctx.location('synthetic')} are no train rows of "
            f"{ctx.location('features')}; run prepare and oversample again"
        )
