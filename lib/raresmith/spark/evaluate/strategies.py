"""What classifiers can be trained on: the baselines, the rows of an oversampler, the rows of a model."""

from raresmith.evaluation.verdict import Strategy
from raresmith.oversampling.registry import OVERSAMPLERS

BUILT_IN = {
    of.name: of
    for of in (
        Strategy(name="none", kind="none", explained="the train rows as they are"),
        Strategy(name="class_weight", kind="class_weight", explained="each class weighs the same"),
        Strategy(
            name="random", kind="random", explained="rows of the same classes repeated, as many as oversampling made"
        ),
        Strategy(name="reduced", kind="reduced", explained="without the rows that undersampling and cleaning took out"),
        Strategy(name="refined", kind="refined", explained="with the rows that the model refined"),
    )
}


def strategy_of(name: str) -> Strategy:
    """The strategy called `name`: one of BUILT_IN, or the rows of the oversampler of that name."""
    return BUILT_IN.get(name) or Strategy(name=name, kind="synthetic", explained=OVERSAMPLERS[name].explained)


def made_table(name: str) -> str:
    """The table of made rows that the strategy called `name` needs, or ""."""
    return strategy_of(name).made_table
