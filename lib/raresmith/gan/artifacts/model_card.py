"""The card of a saved model as a page to read, after Mitchell et al. 2019 (arXiv:1810.03993)."""

import math
import re
from collections.abc import Mapping
from typing import Any

from raresmith.gan.models.guarantee import Guarantee


def privacy(holds: str, guarantee: Guarantee | None) -> list[str]:
    """What the files of a model tell of the rows that it was trained on; `holds`, `guarantee` as those of `Model`."""
    if guarantee is None:
        training = (
            "What training leaves of single rows in them is neither measured nor bounded: it was not differentially "
            "private."
        )
    else:
        training = (
            f"Training was differentially private, with {guarantee}: adding or removing one train row of the made "
            f"classes makes no outcome more than {math.exp(guarantee.epsilon):.3g} times as likely, but for a chance "
            f"of {guarantee.delta:.3g}. This is of the weights, not of the rest of the card, nor of what else was made "
            "of the same rows; a second training of them spends as much again."
        )
    return [
        "No row of any table is inside.",
        f"The weights have {holds}. {training}",
        "The card has of each column its least and greatest train value, its mean or knots (real values at fixed "
        "shares), and the names of its categories. A column of names, or with a value that tells who it was, shows it.",
        "From these files alone no made row is held against real ones. "
        + (
            "`publish` leaves out copies."
            if guarantee
            else "`refine`, and `generate` with the configuration, make copies anew, and `publish` leaves them out."
        ),
    ]


def as_text(called: str, card: Mapping[str, Any]) -> str:
    """The page in Markdown of the card of a model, as it stands in model.json."""
    label, features = card["encoder"]["label"], card["encoder"]["features"]
    kinds = [feature["kind"] for feature in features]
    width = f"{kinds.count('numeric')} numbers and {kinds.count('categorical')} categories"
    rows = [
        (f"{_literal(label['name'])} = {_literal(label['classes'][code])}", f"{count:,} synthetic rows")
        for code, count in zip(card["classes"], card["class_rows"], strict=True)
    ]
    last = card["losses"][-1][1:] if card["losses"] else []
    losses = [(f"{name} loss, last", f"{loss:.4g}") for name, loss in zip(card["loss_names"], last, strict=False)]
    settings = [(name, str(value)) for name, value in card["refine"].items() if name != "privacy"]
    private = [(name.replace("_", " "), f"{value:.6g}") for name, value in (card["differential_privacy"] or {}).items()]
    return "\n".join(
        [
            f"# {_literal(card['run_id'])}: {called}",
            "",
            f"Makes rows of {width}, of the classes:",
            "",
            *_table(("class", "trained for"), rows),
            "",
            "## Data",
            "",
            *_table(("Delta table", "version"), [(name, str(version)) for name, version in card["inputs"].items()]),
            "",
            "## Configuration",
            "",
            *_table(("refine", ""), settings),
            "",
            f"Seed {card['random_state']}, configuration {card['config_hash']}, run {card['fingerprint']}.",
            f"Made with {', '.join(f'{name} {version}' for name, version in card['libraries'].items())}.",
            "",
            "## Training",
            "",
            *_table(("after training", ""), [("steps", f"{card['step']:,}"), *losses]),
            *(["", f"{card['kept'][:1].upper()}{card['kept'][1:]}."] if "kept" in card else []),
            "",
            "What the rows do for a classifier is in the report of `evaluate`.",
            "",
            "## Privacy",
            "",
            *[f"- {sentence}" for sentence in card["privacy"]],
            *(["", *_table(("differential privacy", ""), private)] if private else []),
            "",
            "## Making rows",
            "",
            "`raresmith generate FOLDER --num-samples 1000 --output rows.parquet`, where FOLDER is the one that holds",
            "this page or, for a model that needs synthetic rows to start from, the configuration of its run.",
            "",
        ]
    )


def _literal(text: str) -> str:
    """Text of the user's own, of which Markdown and HTML are to make nothing: no markup, link or tag."""
    # An underscore within a word is none either.
    return re.sub(r"[^\w \-]|(?<![^\W_])_|_(?![^\W_])", lambda found: f"&#{ord(found[0])};", text)


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
    """A Markdown table; a bar within a cell would end it."""
    return [
        f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in row)} |"
        for row in [head, ("---", "---"), *rows]
    ]
