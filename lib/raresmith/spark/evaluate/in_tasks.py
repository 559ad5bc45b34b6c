"""Models that each take one task: what they learn from and score comes to it, and their scores go back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.evaluation.counts import SCORE_STEPS
from raresmith.evaluation.forest import Labelled
from raresmith.spark.evaluate.classifiers.base import FEATURES, WEIGHT, Classifier, InTask, TaskModel
from raresmith.spark.evaluate.experiment import Experiment, Judged, Model, judge_of

_MODEL = "__model"
_FOUND = pa.schema(
    [
        (_MODEL, pa.int32()),
        ("row_id", pa.int64()),
        ("split", pa.string()),
        ("label", pa.int32()),
        ("scores", pa.list_(pa.int64())),
        ("importances", pa.list_(pa.float64())),
    ]
)
"""What a task gives back: a line for each row that it scored, in millionths, and one of the importances alone."""
_FOUND_IN_SPARK = (
    f"{_MODEL} int, row_id bigint, split string, label int, scores array<bigint>, importances array<double>"
)


def judge_in_tasks(classifier: Classifier, few: InTask, of: Experiment) -> Judged:
    """The scores of a model for each trial, all in one job."""
    sent, labels, n_classes = _sent(of), list(of.labels), len(of.encoder.label.classes)
    model, seeds = few.model, [seed for _, seed in of.trials]

    def scored(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _judge(batches, model, seeds, labels, n_classes)

    found = sent.mapInArrow(scored, _FOUND_IN_SPARK).persist()
    importances = {
        row[_MODEL]: dict(zip(of.encoder.names, row["importances"], strict=True))
        for row in found.where("row_id IS NULL").collect()
    }
    models = [of.model(classifier.name, number, importances[number]) for number in range(len(seeds))]
    return Judged(
        judge=replace(judge_of(classifier), title=few.title, remarks=few.remarks),
        models=models,
        rows=_by_row(found.where("row_id IS NOT NULL"), models, labels),
        cached=[found],
    )


def _sent(of: Experiment) -> DataFrame:
    """The real rows of all splits for each model, and those that it learns from, which have no split.

    A model's rows are a partition, in an order that follows from them alone.
    """
    real = of.arrays["features"]
    train = replace(
        of.train,
        real=real.where(F.col("split") == "train").drop("split"),
        made={name: of.arrays[name] for name in of.train.made},
    )
    numbers = range(len(of.trials))
    no_split = F.lit(None).cast("string").alias("split")
    rows = real.select(_each(numbers), "row_id", "split", "label", F.lit(1.0).alias(WEIGHT), FEATURES)
    for strategy in of.strategies:
        its = _each([number for number in numbers if of.trials[number][0] is strategy])
        rows = rows.unionAll(train.chosen(strategy).select(its, "row_id", no_split, "label", WEIGHT, FEATURES))
    return rows.repartitionById(len(of.trials), F.col(_MODEL)).sortWithinPartitions("row_id")


def _each(numbers: Sequence[int]) -> Any:
    """A row for each of the models `numbers`."""
    return F.explode(F.array(*map(F.lit, numbers))).alias(_MODEL)


def _judge(
    batches: Iterator[pa.RecordBatch], model: TaskModel, seeds: Sequence[int], labels: Sequence[int], n_classes: int
) -> Iterator[pa.RecordBatch]:
    """_FOUND, of the one model whose rows these are, as `_sent` orders them."""
    parts: dict[str, list[Labelled]] = {"train": [], "judged": [], "learnt": []}
    keys: list[pa.RecordBatch] = []
    for batch in batches:
        # Taken apart as they come, so that no more than one copy of the rows is held at a time.
        x = batch[FEATURES].flatten().to_numpy().reshape(batch.num_rows, -1)
        split = pc.fill_null(batch["split"], "learnt")
        judged = pc.is_in(split, pa.array(["validation", "test"]))
        for name, chosen in (
            ("train", pc.equal(split, "train")),
            ("judged", judged),
            ("learnt", pc.equal(split, "learnt")),
        ):
            of = chosen.to_numpy(zero_copy_only=False)
            parts[name].append(Labelled(x[of], batch["label"].to_numpy()[of], batch[WEIGHT].to_numpy()[of]))
        keys.append(batch.select([_MODEL, "row_id", "split", "label"]).filter(judged))
    if not keys:
        return
    real, judged_rows, train = (_joined(parts.pop(name)) for name in ("train", "judged", "learnt"))
    rows = pa.Table.from_batches(keys)
    number = next(key[_MODEL][0].as_py() for key in keys if key.num_rows)
    found = model.judge(real, train, judged_rows.x, n_classes, seeds[number])
    millionths = np.floor(found.probabilities[:, labels] * SCORE_STEPS + 0.5).astype(np.int64)
    n = rows.num_rows
    scores = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * len(labels), millionths.ravel())
    of_rows = rows.append_column("scores", scores).append_column("importances", pa.nulls(n, pa.list_(pa.float64())))
    of_model: dict[str, list[Any]] = {name: [None] for name in _FOUND.names}
    of_model |= {_MODEL: [number], "importances": [found.importances]}
    yield from of_rows.cast(_FOUND).to_batches()
    yield from pa.table(of_model, _FOUND).to_batches()


def _joined(parts: list[Labelled]) -> Labelled:
    return Labelled(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _by_row(found: DataFrame, models: Sequence[Model], labels: Sequence[int]) -> DataFrame:
    """row_id, split, label and the score columns of all models."""
    scores = [
        F.max(F.when(F.col(_MODEL) == number, F.col("scores")[labels.index(label)])).alias(column)
        for number, model in enumerate(models)
        for label, column in model.columns.items()
    ]
    return found.groupBy("row_id", "split", "label").agg(*scores)
