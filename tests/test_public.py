"""`import raresmith` is cheap, and says what there is."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import raresmith


def test_everything_that_is_promised_is_there() -> None:
    assert {name for name in raresmith.__all__ if hasattr(raresmith, name)} == set(raresmith.__all__)
    assert raresmith.__version__ == version("raresmith")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = raresmith.nothing


def test_importing_it_brings_no_engine() -> None:
    code = "import sys, raresmith; print(sorted({'torch', 'pyspark', 'pydantic', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
