"""Judge what made rows do to a random forest: the same test rows, the same seeds, the baselines beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import RandomForestClassificationModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.config import EvaluateConfig
from raresmith.encoding.encoder import Encoder
from raresmith.errors import ConfigError, DataError
from raresmith.evaluation.metrics import (
    SCORE_STEPS,
    Interval,
    ScoreCounts,
    best_f1_threshold,
    bootstrap_intervals,
    confusion_at,
    paired_differences,
    percentile_interval,
    precision_recall_curve,
    ranking_metrics,
)
from raresmith.evaluation.verdict import COMPARED, Comparison, Evaluation, MetricRow, say_verdict, value_of
from raresmith.spark.evaluate.classifiers.random_forest import (
    Bins,
    fit_bins,
    importances,
    in_fixed_order,
    train_forest,
    with_score,
    with_vectors,
)
from raresmith.spark.evaluate.scores import card_precisions, count_pairs, count_scores
from raresmith.spark.evaluate.strategies import MADE_TABLES, strategy_counts, strategy_rows

CLASSIFIER = "random_forest"
SAMPLE_ROWS = 2000
"""Rows of each origin in the report's scatter, at most."""

ClassRows = Mapping[str, Mapping[int, int]]
"""Rows of each class, by split or by the table of the made ones."""


@dataclass(frozen=True, kw_only=True)
class _Forest:
    """One trained forest; `column` holds its scores."""

    strategy: str
    seed: int
    column: str
    model: RandomForestClassificationModel


def evaluate(
    features: DataFrame,
    synthetic: DataFrame | None,
    refined: DataFrame | None,
    encoder: Encoder,
    config: EvaluateConfig,
    *,
    run_id: str,
    random_state: int,
    removed: DataFrame | None = None,
    cards: DataFrame | None = None,
) -> Evaluation:
    """The figures of a forest for each strategy and seed, and the verdict.

    Forests see train and made rows; thresholds are the best for F1 on the validation rows; the test rows are scored
    once by each forest. No figure depends on how the tables are partitioned.

    Parameters
    ----------
    features, synthetic, refined : the tables of those names; the made ones where a strategy needs them.
    removed : the table of that name, where rows are taken out.
    cards : row_id, entity and day of at least the test rows, for card precision; rows with a null are left out.

    Raises
    ------
    ConfigError
        If evaluate.positive is no class of the table.
    DataError
        If a strategy's table is missing, or a split has no positive or no negative rows.
    """
    made = _made_tables(config, synthetic, refined)
    positive = _positive_label(config, encoder)
    class_rows = _class_rows(features, made if removed is None else {**made, "removed": removed})
    for split in ("train", "validation", "test"):
        _require_both_classes(class_rows.get(split, {}), positive, split, encoder)
    real = features.where(F.col("split") == "train")
    bins = fit_bins(real, encoder, positive, config.max_bins, random_state)
    forests = _train_forests(real, made, removed, class_rows, encoder, bins, config, random_state)
    scored = _scored(features, encoder, bins, forests, positive).persist()
    counts = count_scores(scored, [forest.column for forest in forests])
    test = scored.where(F.col("split") == "test")
    on_test = {forest.column: counts[forest.column, "test"] for forest in forests}
    baselines = {forest.seed: forest.column for forest in forests if forest.strategy == "none"}
    pairs = count_pairs(
        test,
        {f.column: baselines[f.seed] for f in forests if f.strategy != "none" and baselines},
        on_test,
    )
    differences = {column: paired_differences(cells, config.bootstrap, random_state) for column, cells in pairs.items()}
    by_card = {} if cards is None else card_precisions(test, cards, list(on_test), config.top_k)
    scored.unpersist()

    metrics, tuned = [], {}
    for forest in forests:
        validation = counts[forest.column, "validation"]
        tuned[forest.column] = best_f1_threshold(validation)
        figures = _figures(validation, on_test[forest.column], tuned[forest.column], config.bootstrap, random_state)
        if forest.column in by_card:
            figures["test", f"card_precision@{config.top_k}"] = Interval(value=by_card[forest.column])
        if forest.column in differences:
            first, second = (ranking_metrics(on_test[c])[COMPARED] for c in (baselines[forest.seed], forest.column))
            figures["test", f"{COMPARED}_minus_none"] = percentile_interval(second - first, differences[forest.column])
        metrics += [_metric_row(run_id, forest, *key, interval) for key, interval in figures.items()]

    comparisons = tuple(_compare(strategy, forests, metrics, differences) for strategy in config.strategies)
    compared = tuple(c for c in comparisons if c is not None)
    firsts = {forest.strategy: forest.column for forest in reversed(forests)}
    none = value_of(metrics, "none", "test", COMPARED) if baselines else None
    classes = encoder.label.classes
    return Evaluation(
        metrics=tuple(metrics),
        verdict=say_verdict(none, compared, class_rows["test"][positive], sum(class_rows["test"].values())),
        comparisons=compared,
        positive=classes[positive],
        train_rows={
            strategy: _named(strategy_counts(strategy, class_rows["train"], class_rows), classes)
            for strategy in config.strategies
        },
        test_rows=_named(class_rows["test"], classes),
        confusion={s: confusion_at(on_test[firsts[s]], tuned[firsts[s]]) for s in config.strategies},
        curves={s: precision_recall_curve(on_test[firsts[s]]) for s in config.strategies},
        importances={s: _mean_importances(s, forests, encoder) for s in config.strategies},
        samples={
            name: _sample(df.where(F.col("label") == positive), encoder, random_state)
            for name, df in [
                ("real", real),
                *[(s, made[MADE_TABLES[s]]) for s in config.strategies if s in MADE_TABLES and s != "random"],
            ]
        },
    )


