"""What is installed by which name: the bare package imports, and the lock file holds what pyproject.toml asks for."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def needed(requirements: list[str]) -> set[str]:
    """The distributions that these requirements bring, without extras that nobody asked for."""
    found: set[str] = set()
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found |= {name} | needed(distribution(name).requires or [])
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages as `pip install raresmith` makes it."""
    folder = tmp_path_factory.mktemp("bare")
    for name in needed(PROJECT["dependencies"]):
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    (folder / "raresmith").symlink_to(ROOT / "lib" / "raresmith")
    return folder


@pytest.mark.parametrize("extra", ["numba", "pyspark", "torch", "pyarrow", "sklearn"])
def test_the_bare_install_lacks_the_extras(bare: Path, extra: str) -> None:
    assert run(bare, f"import {extra}").returncode == 1


@pytest.mark.parametrize(
    "statement",
    [
        "import raresmith",
        "from raresmith.config.file import load_config",
        "from raresmith.cli import main; main(['--help'])",
    ],
)
def test_the_bare_install_imports_and_tells_its_commands(bare: Path, statement: str) -> None:
    done = run(bare, statement)
    assert done.returncode == 0, done.stderr


def run(packages: Path, code: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(packages)!r}); {code}"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)


def test_the_lock_file_holds_what_is_asked_for() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    asked = [*PROJECT["dependencies"], *(line for lines in PROJECT["optional-dependencies"].values() for line in lines)]
    for requirement in map(Requirement, asked):
        if requirement.name != PROJECT["name"]:
            version = locked.get(canonicalize_name(requirement.name), "nothing")
            assert requirement.specifier.contains(version), f"{requirement} is locked at {version}; run `make lock`"


def test_tests_that_share_a_dear_fixture_go_to_the_same_process() -> None:
    """Else each process starts a cluster of its own, and nothing but the clock would tell."""
    together = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup", "-v"]
    done = subprocess.run([*together, "tests/test_errors.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(set(re.findall(r"\[(gw\d)\].*PASSED", done.stdout))) == 1, done.stdout
