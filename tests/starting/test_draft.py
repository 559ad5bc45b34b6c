import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raresmith.config import parse_config
from raresmith.starting.draft import Draft, run_name
from raresmith.starting.roles import Role, Use
from raresmith.starting.split import DaySplit

names = st.text(min_size=1, max_size=20)
USES: tuple[Use, ...] = ("timestamp", "key", "entity", "ignored", "category", "number", "moment")
DAYS = DaySplit(
    train=(date(2025, 1, 1), date(2025, 1, 6)),
    validation=(date(2025, 1, 7), date(2025, 1, 8)),
    test=(date(2025, 1, 9), date(2025, 1, 10)),
)


def draft(columns: Sequence[str], path: str = "t.csv", why: str = "so", days: DaySplit | None = None) -> Draft:
    """The first column is the label, the others have each use in turn."""
    uses: list[Use] = ["label", *[USES[i % len(USES)] for i in range(len(columns) - 1)]]
    found = [Role(name=name, use=use, why=why) for name, use in zip(columns, uses, strict=True)]
    return Draft(name="t", path=path, format="csv", roles=found, days=days, no_days="")


@given(columns=st.lists(names, min_size=1, max_size=9, unique=True), path=names, why=st.text(max_size=200))
def test_the_file_holds_all_names_as_they_are(columns: list[str], path: str, why: str) -> None:
    one = draft(columns, path, why)
    document = tomllib.loads(one.text())
    source = document["source"]
    assert (source["path"], source["label"]) == (path, columns[0])
    assert source.get("timestamp", "") == one.first("timestamp")
    assert source.get("key", []) == [role.name for role in one.of("key")]
    assert source.get("ignore", []) == [role.name for role in one.of("ignored", "entity")]
    assert document["split"].get("entity", "") == one.first("entity")


@pytest.mark.parametrize("days", [None, DAYS])
def test_the_configuration_takes_it(days: DaySplit | None, tmp_path: Path) -> None:
    one = draft(["y", "at", "id", "card", "x", "k"], days=days)
    config = parse_config(tomllib.loads(one.text()), tmp_path / "t.toml")
    assert config.split.strategy == ("time" if days else "entity")
    assert config.evaluate.entity == "card"
    assert config.source.ignore == ("card", "x")


def test_each_column_is_told_with_its_reason() -> None:
    one = draft(["y", "at"], days=DAYS)
    assert one.lines() == [
        "y   label      so",
        "at  timestamp  so",
        "split by time, as it will be used: train 2025-01-01 to 2025-01-06, validation 2025-01-07 to 2025-01-08, "
        "test 2025-01-09 to 2025-01-10",
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/cards 2024.csv", "cards-2024"),
        ("/a/b/", "b"),
        ("s3a://bucket/kreditkarten", "kreditkarten"),
        ("x/*.parquet", "x"),
        ("ü.csv", "table"),
    ],
)
def test_a_run_is_called_as_its_table(path: str, name: str) -> None:
    assert run_name(path) == name
