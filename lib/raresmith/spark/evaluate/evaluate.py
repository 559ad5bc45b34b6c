"""Judge what made rows do to classifiers: the same test rows, the same seeds, the baselines beside them."""

from collections.abc import Collection, Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.config import EvaluateConfig
from raresmith.encoding.encoder import Encoder
from raresmith.errors import ConfigError, DataError
from raresmith.evaluation.judgement import BASELINE, ClassScores, Settings, Trial, judge
from raresmith.evaluation.verdict import MACRO, Evaluation, Strategy
from raresmith.spark.evaluate.by_spark import judge_by_spark
from raresmith.spark.evaluate.classifiers.base import FEATURES, Classifier
from raresmith.spark.evaluate.classifiers.registry import configured
from raresmith.spark.evaluate.experiment import Experiment, Judged
from raresmith.spark.evaluate.in_tasks import judge_in_tasks
from raresmith.spark.evaluate.near_duplicates import near_duplicates
from raresmith.spark.evaluate.scores import card_figures, count_pairs, count_scores
from raresmith.spark.evaluate.strategies import strategy_of
from raresmith.spark.evaluate.train_rows import ClassRows, TrainRows
from raresmith.tables.split_counts import SPLITS, require_judged

SAMPLE_ROWS = 2000
"""Rows of each origin in the report's scatter, at most."""


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
    """The figures of a model for each classifier, strategy, seed and class that is judged, and the verdict.

    Judged are the positive class and every other that the made rows are of, each against all others. Models see train
    and made rows; thresholds are the best for F1 on the validation rows; the test rows are scored once by each model.
    No figure depends on how the tables are partitioned.

    Parameters
    ----------
    features, synthetic, refined, removed : the tables of those names, as far as strategies need them.
    cards : row_id, entity and day of at least the test rows, for card precision; rows with a null are left out.

    Raises
    ------
    ConfigError
        If evaluate.positive is no class of the table.
    DataError
        If a strategy's table is missing, or a split has no positive or no negative rows.
    """
    strategies = [strategy_of(name) for name in config.strategies]
    made = _made_tables(strategies, synthetic, refined)
    positive, classes = _positive_label(config, encoder), encoder.label.classes
    class_rows = _class_rows(features, made if removed is None else {**made, "removed": removed})
    judged, not_judged = judged_labels(positive, class_rows, made)
    _require_classes(judged, class_rows, encoder)
    real = features.where(F.col("split") == "train")
    train = TrainRows(real=real, made=made, removed=removed, class_rows=class_rows, random_state=random_state)
    experiment = Experiment(
        train=train, features=features.select("row_id", "split", "label", *encoder.names), strategies=strategies,
        seeds=config.seeds, encoder=encoder, labels=judged,
    )  # fmt: skip
    found = [_judged(classifier, experiment) for classifier in configured(config).values()]
    settings = Settings(
        run_id=run_id, n_resamples=config.bootstrap, top_k=config.top_k, random_state=random_state,
        is_binary=len(classes) == 2 and len(judged) == 1)  # fmt: skip
    metrics, judgements = judge(_trials(found, encoder, cards, config.top_k), [of.judge for of in found], settings)
    evaluation = Evaluation(
        metrics=metrics,
        judgements=judgements,
        strategies={of.name: of for of in strategies},
        judged=tuple(classes[label] for label in judged),
        not_judged={classes[label]: split for label, split in not_judged.items()},
        train_rows={of.name: _named(train.counts(of), classes) for of in strategies},
        test_rows=_named(class_rows["test"], classes),
        near_duplicates=near_duplicates(features, encoder, positive),
        samples=_samples(experiment, random_state),
    )
    experiment.unpersist()
    return evaluation


