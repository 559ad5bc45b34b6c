"""Files of any file system that Spark reaches are seen, measured and written by one door."""

from pathlib import Path

from pyspark.sql import SparkSession

from raresmith.spark import files


def test_files_are_found_below_a_folder_or_by_a_glob_with_their_sizes(spark: SparkSession, tmp_path: Path) -> None:
    url = tmp_path.as_uri()
    files.write_text(spark, f"{url}/a/one.txt", "grün")
    files.write_text(spark, f"{url}/a/b/two.txt", "x" * 30)
    assert (tmp_path / "a" / "one.txt").read_text(encoding="utf-8") == "grün"
    found = files.files_below(spark, f"{url}/a")
    assert [(Path(file.path).name, file.size) for file in found] == [("two.txt", 30), ("one.txt", 5)]
    assert all(file.changed // 1000 == int((tmp_path / "a" / "one.txt").stat().st_mtime) for file in found[1:])
    assert [file.path for file in files.files_below(spark, f"{url}/*/*.txt")] == [found[1].path]
    assert files.size_of(spark, found[0].path) == 30


def test_what_is_there_is_told_from_what_is_not(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "here.csv").write_text("a")
    assert files.exists(spark, str(tmp_path)) and files.exists(spark, f"{tmp_path}/*.csv")
    assert not files.exists(spark, f"{tmp_path}/there") and not files.exists(spark, f"{tmp_path}/*.parquet")
    files.write_text(spark, f"{tmp_path}/here.csv", "b")
    assert (tmp_path / "here.csv").read_text() == "b"
