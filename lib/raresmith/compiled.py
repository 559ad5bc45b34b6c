"""Functions that Numba compiles."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, compiled when it is first called and kept for the processes that follow."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(**options, cache=True)(function)  # type: ignore[no-any-return]
    except (RuntimeError, ValueError):
        # Numba keeps machine code beside the source or in the home folder; in an executor that reads the package
        # from an archive there may be neither, and each Python worker compiles for itself.
        return njit(**options)(function)  # type: ignore[no-any-return]
