"""Each bad value has a stated way to go and a count, and nothing disappears without a word."""

import itertools
import re
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import Config, parse_config
from raresmith.errors import ConfigError, DataError
from raresmith.spark.columns import REASON, ROW_ID
from raresmith.spark.prepare.prepare import Prepared, prepare
from raresmith.spark.prepare.rules import admitted, passed, rule_breaks, told
from raresmith.tables.row_counts import REASONS, reason, told_reason


def config(**sections: Any) -> Config:
    source = {"path": "/data/raw", "label": "y", **sections.pop("source", {})}
    return parse_config({"run": {"name": "r", "warehouse": "w"}, "source": source, **sections}, Path("/conf/a.toml"))


def table(spark: SparkSession, rows: int = 60) -> DataFrame:
    return spark.range(rows).selectExpr("id", "id * 1.5D AS x", "concat('c', id % 3) AS s", "int(id % 5 = 0) AS y")


def bad(df: DataFrame, **values: str) -> DataFrame:
    """`df` with row 7 changed to the SQL expressions `values`."""
    return df.withColumns({name: F.expr(f"IF(id = 7, {value}, {name})") for name, value in values.items()})


def set_aside(prepared: Prepared) -> list[tuple[int | None, str]]:
    return [(row["id"], row["reason"]) for row in prepared.quarantine.select("id", "reason").collect()]


def prepared(df: DataFrame, **sections: Any) -> Prepared:
    return prepare(df, config(**{"source": {"key": ["id"]}, **sections}))


@pytest.mark.parametrize(
    ("change", "settings", "reason", "text"),
    [
        ({"y": "CAST(NULL AS INT)"}, {}, "null_label", "null label"),
        ({"x": "double('Infinity')"}, {}, "infinite:x", "infinite x"),
        ({"x": "-1e300D"}, {}, "infinite:x", "infinite x"),
        ({"x": "CAST(NULL AS DOUBLE)"}, {"on_null": "quarantine"}, "null:x", "null x"),
        ({"s": "CAST(NULL AS STRING)"}, {"on_null": "quarantine"}, "null:s", "null s"),
        ({"x": "double('NaN')"}, {"on_nan": "quarantine"}, "nan:x", "NaN x"),
        ({"id": "CAST(NULL AS BIGINT)"}, {}, "null_key:id", "null key id"),
    ],
)
def test_a_row_that_breaks_a_rule_is_set_aside_with_the_reason(
    spark: SparkSession, change: dict[str, str], settings: dict[str, str], reason: str, text: str
) -> None:
    done = prepared(bad(table(spark), **change), prepare=settings)
    assert done.reasons == {reason: 1}
    assert set_aside(done) == [(None if "id" in change else 7, text)]
    assert done.features.count() == 59


def test_a_row_that_looks_complete_breaks_no_rule(spark: SparkSession) -> None:
    numbers = [1.5, -1e39, 1e39, float("inf"), float("-inf"), float("nan"), None]
    cases = itertools.product([True, False], numbers, ["a", None], [0.0, float("nan"), None])
    rows = [(i if known else None, *values) for i, (known, *values) in enumerate(cases)]
    df = spark.createDataFrame(rows, "id int, x double, s string, y double")
    df = df.select("*", F.col("x").cast("float").alias("f"), F.expr("TRY_CAST(x AS DECIMAL(38, 0))").alias("d"))
    settings = config(source={"key": ["id"]}, prepare={"on_null": "quarantine", "on_nan": "quarantine"})
    rules = rule_breaks(df.schema, settings)
    broken = F.coalesce(*[F.when(F.expr(condition), F.lit(name)) for name, condition in rules.items()])
    found = admitted(df, settings).select(F.coalesce(REASON, F.lit("")), F.coalesce(broken, F.lit(""))).collect()
    assert [row[0] for row in found] == [row[1] for row in found]
    assert {row[0] for row in found} >= {"", "null_label", "null_key:id", "null:x", "nan:x", "infinite:x", "null:s"}


