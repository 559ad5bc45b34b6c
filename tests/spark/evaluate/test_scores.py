"""Aggregates of scored rows: nothing lost, and no more rows than are needed."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from raresmith.evaluation.counts import score_counts
from raresmith.evaluation.metrics import exact_figures
from raresmith.spark.evaluate.scores import CardFigures, card_figures, count_pairs, count_scores


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    n = 2000
    positive = (generator.random(n) < 0.05).astype(int)
    return pd.DataFrame(
        {
            "row_id": np.arange(n),
            "split": np.where(generator.random(n) < 0.4, "validation", "test"),
            "label": positive * 2,
            "score_0": (generator.integers(0, 100, n) * 5000 + positive * 200_000),
            "score_1": (generator.integers(0, 1_000_000, n)),
            "positive": positive,
        }
    )


COLUMNS = {"score_0": 2, "score_1": 2}


def test_scores_are_counted_by_column_and_split(spark: SparkSession, frame: pd.DataFrame) -> None:
    found = count_scores(spark.createDataFrame(frame).repartition(3), COLUMNS)
    assert set(found) == {(c, s) for c in ("score_0", "score_1") for s in ("validation", "test")}
    for (column, split), counts in found.items():
        rows = frame[frame.split == split]
        expected = score_counts(rows[column], rows.positive, 1 - rows.positive)
        assert counts.score.tolist() == expected.score.tolist()
        assert counts.positive.tolist() == expected.positive.tolist()
        assert counts.negative.tolist() == expected.negative.tolist()


def test_pairs_keep_both_rankings(spark: SparkSession, frame: pd.DataFrame) -> None:
    test = frame[frame.split == "test"]
    counts = {c: score_counts(test[c], test.positive, 1 - test.positive) for c in ("score_0", "score_1")}
    found = count_pairs(spark.createDataFrame(test), {"score_1": "score_0"}, counts, COLUMNS)["score_1"]
    for levels, column in ((found.first, "score_0"), (found.second, "score_1")):
        again = score_counts(levels, found.positive, found.negative)
        assert exact_figures(again, {}) == pytest.approx(exact_figures(counts[column], {}))


def test_without_pairs_nothing_is_counted(spark: SparkSession, frame: pd.DataFrame) -> None:
    assert count_pairs(spark.createDataFrame(frame), {}, {}, {}) == {}


def test_the_rows_of_one_class_are_positive_where_it_is_scored(spark: SparkSession) -> None:
    rows = [(1, "test", 0, 5, 7), (2, "test", 1, 5, 7), (3, "test", 2, 6, 7), (4, "test", 2, 6, 8)]
    scored = spark.createDataFrame(rows, "row_id long, split string, label int, of_0 long, of_2 long")
    found = count_scores(scored, {"of_0": 0, "of_2": 2})
    first, second = found["of_0", "test"], found["of_2", "test"]
    assert (first.score.tolist(), first.positive.tolist(), first.negative.tolist()) == ([6, 5], [0, 1], [2, 1])
    assert (second.score.tolist(), second.positive.tolist(), second.negative.tolist()) == ([8, 7], [1, 1], [0, 2])


@pytest.mark.parametrize("text", [False, True])
def test_card_precision_equals_a_brute_force(spark: SparkSession, text: bool) -> None:
    generator = np.random.default_rng(11)
    n, top_k = 3000, 4
    frame = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "label": (generator.random(n) < 0.04).astype(int),
            "entity": generator.integers(0, 60, n),
            "day": [date(2018, 8, 28 + d) if d < 4 else date(2018, 9, d - 3) for d in generator.integers(0, 8, n)],
        }
    )
    frame["score_0"] = generator.integers(0, 30, n) * 10_000 + frame.label * 150_000
    frame["entity"] = frame.entity.astype(str)  # ties are decided by the entity's text
    detected: set[str] = set()
    shares = []
    for _, today in frame.groupby("day"):
        cards = today.groupby("entity").agg(score=("score_0", "max"), positive=("label", "max")).reset_index()
        cards = cards[~cards.entity.isin(detected)].sort_values(["score", "entity"], ascending=[False, True])
        hits = cards.head(top_k).query("positive == 1").entity
        detected |= set(hits)
        shares.append(len(hits) / top_k)
    entity = frame.entity if text else frame.entity.astype(int)
    days = spark.createDataFrame(frame[["row_id", "day"]].assign(entity=entity))
    found = card_figures(spark.createDataFrame(frame.drop(columns=["entity", "day"])), days, {"score_0": 1}, top_k)
    assert found.keys() == {"score_0"} and found["score_0"].precision == pytest.approx(np.mean(shares))
    assert 0 < found["score_0"].precision < 1
    assert found["score_0"].n_positive == frame[frame.label == 1].entity.nunique() < frame.entity.nunique()
    assert found["score_0"].n_rows == (frame.label == 1).sum()


def test_rows_without_a_card_are_left_out(spark: SparkSession) -> None:
    scored = spark.createDataFrame([(1, 1, 5), (2, 1, 9), (3, 0, 8)], "row_id long, label int, of_1 long")
    scored = scored.selectExpr("*", "10 - of_1 AS of_0")
    columns = {"of_1": 1, "of_0": 0}
    cards = spark.createDataFrame([(1, "a", 1), (2, None, 1), (3, None, 1)], "row_id long, entity string, day int")
    found = {"of_1": CardFigures(1.0, n_positive=1, n_rows=1), "of_0": CardFigures(0.0, n_positive=0, n_rows=0)}
    assert card_figures(scored, cards, columns, 1) == found
    assert card_figures(scored, cards.where("entity is null"), columns, 1) == {}
