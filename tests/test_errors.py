"""Errors carry what they are about, and each door spells the names of settings its own way."""

import pickle

from raresmith.errors import DataError, Key

FEW = DataError(
    "class {name!r} has {rows:,} rows; lower {setting}", name="1", rows=1200, setting=Key("oversample.k_neighbors")
)


def test_a_sentence_is_filled_with_its_fields() -> None:
    assert str(FEW) == "class '1' has 1,200 rows; lower oversample.k_neighbors"
    assert FEW.fields["rows"] == 1200


def test_a_door_spells_the_keys_its_own_way() -> None:
    spelt = FEW.spelt(lambda key: {"oversample.k_neighbors": "kNeighbors"}[key])
    assert (type(spelt), spelt.fields["rows"]) == (DataError, 1200)
    assert str(spelt).endswith("lower kNeighbors")


def test_a_sentence_without_fields_may_hold_braces() -> None:
    assert str(DataError("the path {logical_date} is not there")) == "the path {logical_date} is not there"


def test_it_crosses_processes_whole() -> None:
    again = pickle.loads(pickle.dumps(FEW))
    assert (type(again), str(again), again.fields) == (DataError, str(FEW), FEW.fields)