@pytest.mark.parametrize(("value", "setting"), [("CAST(NULL AS DOUBLE)", "on_null"), ("double('NaN')", "on_nan")])
def test_missing_numbers_are_imputed_beside_an_indicator_and_counted(
    spark: SparkSession, value: str, setting: str
) -> None:
    done = prepared(bad(table(spark), x=value))
    assert done.quarantine.count() == 0
    assert done.features.count() == 60
    row = done.features.where("row_id = 7").first()
    assert row is not None
    assert done.replaced == {"null:x": 1}
    if "x_is_null" in row:  # row 7 is a train row
        assert row["x_is_null"] == 3.0


def test_what_is_no_date_among_dates_written_as_numbers_is_filled_in_and_counted(spark: SparkSession) -> None:
    opened = "int(date_format(date_add('2024-02-01', int(id)), 'yyyyMMdd'))"
    df = table(spark).selectExpr("*", f"{opened} AS opened")

    def wrong_in(split: str) -> tuple[bool, dict[str, dict[str, int]]]:
        """Whether the column is taken for dates, and what was counted, with a number that is none in one row."""
        row = prepared(df).features.where(f"split = '{split}'").orderBy("row_id").first()
        assert row is not None
        done = prepared(df.withColumn("opened", F.expr(f"IF(id = {row['row_id']}, 20240230, opened)")))
        (feature,) = [f for f in done.encoder.features if f.source == "opened"]
        assert feature.kind == "numeric"
        return feature.is_day_number, done.set_aside()

    assert wrong_in("test") == (True, {"imputed": {"no_date:opened": 1}})
    assert wrong_in("train") == (False, {})
    assert told_reason("no_date:opened") == "no date opened"


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"x": "CAST(NULL AS DOUBLE)"}, "on_null"),
        ({"x": "double('NaN')"}, "on_nan"),
        ({"x": "double('-Infinity')"}, "on_infinite"),
    ],
)
def test_refuse_stops_with_the_count_and_the_setting(spark: SparkSession, change: dict[str, str], setting: str) -> None:
    with pytest.raises(DataError, match=rf'1 rows of .*prepare.{setting} is "refuse"; mend the rows or'):
        prepared(bad(table(spark), **change), prepare={setting: "refuse"})


def test_rows_that_share_a_key_leave_one(spark: SparkSession) -> None:
    done = prepared(bad(table(spark), id="8L"))
    assert done.reasons == {"duplicate_key": 1}
    assert done.features.where("row_id = 8").count() == 1


@pytest.mark.parametrize(
    ("sql", "classes"),
    [
        ("int(id % 5 = 0)", ("0", "1")),
        ("bigint(id % 5 = 0) + 9", ("9", "10")),
        ("IF(id % 5 = 0, 'fraud', 'fair')", ("fair", "fraud")),
        ("id % 5 = 0", ("false", "true")),
        ("double(id % 5 = 0)", ("0.0", "1.0")),
    ],
)
def test_a_label_may_be_text_boolean_or_whole_numbers(spark: SparkSession, sql: str, classes: tuple[str, str]) -> None:
    done = prepared(table(spark).withColumn("y", F.expr(sql)))
    assert done.encoder.label.classes == classes
    assert done.encoder.label.positive == classes[1]
    assert done.features.where("label = 1").count() == 12


def test_a_positive_class_that_is_not_there_is_refused(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match=r"evaluate.positive is '2', which column 'y' does not hold"):
        prepared(table(spark), evaluate={"positive": "2"})


def test_an_empty_table_is_refused(spark: SparkSession) -> None:
    with pytest.raises(DataError, match="/data/raw has no rows"):
        prepared(table(spark, 0))


def test_a_column_called_like_one_of_ours_is_kept_apart(spark: SparkSession) -> None:
    df = table(spark).withColumnsRenamed({"x": "row_id", "s": "split"}).withColumnRenamed("y", "label")
    done = prepare(df, config(source={"label": "label", "key": ["id"]}))
    assert done.features.columns == ["row_id", "split", "label", "row_id_2", "split_2"]


