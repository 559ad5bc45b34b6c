"""Aggregates of scored rows: nothing lost, and no more rows than are needed."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from raresmith.evaluation.counts import score_counts
from raresmith.evaluation.metrics import exact_figures
from raresmith.spark.evaluate.scores import card_precisions, count_pairs, count_scores


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    n = 2000
    positive = (generator.random(n) < 0.05).astype(int)
    return pd.DataFrame(
        {
            "row_id": np.arange(n),
            "split": np.where(generator.random(n) < 0.4, "validation", "test"),
            "positive": positive,
            "score_0": (generator.integers(0, 100, n) * 5000 + positive * 200_000),
            "score_1": (generator.integers(0, 1_000_000, n)),
        }
    )


def test_scores_are_counted_by_column_and_split(spark: SparkSession, frame: pd.DataFrame) -> None:
    found = count_scores(spark.createDataFrame(frame).repartition(3), ["score_0", "score_1"])
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
    found = count_pairs(spark.createDataFrame(test), {"score_1": "score_0"}, counts)["score_1"]
    for levels, column in ((found.first, "score_0"), (found.second, "score_1")):
        again = score_counts(levels, found.positive, found.negative)
        assert exact_figures(again, {}) == pytest.approx(exact_figures(counts[column], {}))


def test_without_pairs_nothing_is_counted(spark: SparkSession, frame: pd.DataFrame) -> None:
    assert count_pairs(spark.createDataFrame(frame), {}, {}) == {}


@pytest.mark.parametrize("text", [False, True])
def test_card_precision_equals_a_brute_force(spark: SparkSession, text: bool) -> None:
    generator = np.random.default_rng(11)
    n, top_k = 3000, 4
    frame = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "positive": (generator.random(n) < 0.04).astype(int),
            "entity": generator.integers(0, 60, n),
            "day": [date(2018, 8, 28 + d) if d < 4 else date(2018, 9, d - 3) for d in generator.integers(0, 8, n)],
        }
    )
    frame["score_0"] = generator.integers(0, 30, n) * 10_000 + frame.positive * 150_000
    frame["entity"] = frame.entity.astype(str)  # ties are decided by the entity's text
    detected: set[str] = set()
    shares = []
    for _, today in frame.groupby("day"):
        cards = today.groupby("entity").agg(score=("score_0", "max"), positive=("positive", "max")).reset_index()
        cards = cards[~cards.entity.isin(detected)].sort_values(["score", "entity"], ascending=[False, True])
        hits = cards.head(top_k).query("positive == 1").entity
        detected |= set(hits)
        shares.append(len(hits) / top_k)
    entity = frame.entity if text else frame.entity.astype(int)
    days = spark.createDataFrame(frame[["row_id", "day"]].assign(entity=entity))
    found = card_precisions(spark.createDataFrame(frame.drop(columns=["entity", "day"])), days, ["score_0"], top_k)
    assert found == {"score_0": pytest.approx(np.mean(shares))}
    assert 0 < found["score_0"] < 1


def test_rows_without_a_card_are_left_out(spark: SparkSession) -> None:
    scored = spark.createDataFrame([(1, 1, 5), (2, 1, 9)], "row_id long, positive int, score_0 long")
    cards = spark.createDataFrame([(1, "a", 1), (2, None, 1)], "row_id long, entity string, day int")
    assert card_precisions(scored, cards, ["score_0"], 1) == {"score_0": 1.0}
    assert card_precisions(scored, cards.where("entity is null"), ["score_0"], 1) == {}
