"""What `prepare` warns of at the door."""

import json
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.real_data import published

from raresmith.config import parse_config
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.stages.context import Context

ODD = (
    "id n", "concat(id, '@example.org') mail", "date_add(DATE'2025-01-01', int(id % 50)) at",
    "concat(elt(int(id % 3) + 1, 'Anna', 'Bea', 'Zoe'), ' ', elt(int(id % 11) + 1, 'Ma', 'Li', 'Su', 'Ra', 'No', 'Ti', "
    "'Po', 'Ke', 'Bo', 'Wu', 'Fi')) full_name",
    "concat('+49 170 ', 1000000 + id % 90) reach",
    "if(id % 10 = 7, -999, int(20 + id % 40)) age", "int(20240101 + id % 28) opened",
    "if(id % 50 = 9, 'n/a', string(id % 100 / 4)) score", "elt(int(id % 4) + 1, '007', '7', '012', '13') branch",
    "1 flag", "CAST(NULL AS DOUBLE) empty", "sin(id) x", "elt(int(id % 3) + 1, 'a', 'b', 'c') shop",
)  # fmt: skip
OF_CLASS = (
    "if(y = 'fraud', 3, int(n % 3)) back",
    "if(pmod(xxhash64(n), 100) < if(y = 'fraud', 80, 5), NULL, cos(n)) income",
)


def test_each_kind_of_oddity_is_told_with_the_setting_that_answers_it(spark: SparkSession, tmp_path: Path) -> None:
    classes = (
        "CASE WHEN id % 400 = 11 THEN 'fruad' WHEN pmod(xxhash64(id, 5), 12) = 0 AND id % 50 NOT BETWEEN 20 AND 29 "
        "THEN 'fraud' ELSE 'legitimate' END y"
    )
    rows = spark.range(0, 2_000, 1, 2).selectExpr(*ODD, classes).selectExpr("*", *OF_CLASS)
    rows.write.parquet(str(tmp_path / "raw"))
    source = {"path": str(tmp_path / "raw"), "label": "y", "key": ["mail"], "timestamp": "at", "ignore": ["full_name"]}
    document: dict[str, Any] = {
        "run": {"name": "r", "warehouse": str(tmp_path / "warehouse")},
        "source": source,
        "split": {"strategy": "hash", "fractions": [0.9, 0.05, 0.05]},
        "evaluate": {"positive": "fraud"},
    }
    config = parse_config(document, tmp_path / "r.toml")
    report = SPARK_STAGES["prepare"](spark, config)
    (note,) = Context(spark=spark, config=config).read("runs").collect()
    warnings = {warning["kind"]: warning for warning in json.loads(note["measures"])["warnings"]}
    found = {kind: [of.get("column", of.get("name", of)) for of in each["found"]] for kind, each in warnings.items()}
    few, days = found.pop("too_few"), found.pop("days_without")
    assert found == {
        "leak": ["back"],
        "class_slip": ["fruad"],
        "personal_feature": ["reach"],
        "personal": ["mail", "full_name"],
        "unique": ["n"],
        "no_value": ["age"],
        "nulls": ["income"],
        "dates_as_numbers": ["opened"],
        "numbers_as_text": ["score"],
        "codes_in_two_ways": ["branch"],
        "constant": ["flag", "empty"],
    }
    assert [of["split"] for of in few] == ["validation", "test"] and all(of["rows"] < of["least"] for of in few)
    assert [(of["first"], of["last"]) for of in days] == [("2025-01-21", "2025-01-30")]
    assert (
        warnings["no_value"]["found"] == [{"column": "age", "value": "-999", "share": 0.1}]
        or 0.08 < (warnings["no_value"]["found"][0]["share"]) < 0.12
    )
    (nulls,) = warnings["nulls"]["found"]
    assert abs(nulls["positives"] - 0.8) < 0.1 and abs(nulls["others"] - 0.05) < 0.03
    assert warnings["leak"]["says"] == (
        "leak? by itself it tells class fraud from all others: back (area under the ROC curve 1.000); if it is not "
        "known before the label, name its column in source.ignore"
    )
    # In the line the first ones, and how many there are beside.
    lines = report.words.splitlines()
    assert lines[-6:-1] == [warning["says"] for warning in warnings.values()][:5]
    assert lines[-1] == "and 8 more warnings, which the report and runs.measures have"


def test_an_ordinary_table_gives_no_false_alarm(spark: SparkSession, tmp_path: Path) -> None:
    document = {
        "run": {"name": "r", "warehouse": str(tmp_path / "warehouse")},
        "source": {"path": str(published("mixed/bank_marketing.parquet")), "label": "label"},
    }
    report = SPARK_STAGES["prepare"](spark, parse_config(document, tmp_path / "r.toml"))
    # pdays is days since the last contact, and -1 for those who were never contacted: so it is.
    (line,) = report.words.splitlines()
    assert line.startswith("stands for no value? pdays (-1 in ") and "prepare.on_null" in line