def test_odd_column_names_go_all_the_way(spark: SparkSession) -> None:
    names = ["a b", "c.d", "e`f", "select", "g-h", "ü"]
    df = spark.range(60).selectExpr(
        "id",
        "int(id % 5 = 0) AS `the label`",
        *[f"id * {i + 1}.5D AS `{n.replace('`', '``')}`" for i, n in enumerate(names)],
    )
    done = prepare(df, config(source={"label": "the label", "key": ["id"]}))
    assert done.encoder.names == ["a_b", "c_d", "e_f", "select", "g_h", "_"]
    assert [f.source for f in done.encoder.features] == names
    assert done.features.count() == 60


def test_only_train_rows_move_the_encoder(spark: SparkSession) -> None:
    """Rule 1: whatever stands in validation and test rows, what is learnt stays the same."""
    df = table(spark, 300)
    split = {row["row_id"]: row["split"] for row in prepared(df).features.select("row_id", "split").collect()}
    outside = [row_id for row_id, name in split.items() if name != "train"]
    poisoned = df.withColumns(
        {
            "x": F.when(F.col("id").isin(outside), 1e9).otherwise(F.col("x")),
            "s": F.when(F.col("id").isin(outside), "new").otherwise(F.col("s")),
        }
    )
    assert prepared(poisoned).encoder == prepared(df).encoder
    touched = df.withColumn("x", F.when(~F.col("id").isin(outside), F.col("x") * 2).otherwise(F.col("x")))
    assert prepared(touched).encoder != prepared(df).encoder


def transactions(spark: SparkSession, rows: int = 600) -> DataFrame:
    """Ten a day, each of one of 20 cards and 8 shops; `back` is what a fraud costs, which is known with the label."""
    return spark.range(rows).selectExpr(
        "id",
        "timestampadd(MINUTE, id * 144, timestamp_ntz'2025-01-01') AS t",
        "pmod(xxhash64(id, 1), 20) AS card",
        "pmod(xxhash64(id, 2), 8) AS shop",
        "id * 1.5D AS x",
        "int(pmod(xxhash64(id, 3), 5) = 0) AS y",
    )


DAYS = {"train": ["2025-01-01", "2025-01-30"], "validation": ["2025-01-31", "2025-02-09"]}
DAYS["test"] = ["2025-02-10", "2025-03-01"]


def test_shares_that_cannot_be_had_are_said_and_counts_are_those_of_the_rows(spark: SparkSession) -> None:
    df = transactions(spark).withColumn("card", F.expr("IF(id % 5 < 3, -1, card)"))
    df = df.withColumn("device", F.expr("IF(id % 10 = 0, 'known', string(id))"))
    for split in (
        {"strategy": "hash"},
        {"strategy": "entity", "entity": "card"},
        {"strategy": "time", **DAYS},
        {"strategy": "time", **DAYS, "known_entity": "device"},
    ):
        source = {"key": ["id"], "timestamp": "t", "ignore": ["card", "shop", "device"]}
        done = prepared(df, source=source, split=split)
        rows = done.features.groupBy("split", "label").count().collect()
        found = {(row["split"], str(row["label"])): row["count"] for row in rows}
        assert done.split is not None
        assert {(name, c): n for name, of in done.split.rows.items() for c, n in of.items()} == found
        said = done.words()
        if split["strategy"] == "entity":
            assert re.search(r"asks for 60 / 20 / 20 %, .* whole values of 'card' .*: one has up to 6\d(\.\d)? %", said)
            assert min(sum(of.values()) for of in done.split.rows.values()) > 40
            assert done.measures["split"]["rows"] == done.split.rows
        else:
            assert "split" not in said and "card" not in said
        done.release()


