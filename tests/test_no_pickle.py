"""Nothing in the project reads or writes a pickle: whoever gives us a file must not get to run code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {"pickle", "_pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
CALLS = {"torch.load", "torch.save", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package"}


def pickles(source: str) -> list[str]:
    """What in `source` reads or writes pickles: modules imported, functions named."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [alias.name for alias in names if {alias.name, alias.name.split(".")[0]} & {*MODULES, *CALLS}]
            case ast.ImportFrom(module=str(module), names=names):
                full = [f"{module}.{alias.name}" for alias in names]
                found += [name for name in full if module.split(".")[-1] in MODULES or name in CALLS]
                found += [alias.name for alias in names if alias.name in MODULES]
            case ast.Attribute() if ast.unparse(node) in CALLS or node.attr in {"to_pickle", "read_pickle"}:
                found.append(ast.unparse(node))
            case ast.keyword(arg="allow_pickle", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                found.append("allow_pickle")
            case ast.keyword(arg="weights_only"):
                found.append("weights_only")
    return found


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("lib/**/*.py"), *ROOT.glob("jobs/*.py")]), ids=lambda path: path.stem
)
def test_no_file_reads_or_writes_pickles(path: Path) -> None:
    assert pickles(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill as d",
        "from joblib import dump",
        "from six.moves import cPickle, cloudpickle",
        "import torch\ntorch.load('x')",
        "from torch import save",
        "def f():\n    import marshal",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "df.to_pickle('x')",
    ],
)
def test_it_would_be_found(source: str) -> None:
    assert pickles(source)
