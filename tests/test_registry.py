"""Things are found by name: modules of a package by being there, those of other distributions by an entry point."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raresmith.errors import ConfigError
from raresmith.registry import Registry

BASE = "class Shape:\n    pass\n"
SQUARE = "from shapes.base import Shape\n\nclass Square(Shape):\n    name = 'square'\n"
OTHERS = """
    from shapes.base import Shape

    class Circle(Shape):
        name = "circle"

    class Misnamed(Shape):
        name = "other"
"""
POINTS = """
    [test.shapes]
    circle = others:Circle
    misnamed = others:Misnamed
    gone = nowhere_to_be_found:Gone
"""


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[Any]]:
    (tmp_path / "shapes").mkdir()
    for name, text in {"__init__": "", "base": BASE, "square": SQUARE}.items():
        (tmp_path / "shapes" / f"{name}.py").write_text(text)
    (tmp_path / "others.py").write_text(textwrap.dedent(OTHERS))
    (tmp_path / "others-1.dist-info").mkdir()
    (tmp_path / "others-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (tmp_path / "others-1.dist-info" / "entry_points.txt").write_text(textwrap.dedent(POINTS))
    monkeypatch.syspath_prepend(str(tmp_path))
    from shapes.base import Shape  # type: ignore[import-not-found]

    yield Registry(Shape, "shapes", "test.shapes")
    for name in ("shapes", "shapes.base", "shapes.square", "others"):
        sys.modules.pop(name, None)


def test_a_module_of_the_package_is_enough(shapes: Registry[Any]) -> None:
    assert shapes["square"].__module__ == "shapes.square"


def test_entry_points_are_listed_without_being_imported(shapes: Registry[Any]) -> None:
    assert list(shapes) == ["circle", "gone", "misnamed", "square"]
    assert "others" not in sys.modules
    assert shapes["circle"].__module__ == "others"


def test_an_unknown_name_is_answered_with_the_nearest(shapes: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"'sqare' is none of \['circle', .*did you mean 'square'\?"):
        shapes["sqare"]


def test_a_package_that_cannot_be_imported_is_named(shapes: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"'gone', an entry point of test\.shapes, cannot be imported"):
        shapes["gone"]


def test_an_entry_point_must_be_what_it_says(shapes: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match="must be a subclass of Shape whose name is 'misnamed'"):
        shapes["misnamed"]


def test_a_name_of_our_own_cannot_be_taken(shapes: Registry[Any], tmp_path: Path) -> None:
    points = tmp_path / "others-1.dist-info" / "entry_points.txt"
    points.write_text("[test.shapes]\nsquare = others:Circle\n")
    with pytest.raises(ConfigError, match=r"\['square'\] of test.shapes have names of raresmith's own"):
        list(shapes)


def test_what_cannot_be_imported_is_told_and_left_out_of_what_there_is(
    shapes: Registry[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert list(shapes.available()) == ["circle", "square"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "'gone', an entry point of test.shapes, cannot be imported" in caplog.text


def test_whatever_a_module_raises_is_told_in_one_sentence(shapes: Registry[Any], tmp_path: Path) -> None:
    (tmp_path / "others.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match=r"'circle', an entry point of .*, cannot be imported: division by zero"):
        shapes["circle"]


def test_a_name_that_two_distributions_bring_is_refused(shapes: Registry[Any], tmp_path: Path) -> None:
    (tmp_path / "more-1.dist-info").mkdir()
    (tmp_path / "more-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    (tmp_path / "more-1.dist-info" / "entry_points.txt").write_text("[test.shapes]\ncircle = more:Circle\n")
    with pytest.raises(ConfigError, match=r"several distributions bring the entry points \['circle'\] of test.shapes"):
        list(shapes)


def test_a_reserved_name_cannot_be_taken(shapes: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"\['circle'\] of test.shapes have names of raresmith's own"):
        list(Registry(shapes._kind, "shapes", "test.shapes", reserved=("circle",)))