def _made_tables(
    config: EvaluateConfig, synthetic: DataFrame | None, refined: DataFrame | None
) -> dict[str, DataFrame]:
    """The made tables that the strategies need, by name."""
    given = {"synthetic": synthetic, "refined": refined}
    made = {}
    for strategy in config.strategies:
        if name := MADE_TABLES.get(strategy):
            table = given[name]
            if table is None:
                raise DataError(
                    f"evaluate.strategies names {strategy!r}, which needs the table {name!r}, and there is none; "
                    "run the stage that makes it, or take the strategy out"
                )
            made[name] = table
    return made


def _positive_label(config: EvaluateConfig, encoder: Encoder) -> int:
    name, classes = config.positive or encoder.label.positive, encoder.label.classes
    if name not in classes:
        raise ConfigError(
            f"evaluate.positive is {name!r}, but the classes of column {encoder.label.name!r} are {list(classes[:20])}"
        )
    return classes.index(name)


def _class_rows(features: DataFrame, made: Mapping[str, DataFrame]) -> dict[str, dict[int, int]]:
    """Rows of each class in each split and made table, in one job."""
    rows = features.select(F.col("split").alias("part"), "label")
    for name, df in made.items():
        rows = rows.unionAll(df.select(F.lit(name), "label"))
    found: dict[str, dict[int, int]] = {}
    for row in rows.groupBy("part", "label").agg(F.count("*").alias("rows")).orderBy("part", "label").collect():
        found.setdefault(row["part"], {})[row["label"]] = row["rows"]
    # A made table may be empty.
    return {**{name: {} for name in made}, **found}


def _require_both_classes(rows: Mapping[int, int], positive: int, split: str, encoder: Encoder) -> None:
    total, positives = sum(rows.values()), rows.get(positive, 0)
    for name, count in (("positive", positives), ("negative", total - positives)):
        if count == 0:
            raise DataError(
                f"the {split} split has no {name} rows (class {encoder.label.classes[positive]!r} of column "
                f"{encoder.label.name!r} is positive) among its {total}, so nothing can be judged; choose other days "
                "or fractions in [split], or another evaluate.positive"
            )


