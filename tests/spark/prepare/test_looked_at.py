"""Features that tell the class by themselves, on rows that are drawn from all of a table."""

import pytest
from pyspark.sql import SparkSession
from tests.gan.conftest import make_encoder

from raresmith.spark.prepare import leaks as module
from raresmith.spark.prepare.leaks import leaks


def test_some_rows_of_a_large_table_tell_what_all_do(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only rows past the first tell that n1 is no leak; a rare class and rows of other splits are in between.
    rows = spark.range(20_000).selectExpr(
        "id row_id", "int(id % 100 = 0) label", "if(id % 7 = 0, 'test', 'train') split",
        "label + 0.001 * (id % 10) n0",  # and n4 mistakes one row in 300, another number of them in other rows
        "if(id < 15000, label, 1 - label) + 0D n1", "if(split = 'test', 1 - label, label) + 0D n2",
        "pmod(id * 7919, 1000) / 1000 n3", "if(label = 1, 2, int(id % 2)) c0",
        "label + if(pmod(hash(id), 300) = 0, 2, 0) + 0.0001 * (id % 97) n4",
    )  # fmt: skip
    encoder = make_encoder(5, 1)
    expected = {"n0": 1.0, "n2": 1.0, "c0": 1.0}
    of_all = leaks(rows, encoder, 20_000)
    assert 0.99 < of_all.pop("n4") < 1 and of_all == expected
    monkeypatch.setattr(module, "_OTHERS", 300)  # of which an eighth of the rows is drawn first
    of_some = leaks(rows, encoder, 20_000)
    assert {name: area for name, area in of_some.items() if name != "n4"} == expected
    assert leaks(rows.repartition(7), encoder, 20_000) == of_some
