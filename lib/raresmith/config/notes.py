"""What the source of a class says of its fields: the text below each."""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise


@cache
def notes(cls: type) -> dict[str, str]:
    """The note below each field of `cls`, those of its bases included; as one line of text."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] in ("builtins", "pydantic", "abc"):
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, TypeError):  # a class of a notebook, or shipped without its source
            continue
        assert isinstance(tree, ast.ClassDef)
        for field, below in pairwise(tree.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(below.value.value).split())
    return found
