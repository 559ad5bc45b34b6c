"""From a table to a configuration and a verdict, by one command and without a file to write."""

import re
import tomllib
from pathlib import Path

import pytest
from openpyxl import Workbook
from pyspark.sql import DataFrame, SparkSession

from raresmith.cli import main
from raresmith.config import load_config
from raresmith.spark.before.start import begin, sampled
from raresmith.starting.roles import Told

ROWS = 900


def cards(spark: SparkSession) -> DataFrame:
    """Cards' payments of thirty days; of each the tenth is fraud, and larger."""
    return spark.range(ROWS).selectExpr(
        "id payment_id",
        "id % 83 customer_id",
        "timestamp_seconds(1735689600 + id * 2880) paid_at",
        "round(abs(hash(id) % 5000) / 100 + IF(id % 10 = 3, 20, 0), 2) amount",
        "concat('k', pmod(hash(id, 7), 4)) kind",
        "int(id % 10 = 3) is_fraud",
    )


def written(rows: DataFrame, format: str, folder: Path) -> str:
    """Where the table of that format lies, or what it is called."""
    path = folder / "my cards"
    if format == "table":
        rows.write.mode("overwrite").saveAsTable("default.cards")
        return "default.cards"
    if format == "excel":
        book = Workbook()
        book.active.append(rows.columns)
        for row in rows.withColumn("paid_at", rows.paid_at.cast("timestamp_ntz")).collect():
            book.active.append([*row])
        book.save(path.with_suffix(".xlsx"))
        return str(path.with_suffix(".xlsx"))
    rows.repartition(3).write.format(format).option("header", True).save(str(path))
    return str(path)


@pytest.mark.parametrize("format", ["parquet", "delta", "csv", "json", "excel", "table"])
def test_the_columns_of_a_table_are_told_and_written_with_a_split_in_time(
    spark: SparkSession, tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table, file = written(cards(spark), format, tmp_path), tmp_path / "c.toml"
    assert main(["init", table, "--label", "is_fraud", "--output", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Looking at {table} ...\n")
    assert f"{ROWS} rows, 6 columns" in said
    assert "split by time, as it will be used: train 2025-01-01 to 2025-01-18" in said
    config = load_config(file)
    source = config.source
    assert (source.format, source.path) == (format, table)
    assert (source.key, source.timestamp, source.ignore) == (("payment_id",), "paid_at", ("customer_id",))
    assert config.split.test == ("2025-01-25", "2025-01-30")
    assert main(["plan", str(file)]) == 0
    assert f"{ROWS} rows (0: 810, 1: 90; positive '1')" in capsys.readouterr().out
    # What is there is not written over.
    assert main(["init", table, "--label", "is_fraud", "--output", str(file)]) == 2
    assert f"{file} is there already; name another file by --output, or delete it" in capsys.readouterr().err


def test_one_command_ends_with_a_verdict_on_a_sample(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cards(spark).coalesce(1).write.parquet(str(tmp_path / "cards"))
    file = tmp_path / "cards.toml"
    told = ["--label", "is_fraud", "--entity", "customer_id", "--output", str(file), "--minutes", "0.007"]
    assert main(["try", str(tmp_path / "cards"), *told]) == 0
    said = capsys.readouterr().out
    assert "Written: " + str(tmp_path / "cards-try.toml") in said
    assert "Verdict: " in said
    assert said.endswith(f"Next: change what is wrong in {file}, then raresmith run {file}\n")
    assert (tmp_path / "cards-try-warehouse" / "report" / "cards-try.html").exists()
    document = tomllib.loads((tmp_path / "cards-try.toml").read_text())
    assert document["source"]["path"] == "cards-sample"
    sample, whole = (spark.read.parquet(str(tmp_path / name)) for name in ("cards-sample", "cards"))
    assert 400 < sample.count() < ROWS
    # Whole customers.
    kept = whole.join(sample.select("customer_id").distinct(), "customer_id").count()
    assert kept == sample.count()


def test_a_german_export_is_read_as_it_is_written(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        f"{row['amount']:.2f}".replace(".", ",")
        + f";{row['customer_id']};{row['paid_at']:%d.%m.%Y %H:%M};{row['payment_id']};{row['is_fraud']}"
        for row in cards(spark).toArrow().to_pylist()
    ]
    path, file = tmp_path / "Zahlungen März.csv", tmp_path / "z.toml"
    path.write_bytes(("Betrag;Kunde;gebucht am;Nr;Rückläufer\n" + "\n".join(lines) + "\n").encode("cp1252"))
    assert main(["init", str(path), "--label", "Rückläufer", "--output", str(file)]) == 0
    said = capsys.readouterr().out
    assert "read as: ; separated, decimal comma, windows-1252" in said
    source = load_config(file).source
    assert (source.key, source.timestamp, source.ignore) == (("Nr",), "gebucht am", ("Kunde",))
    assert re.search(r"Betrag +number +0\.\d+ to 6\d\.\d+", said)


def test_a_table_that_fits_the_minutes_is_taken_whole(spark: SparkSession, tmp_path: Path) -> None:
    cards(spark).write.parquet(str(tmp_path / "cards"))
    seen, draft, _ = begin(spark, str(tmp_path / "cards"), Told(label="is_fraud"), tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text(draft.text())
    assert sampled(spark, load_config(tmp_path / "c.toml"), seen, draft, 1, tmp_path) is draft


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["cards", "--label", "fraud"],
            "source.label names the column 'fraud', which .* lacks; did you mean 'is_fraud'",
        ),
        (["cards", "--label", "is_fraud", "--time", "amount"], "source.timestamp"),
        (["nothing", "--label", "y"], "there is no table at .*nothing"),
        (["notes", "--label", "y"], "is no Delta table, and no file in it is called .parquet, .csv, .json or .xlsx"),
    ],
)
def test_what_is_no_table_or_has_no_such_column_is_said_in_a_sentence(
    spark: SparkSession, tmp_path: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cards(spark).limit(60).write.parquet(str(tmp_path / "cards"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert main(["init", *arguments]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert re.search(sentence, said)
    assert not [*tmp_path.glob("*.toml")]
