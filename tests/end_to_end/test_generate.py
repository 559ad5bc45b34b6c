"""Rows made by the saved model of a finished run fit the raw table that the run began with."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.deploy.small_run import DAY

from raresmith.cli import main
from raresmith.config import Config, load_config
from raresmith.encoding.encoder import Encoder
from raresmith.spark.encoding.decode import decode


def test_rows_have_the_raw_schema_and_are_those_of_refined_as_spark_decodes_them(
    finished_run: Config, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # By a GAN, which makes a row's numbers of its synthetic row alone.
    folder, day = tmp_path / "run", ("--logical-date", DAY)
    shutil.copytree(finished_run.path.parent, folder)
    config = folder / finished_run.path.name
    text = config.read_text().replace(str(finished_run.path.parent), str(folder))
    config.write_text(text.replace("[refine]", '[refine]\nmodel = "gan"'))
    warehouse = Path(load_config(config, day[1]).run.warehouse)
    assert main(["refine", str(config), *day]) == 0
    output = ("--num-samples", "100", "--output", str(tmp_path / "made"))
    assert main(["generate", str(config), *day, *output]) == 0
    assert "100 made ·" in capsys.readouterr().out
    made = spark.read.format("delta").load(str(tmp_path / "made"))
    raw = spark.read.format("delta").load(finished_run.source.path)
    assert made.dtypes == raw.dtypes
    counts = made.agg(*[F.count(F.col(f"`{name}`")).alias(name) for name in made.columns]).first()
    assert counts is not None
    row = counts.asDict()
    assert {row[name] for name in (*finished_run.source.key, *finished_run.source.ignore)} == {0}
    assert row["is_fraud"] == row["amount"] == 100

    document = spark.read.format("delta").load(str(warehouse / "encoder")).first()
    assert document is not None
    encoder = Encoder.from_json(document["document"])
    numbers = [f.source for f in encoder.features if f.kind == "numeric" and not f.made and not f.state]
    assert "amount" in numbers
    refined = spark.read.format("delta").load(str(warehouse / "refined"))
    columns = decode(refined, encoder, clamp=True)
    by_spark = refined.select(*[columns[name].alias(name) for name in numbers])
    assert made.select(*numbers).exceptAll(by_spark).count() == 0
