"""The schema that editors complete by, and the page of settings, say what the file is checked by."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from raresmith.cli import main
from raresmith.config.reference import json_schema, page

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RUN = {"run": {"name": "r", "warehouse": "w"}, "source": {"path": "raw.parquet", "label": "y"}}


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


@pytest.mark.parametrize("name", ["local", "handbook", "creditcard", "bank"])
def test_every_shipped_configuration_is_valid_by_the_schema(name: str, schema: Draft202012Validator) -> None:
    schema.validate(tomllib.loads((REPOSITORY / "conf" / f"{name}.toml").read_text()))


@pytest.mark.parametrize(
    "sections",
    [
        {"oversample": {"k_neighbors": 7}},
        {"oversample": {"method": "imblearn", "sampler": "SVMSMOTE", "cell_rows": 2000}},
        {"evaluate": {"classifiers": {"random_forest": {"num_trees": 7}}}},
        {"prepare": {"windows": [{"entity": "card", "days": [1]}]}},
        {"publish": {"constraints": {"ranges": {"amount": {"low": 0}}}}},
    ],
)
def test_what_a_method_and_a_classifier_take_is_valid(sections: object, schema: Draft202012Validator) -> None:
    schema.validate({**RUN, **sections})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "sections",
    [
        {"smote": {}},
        {"oversample": {"k_neighbours": 7}},
        {"oversample": {"k_neighbors": 0}},
        {"oversample": {"method": "smote", "sampler": "SVMSMOTE"}},
        {"oversample": {"method": "imblearn"}},
        {"oversample": {"method": "smot"}},
        {"oversample": {"parameters": {}}},
        {"evaluate": {"classifiers": {"random_forest": {"k_neighbors": 7}}}},
        {"evaluate": {"classifiers": {"forest": {}}}},
        {"prepare": {"windows": [{"days": [1]}]}},
    ],
)
def test_what_is_no_setting_is_not_valid(sections: object, schema: Draft202012Validator) -> None:
    assert not schema.is_valid({**RUN, **sections})  # type: ignore[dict-item]


def test_the_schema_tells_what_each_key_means_and_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json_schema()
    smote = next(of for of in printed["$defs"]["OversampleConfig"]["oneOf"] if of["title"] == "smote")
    assert smote["properties"]["k_neighbors"]["description"].startswith("Nearest rows of the same class")
    forest = printed["$defs"]["EvaluateConfig"]["properties"]["classifiers"]["properties"]["random_forest"]
    assert forest["properties"]["num_trees"]["description"].startswith("Trees of a forest")


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == page(), "docs/configuration.md is not what `make docs` writes; run that"
