"""What the machine lacks is found, and what to do is said."""

from pathlib import Path

import pytest

from raresmith import doctor
from raresmith.cli import main
from raresmith.config import parse_config
from raresmith.doctor import Finding, delta_jars, disk, examine, java, memory, store
from raresmith.spark.needs import delta_package


def test_what_the_tests_themselves_need_is_there() -> None:
    cures = {finding.what: finding.cure for finding in examine(None)}
    assert [cures[what] for what in ("Python", "Java", "Spark", "trainer", "cores", "GPU")] == [""] * 6


def test_a_missing_java_is_said_with_a_cure_and_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    found = java()
    assert found.found == f"Spark needs Java 17 and found none in JAVA_HOME={tmp_path}"
    assert "apt-get install openjdk-17" in found.cure
    assert main(["doctor"]) == 2
    told = capsys.readouterr()
    assert f"MISSING Java          {found.found}\n{22 * ' '}{found.cure}" in told.out
    assert "a run would fail or be slow here: Java" in told.err


def test_what_reads_a_workbook_is_looked_for_where_the_table_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"run": {"name": "r", "warehouse": "w"}, "source": {"path": "raw.xlsx", "label": "y", "format": "excel"}}
    config = parse_config(document, Path("/conf/a.toml"))
    assert [f.cure for f in examine(config) if f.what == "Excel"] == [""]
    assert not [f for f in examine(None) if f.what == "Excel"]
    known = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "openpyxl" else known(name))
    assert [f.cure for f in examine(config) if f.what == "Excel"] == ["pip install 'raresmith[excel]'"]


def test_jars_are_there_when_they_were_fetched_or_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RARESMITH_DELTA_JARS", raising=False)
    assert "the first run fetches it" in delta_jars(tmp_path).cure
    group, name, number = delta_package().split(":")
    jar = tmp_path / "jars" / f"{group}_{name}-{number}.jar"
    jar.parent.mkdir()
    jar.touch()
    assert delta_jars(tmp_path) == Finding(what="Delta's jars", found=delta_package())
    monkeypatch.setenv("RARESMITH_DELTA_JARS", f"{jar},{tmp_path}/gone.jar")
    assert delta_jars(tmp_path).cure == f"RARESMITH_DELTA_JARS names {tmp_path}/gone.jar, which is not there"


@pytest.mark.parametrize(
    ("asked", "gib", "cure"),
    [("3g", 8, ""), ("4096m", 8, ""), ("3g", 4, 'spark.driver_memory = "2g"'), ("0", 1, ""), ("1g", 1, '"1g"')],
)
def test_the_driver_may_take_half_of_the_memory(asked: str, gib: int, cure: str) -> None:
    found = memory(asked, gib * 2**30).cure
    assert cure in found if cure else not found


def test_a_file_is_no_place_for_tables(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "nothing can be written" in disk("disk", tmp_path / "file").cure
    assert str(tmp_path) in disk("disk", tmp_path / "not" / "yet").found


def test_a_store_that_does_not_answer_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    found = store("s3a://bucket/warehouse")
    assert "AWS_ENDPOINT_URL" in found.cure
    assert "\n" not in found.found
