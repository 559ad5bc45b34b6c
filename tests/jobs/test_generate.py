"""Rows made on Spark's executors are those of the plain door, to the bit."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jobs.generate import main
from pyspark.sql import SparkSession
from tests.gan.conftest import Warehouse, make_encoder

from raresmith.cli import main as raresmith
from raresmith.gan.generation.generate import BLOCK
from raresmith.gan.train import main as refine
from raresmith.generators.registry import GENERATORS


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Warehouse]:
    """A warehouse with a model of each kind that starts from noise, and one that starts from synthetic rows."""
    made = {}
    for model in (*GENERATORS, "from synthetic"):
        latent = 'model = "gan"' if model == "from synthetic" else f'model = "{model}"\nlatent = "noise"'
        folder = tmp_path_factory.mktemp("house") / model
        made[model] = Warehouse(folder, make_encoder(3, 2, ("good", "bad", "worse")), f"steps = 5\n{latent}")
        made[model].write_features({0: 50, 1: 40, 2: 30})
        made[model].write_synthetic({1: 60, 2: 30})
        assert refine([str(made[model].config_path)]) == 0
    return made


@pytest.mark.parametrize("model", GENERATORS)
def test_the_executors_make_the_rows_of_the_plain_door_to_the_bit(
    model: str, houses: dict[str, Warehouse], spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = f"{houses[model].table('models')}/r"
    more = ["--where", "c0=b", "--where", "n0=0.125", "--class", "worse"] if model == "redraw" else []
    words = [folder, "--num-samples", str(2 * BLOCK + 77), "--seed", "3", *more, "--output"]
    assert main([*words, str(tmp_path / "table")]) == 0
    assert f"{2 * BLOCK + 77:,} made" in capsys.readouterr().out
    assert raresmith(["generate", *words, str(tmp_path / "rows.parquet")]) == 0
    by_spark = spark.read.format("delta").load(str(tmp_path / "table"))
    plain = pq.read_table(tmp_path / "rows.parquet")
    assert by_spark.columns == plain.column_names
    assert by_spark.dtypes == spark.read.parquet(str(tmp_path / "rows.parquet")).dtypes
    order = [(name, "ascending") for name in plain.column_names if name != "memo"]
    one, other = by_spark.drop("memo").toArrow().sort_by(order), plain.drop("memo").sort_by(order)
    assert one.equals(other.cast(one.schema))


def test_what_cannot_be_made_is_refused_before_spark_writes(
    houses: dict[str, Warehouse], spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, more, sentence in (
        ("from synthetic", [], "gan, small, from synthetic, needs the synthetic rows of its run"),
        ("vae", ["--class", "best"], "--class is 'best' but the model makes the classes ['bad', 'worse']"),
        ("vae", ["--where", "n0"], "--where must be COLUMN=VALUE"),
    ):
        folder = f"{houses[model].table('models')}/r"
        assert main([folder, "--num-samples", "5", *more, "--output", str(tmp_path / "table")]) == 2
        assert f"raresmith: {sentence}" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere"), "--num-samples", "5", "--output", str(tmp_path / "table")]) == 2
    assert "there is no model in" in capsys.readouterr().err
    assert not (tmp_path / "table").exists()
    folder = f"{houses['vae'].table('models')}/r"
    for place in (folder, str(tmp_path / "run.toml"), ""):
        (tmp_path / "run.toml").write_text("kept")
        assert main([folder, "--num-samples", "5", "--output", place]) == 2
        assert f"raresmith: {place!r} is, or holds, something else than a Delta table" in capsys.readouterr().err
    assert (tmp_path / "run.toml").read_text() == "kept"
