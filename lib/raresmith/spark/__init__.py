"""The Spark side: jobs, and the registered oversamplers, such as `SMOTE`, as stages of pyspark.ml."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Python workers import this package for every task, and pyspark.ml takes them a while.
    if name[:1].isupper():
        from raresmith.spark import ml

        return getattr(ml, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from raresmith.spark import ml

    return [*globals(), *ml.stages()]
