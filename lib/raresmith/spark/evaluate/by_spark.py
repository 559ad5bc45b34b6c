"""Models that Spark trains one after the other, each on the whole cluster."""

from pyspark.sql import functions as F

from raresmith.spark.evaluate.classifiers.base import Classifier
from raresmith.spark.evaluate.experiment import Experiment, Judged, Model, judge_of


def judge_by_spark(classifier: Classifier, of: Experiment) -> Judged:
    """The scores of a model for each trial; rows are scored when they are read."""
    vectors = classifier.vectors(of.train.real, of.encoder, of.labels[0], of.train.random_state)
    train, rows = of.train.as_vectors(vectors), vectors(of.features.where(F.col("split").isin("validation", "test")))
    train.real.persist()
    models: list[Model] = []
    for strategy in of.strategies:
        learnt_from = train.under(strategy).persist()
        for seed in of.seeds:
            fitted = classifier.fit(learnt_from, of.encoder, seed)
            model = of.model(classifier.name, len(models), classifier.importances(fitted, of.encoder))
            rows = classifier.score(rows, fitted, {name: label for label, name in model.columns.items()})
            models.append(model)
        learnt_from.unpersist()
    train.real.unpersist()
    names = [name for model in models for name in model.columns.values()]
    return Judged(judge=judge_of(classifier), models=models, rows=rows.select("row_id", "split", "label", *names))
