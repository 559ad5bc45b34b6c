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


def test_a_folder_moves_to_where_nothing_is_and_nowhere_else(spark: SparkSession, tmp_path: Path) -> None:
    for name, url in (("plain", str(tmp_path)), ("url", tmp_path.as_uri())):
        for part, moved in (("first", True), ("second", False)):
            files.write_text(spark, f"{url}/{name}-aside/part", part)
            assert files.move_where_nothing_is(spark, f"{url}/{name}-aside", f"{url}/deep/{name}") is moved
            assert (tmp_path / "deep" / name / "part").read_text() == "first"
            assert not (tmp_path / f"{name}-aside").exists()
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["plain", "url"]
