"""The Spark side: jobs, and oversamplers such as `SMOTE` as stages of pyspark.ml."""

from typing import Any

__all__ = ["ADASYN", "SMOTE", "SMOTEN", "BorderlineSMOTE", "Crossover", "ImblearnSampler", "RandomOverSampler"]


def __getattr__(name: str) -> Any:
    # Python workers import this package for every task, and pyspark.ml takes them a while.
    if name in __all__:
        from raresmith.spark import ml

        return getattr(ml, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