def _made_tables(
    strategies: Sequence[Strategy], synthetic: DataFrame | None, refined: DataFrame | None
) -> dict[str, DataFrame]:
    """The made tables that the strategies need, by name."""
    given = {"synthetic": synthetic, "refined": refined}
    made = {}
    for strategy in strategies:
        if name := strategy.made_table:
            table = given[name]
            if table is None:
                raise DataError(
                    f"evaluate.strategies names {strategy.name!r}, which needs the table {name!r}, and there is none; "
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


def judged_labels(positive: int, class_rows: ClassRows, made: Collection[str]) -> tuple[list[int], dict[int, str]]:
    """Labels of the classes to judge, the positive one first, and those of others with the split that lacks them."""
    others = sorted({label for name in made for label, rows in class_rows[name].items() if rows} - {positive})
    lacking = {
        label: split for label in others for split in reversed(SPLITS) if not class_rows.get(split, {}).get(label)
    }
    return [positive, *(label for label in others if label not in lacking)], lacking


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


def _require_classes(judged: Sequence[int], class_rows: ClassRows, encoder: Encoder) -> None:
    """Each split must have rows of the positive class and others; and `metrics` tells the mean from a class by name."""
    if len(judged) > 1 and MACRO in encoder.label.classes:
        raise DataError(
            f"column {encoder.label.name!r} has the class {MACRO!r}, which is what the mean over the classes is called "
            "in the table metrics; call the class by another name"
        )
    rows = {split: _named(class_rows.get(split, {}), encoder.label.classes) for split in SPLITS}
    require_judged(rows, encoder.label.name, encoder.label.classes[judged[0]])


def _judged(classifier: Classifier, of: Experiment) -> Judged:
    """What a classifier finds, each of its models in one task where the rows are few enough for that."""
    few = classifier.in_task(of.train.most_rows(of.strategies), of.encoder, of.labels[0])
    if few is None:
        return judge_by_spark(classifier, of)
    of.persist()
    return judge_in_tasks(classifier, few, of)


def _trials(found: Sequence[Judged], encoder: Encoder, cards: DataFrame | None, top_k: int) -> list[Trial]:
    """What the figures need of every model, counted in few passes over the scored rows."""
    models = [model for of in found for model in of.models]
    scored = reduce(lambda rows, more: rows.join(more.drop("split", "label"), "row_id"), [of.rows for of in found])
    scored = scored.persist()
    labels = {column: label for of in models for label, column in of.columns.items()}
    counts = count_scores(scored, labels)
    test = scored.where(F.col("split") == "test")
    baselines = {(of.classifier, of.seed): of.columns for of in models if of.strategy == BASELINE}
    compared = [of for of in models if of.strategy != BASELINE and baselines]
    pairs = count_pairs(
        test,
        {column: baselines[of.classifier, of.seed][label] for of in compared for label, column in of.columns.items()},
        {column: counts[column, "test"] for column in labels},
        labels,
    )
    by_card = {} if cards is None else card_figures(test, cards, labels, top_k)
    for df in (scored, *(df for of in found for df in of.cached)):
        df.unpersist()

    def scores_of(column: str) -> ClassScores:
        of_cards = by_card.get(column)
        return ClassScores(
            validation=counts[column, "validation"],
            test=counts[column, "test"],
            beside_baseline=pairs.get(column),
            # A row without a card is one by itself.
            n_entities=counts[column, "test"].n_positive - of_cards.n_rows + of_cards.n_positive if of_cards else None,
            card_precision=of_cards.precision if of_cards else None,
        )

    return [
        Trial(
            classifier=of.classifier,
            strategy=of.strategy,
            seed=of.seed,
            classes={encoder.label.classes[label]: scores_of(column) for label, column in of.columns.items()},
            importances=of.importances,
        )
        for of in models
    ]


def _named(rows: Mapping[int, int], classes: tuple[str, ...]) -> dict[str, int]:
    return {name: rows.get(label, 0) for label, name in enumerate(classes)}


def _samples(of: Experiment, random_state: int) -> dict[str, NDArray[np.float64]]:
    """At most SAMPLE_ROWS rows of the judged classes by hash, shape (rows, features): real ones and those made."""
    origins = {"real": of.arrays["features"].where(F.col("split") == "train")}
    origins |= {strategy.name: of.arrays[strategy.made_table] for strategy in of.strategies if strategy.adds_made_rows}
    order = [F.xxhash64("row_id", F.lit(random_state)), F.col("row_id")]
    found = {}
    for name, df in origins.items():
        chosen = df.where(F.col("label").isin(list(of.labels))).orderBy(*order).limit(SAMPLE_ROWS)
        rows = chosen.select(FEATURES).toArrow()[FEATURES].combine_chunks()
        found[name] = rows.flatten().to_numpy().astype(np.float64).reshape(len(rows), -1)
    return found
