"""Classifiers are found by name, and configuration can read them where there is no pyspark."""

import dataclasses
import subprocess
import sys

import pytest

from raresmith.errors import ConfigError
from raresmith.spark.evaluate.classifiers.registry import CLASSIFIERS

WITHOUT_PYSPARK = """
import sys
sys.modules["pyspark"] = None
from raresmith.spark.evaluate.classifiers.registry import CLASSIFIERS
for name, classifier in CLASSIFIERS.items():
    print(name, classifier().size(), classifier().settings())
"""


def test_classifiers_and_their_parameters_are_read_without_pyspark() -> None:
    found = subprocess.run([sys.executable, "-c", WITHOUT_PYSPARK], check=True, capture_output=True, text=True).stdout
    assert "random_forest 100 trees, depth 15 at most 128 bins a column" in found.splitlines()


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_a_classifier_says_what_it_is_and_its_parameters_stay_as_they_are(name: str) -> None:
    classifier = CLASSIFIERS[name]()
    assert classifier.name == name and classifier.title and classifier.noun
    for parameter in dataclasses.fields(classifier.parameters):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(classifier.parameters, parameter.name, parameter.default)


def test_an_unknown_classifier_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'random_forest'"):
        CLASSIFIERS["random_forrest"]