@pytest.mark.parametrize(
    ("positive", "split", "lacking"),
    [
        ("id IN (7, 8)", {"strategy": "hash"}, "train|validation|test"),
        ("card = 3", {"strategy": "entity", "entity": "card"}, "train|validation|test"),
        ("t < '2025-01-31' AND y = 1 OR t >= '2025-02-10' AND y = 1", {"strategy": "time", **DAYS}, "validation"),
        ("id % 20 = 3 OR shop = 3", {"strategy": "time", **DAYS, "known_entity": "one"}, "test"),
    ],
)
def test_a_split_that_leaves_nothing_to_judge_is_refused(
    spark: SparkSession, positive: str, split: dict[str, Any], lacking: str
) -> None:
    df = transactions(spark).withColumn("one", F.lit("all")).withColumn("y", F.expr(f"int({positive})"))
    source = {"key": ["id"], "timestamp": "t", "ignore": ["card", "shop", "one"]}
    with pytest.raises(DataError, match=rf"the ({lacking}) split has no positive rows .* so nothing can be judged"):
        prepared(df, source=source, split=split, evaluate={"positive": "1"})


def test_a_class_that_a_split_lacks_is_named(spark: SparkSession) -> None:
    done = prepared(table(spark).withColumn("y", F.expr("IF(id < 2, 2, y)")), evaluate={"positive": "1"})
    assert re.search(r"^class '2' has no row in \w+, so that it cannot be judged$", done.words(), re.M)


def with_back(df: DataFrame) -> DataFrame:
    return df.withColumn("back", F.when(F.col("y") == 1, F.col("x") + 1))


def fed_by_labels(strategy: str) -> dict[str, Any]:
    """Sections by which windows look at labels."""
    return {
        "source": {"key": ["id"], "timestamp": "t", "ignore": ["card", "shop", "back"], "label_delay_days": 2},
        "split": {"strategy": strategy, "entity": "card"},
        "prepare": {
            "windows": [
                {"entity": "shop", "days": [7, 30], "risk": True},
                {"entity": "card", "days": [30], "risk": True, "mean": ["back"], "delay_days": 2},
            ]
        },
        "evaluate": {"positive": "1"},
    }


@pytest.mark.parametrize("strategy", ["hash", "entity"])
def test_no_label_of_another_side_reaches_a_train_row(spark: SparkSession, strategy: str) -> None:
    """One test label changed the risk of 359 train rows, and the encoder."""
    df, sections = transactions(spark), fed_by_labels(strategy)
    features = prepared(with_back(df), **sections).features.persist()
    turned = [row["row_id"] for row in features.where("split <> 'train'").select("row_id").collect()]
    assert len(turned) > 200
    other = df.withColumn("y", F.when(F.col("id").isin(turned), 1 - F.col("y")).otherwise(F.col("y")))
    poisoned = prepared(with_back(other), **sections)
    assert poisoned.encoder == prepared(with_back(df), **sections).encoder
    again = poisoned.features.persist()
    assert features.select("row_id", "split").exceptAll(again.select("row_id", "split")).count() == 0
    for split, changed in (("train", False), ("test", True)):
        rows, others = (table.where(f"split = '{split}'").drop("label") for table in (features, again))
        # Of a card on the other side the own labels are seen; under hash nobody's but of train rows.
        assert (rows.exceptAll(others).count() > 0) is (changed and strategy == "entity")
    risks = features.groupBy("split").agg(*[F.max(name).alias(name) for name in features.columns if "risk" in name])
    assert all(row[name] > 0 for row in risks.collect() for name in risks.columns[1:])
    features.unpersist()
    again.unpersist()


def test_no_single_label_of_another_side_moves_a_row_into_train_or_out_of_it(spark: SparkSession) -> None:
    """A cut by the counts of the classes moves with one label."""
    df, sections = with_back(transactions(spark)).persist(), fed_by_labels("hash")
    clean = prepared(df, **sections)
    features = clean.features.toArrow().sort_by("row_id")
    train = features.filter(pc.field("split") == "train")
    assert 300 < train.num_rows < 420
    assert clean.split is not None and sum(clean.split.rows["train"].values()) == train.num_rows
    for split, label in (("validation", 0), ("test", 1)):
        of_both = (pc.field("split") == split) & (pc.field("label") == label)
        row_id = features.filter(of_both)["row_id"][0].as_py()
        turned = df.withColumn("y", F.when(F.col("id") == row_id, 1 - F.col("y")).otherwise(F.col("y")))
        other = prepared(with_back(turned), **sections)
        assert other.encoder == clean.encoder
        assert other.features.toArrow().sort_by("row_id").filter(pc.field("split") == "train") == train
    df.unpersist()


