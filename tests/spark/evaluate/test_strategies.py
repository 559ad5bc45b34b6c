"""A strategy says what it needs."""

import pytest

from raresmith.errors import ConfigError
from raresmith.spark.evaluate.strategies import made_table, strategy_of


@pytest.mark.parametrize(
    ("name", "table", "adds", "is_reduced"),
    [
        ("none", "", False, False),
        ("class_weight", "", False, False),
        ("random", "synthetic", False, False),
        ("reduced", "", False, True),
        ("smote", "synthetic", True, True),
        ("adasyn", "synthetic", True, True),
        ("refined", "refined", True, True),
    ],
)
def test_a_strategy_needs_a_table_and_leaves_rows_out_by_its_kind(
    name: str, table: str, adds: bool, is_reduced: bool
) -> None:
    strategy = strategy_of(name)
    assert (strategy.name, strategy.made_table, made_table(name)) == (name, table, table)
    assert (strategy.adds_made_rows, strategy.is_reduced) == (adds, is_reduced)
    assert strategy.explained


def test_an_unknown_name_is_no_strategy() -> None:
    with pytest.raises(ConfigError, match="'smoet'"):
        strategy_of("smoet")