def _train_forests(
    real: DataFrame,
    made: Mapping[str, DataFrame],
    removed: DataFrame | None,
    class_rows: ClassRows,
    encoder: Encoder,
    bins: Bins,
    config: EvaluateConfig,
    random_state: int,
) -> list[_Forest]:
    """A forest for each strategy and seed, in the configuration's order."""
    train, *added = (
        with_vectors(df.select("row_id", "label", *encoder.names), encoder, bins) for df in (real, *made.values())
    )
    train.persist()
    vectors = dict(zip(made, added, strict=True))
    forests: list[_Forest] = []
    for strategy in config.strategies:
        rows = strategy_rows(strategy, train, vectors, removed, class_rows["train"], class_rows, random_state)
        n_rows = sum(strategy_counts(strategy, class_rows["train"], class_rows).values())
        ordered = in_fixed_order(rows, n_rows).persist()
        for seed in config.seeds:
            model = train_forest(ordered, encoder, config, seed)
            forests.append(_Forest(strategy=strategy, seed=seed, column=f"score_{len(forests)}", model=model))
        ordered.unpersist()
    train.unpersist()
    return forests


def _scored(features: DataFrame, encoder: Encoder, bins: Bins, forests: list[_Forest], positive: int) -> DataFrame:
    """row_id, split, positive and the score of every forest, for the validation and test rows."""
    judged = features.where(F.col("split").isin("validation", "test"))
    scored = with_vectors(judged.select("row_id", "split", "label", *encoder.names), encoder, bins)
    for forest in forests:
        scored = with_score(scored, forest.model, positive, forest.column)
    is_positive = (F.col("label") == positive).cast("int").alias("positive")
    return scored.select("row_id", "split", is_positive, *(forest.column for forest in forests))


def _figures(
    validation: ScoreCounts, test: ScoreCounts, tuned: int, n_resamples: int, random_state: int
) -> dict[tuple[str, str], Interval]:
    """The figures of one forest by split and name."""
    thresholds = {"": tuned, "@0.5": SCORE_STEPS // 2}
    figures = {
        (split, name): interval
        for split, counts in (("validation", validation), ("test", test))
        for name, interval in bootstrap_intervals(counts, thresholds, n_resamples, random_state).items()
    }
    figures["validation", "threshold"] = Interval(value=tuned / SCORE_STEPS)
    cells = confusion_at(test, tuned)
    for name in ("true_positive", "false_positive", "false_negative", "true_negative"):
        figures["test", name] = Interval(value=float(getattr(cells, name)))
    return figures


def _metric_row(run_id: str, forest: _Forest, split: str, metric: str, interval: Interval) -> MetricRow:
    low, high = (None if np.isnan(end) else end for end in (interval.low, interval.high))
    return MetricRow(run_id, forest.strategy, CLASSIFIER, split, metric, interval.value, low, high, forest.seed)


def _compare(
    strategy: str, forests: list[_Forest], metrics: list[MetricRow], differences: Mapping[str, NDArray[np.float64]]
) -> Comparison | None:
    """The strategy beside the rows as they are; None for the baseline itself and where there is none."""
    draws = [differences[f.column] for f in forests if f.strategy == strategy and f.column in differences]
    if not draws:
        return None
    # The resamples of all seeds together hold the chance in the rows and the chance in the forests.
    difference = value_of(metrics, strategy, "test", f"{COMPARED}_minus_none").value
    return Comparison(
        strategy=strategy,
        value=value_of(metrics, strategy, "test", COMPARED).value,
        difference=percentile_interval(difference, np.concatenate(draws)),
    )


def _named(rows: Mapping[int, int], classes: tuple[str, ...]) -> dict[str, int]:
    return {name: rows.get(label, 0) for label, name in enumerate(classes)}


def _mean_importances(strategy: str, forests: list[_Forest], encoder: Encoder) -> dict[str, float]:
    found = [importances(forest.model, encoder) for forest in forests if forest.strategy == strategy]
    means = {name: float(np.mean([shares[name] for shares in found])) for name in encoder.names}
    return dict(sorted(means.items(), key=lambda item: (-item[1], item[0])))


def _sample(df: DataFrame, encoder: Encoder, random_state: int) -> NDArray[np.float64]:
    """At most SAMPLE_ROWS rows by hash, shape (rows, features)."""
    order = [F.xxhash64("row_id", F.lit(random_state)), F.col("row_id")]
    rows = df.orderBy(*order).limit(SAMPLE_ROWS).select(*encoder.names).toArrow()
    return np.column_stack([rows.column(name).to_numpy().astype(np.float64) for name in encoder.names])