def test_a_mean_of_what_only_one_class_has_is_refused_without_the_delay(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match=r"prepare.windows.mean of card names 'back', which tells the classes of 'y'"):
        prepared(
            with_back(transactions(spark)),
            source={"key": ["id"], "timestamp": "t", "ignore": ["card", "shop", "back"]},
            prepare={"windows": [{"entity": "card", "mean": ["x", "back"]}]},
        )


def test_equal_rows_without_a_key_have_one_side(spark: SparkSession) -> None:
    """24 of 100 pairs had a row in train and one in test."""
    df = table(spark, 100).drop("id")
    rows = prepare(df.unionAll(df), config()).features
    pairs = rows.groupBy("x").agg(F.countDistinct("split").alias("sides"), F.countDistinct("row_id").alias("rows"))
    assert {(row["sides"], row["rows"]) for row in pairs.collect()} == {(1, 2)}
    once = prepare(df, config()).features
    assert once.select("row_id", "split").exceptAll(rows.select("row_id", "split")).count() == 0


def test_features_are_the_same_for_any_partitioning(spark: SparkSession) -> None:
    """Rule 2, of prepare."""
    df = table(spark, 500)
    one = prepared(df.coalesce(1)).features
    for other in (df.repartition(7), df.repartition(3, "s").sortWithinPartitions("x")):
        features = prepared(other).features
        assert one.exceptAll(features).count() == 0
        assert features.exceptAll(one).count() == 0


def test_admission_is_the_same_when_publish_asks_again(spark: SparkSession) -> None:
    df = bad(table(spark), x="double('Infinity')")
    settings = config(source={"key": ["id"]})
    again = passed(df, settings).select(F.col(ROW_ID).alias("row_id"))
    assert again.exceptAll(prepare(df, settings).features.select("row_id")).count() == 0


@pytest.mark.parametrize("source", [{"key": ["id"]}, {"key": ["s", "id"]}, {}])
def test_rows_of_which_none_was_set_aside_need_no_second_judgement(spark: SparkSession, source: dict[str, Any]) -> None:
    df, settings = table(spark).unionAll(table(spark).where("false")), config(source=source)
    spared, judged = (passed(df, settings, none_set_aside=spare) for spare in (True, False))
    assert sorted(map(tuple, spared.select(*df.columns, ROW_ID).collect())) == sorted(map(tuple, judged.collect()))
    # Other ids depend on which rows repeat.
    assert ("coalesce" in spared._jdf.queryExecution().analyzed().toString()) is (source != {"key": ["id"]})


def test_a_reason_is_told_in_spark_as_it_is_told_elsewhere(spark: SparkSession) -> None:
    keys = [
        reason(kind, name) for kind, text in REASONS.items() for name in (["a:b {c}", "x"] if "{}" in text else [""])
    ]
    found = spark.createDataFrame([(key,) for key in keys], "key string").select("key", told(F.col("key")))
    assert dict(map(tuple, found.collect())) == {key: told_reason(key) for key in keys}
    assert told_reason("infinite:a:b {c}") == "infinite a:b {c}"


def test_a_feature_called_like_a_rule_is_refused_like_any_other(spark: SparkSession) -> None:
    df = table(spark).withColumnsRenamed({"x": "label", "s": "key s"})
    for change in ({"label": "CAST(NULL AS DOUBLE)"}, {"`key s`": "CAST(NULL AS STRING)"}):
        (name, value), *_ = change.items()
        broken = df.withColumn(name.strip("`"), F.expr(f"IF(id = 7, {value}, {name})"))
        with pytest.raises(DataError, match=r'prepare.on_null is "refuse"'):
            prepared(broken, prepare={"on_null": "refuse"})
