"""The fitted encoder as a plain value: what each feature column means, and how to get back to the raw column.

The document is all that the tables, the trainer and the report know about columns. Spark fits and applies it
(`spark/encoding`); it is stored as JSON in the `encoder` table.
"""

import dataclasses
import json
import math
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

from raresmith.errors import DataError

UNSEEN = 0
"""Code of a category that train rows did not have, or that did not fit in prepare.max_categories."""
NULL = 1
"""Code of a null category; the categories themselves count from 2."""
INDICATED = ("false", "true")
"""Categories of the state of a number that has nulls alone beside its values: whether it is one."""
NUMBER, NO_NUMBER, FIRST_MASS = 2, 3, 4
"""Codes of a number's state: that the number counts, that the raw value is null, and the first of its masses."""
STEPS = (1e-38, 1e38)
"""Grids that a decimal of 38 digits can have."""
FLOAT32 = float.fromhex("0x1.fffffep+127")
"""Largest number of 32 bits: the networks have no larger ones."""


def _require(feature: "NumericFeature | CategoricalFeature", condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(f"feature {feature.name!r}: {message}")


def _decimals(step: float) -> int:
    return max(0, -round(math.log10(step)))


def state_categories(masses: tuple[str, ...]) -> tuple[str, ...]:
    """The categories of the state of a number that has these masses, in the order of their codes."""
    return ("number", "null", *masses) if masses else INDICATED


def exactly(step: float) -> Fraction:
    """The grid that `step` stands for: a whole number, or a power of ten below 1, which no float is."""
    return Fraction(step) if step >= 1 else Fraction(1, 10 ** _decimals(step))


@dataclass(frozen=True, kw_only=True)
class NumericFeature:
    """One number: encoded = (transform(x) - center) / scale, null-free, stored as `storage`."""

    name: str
    """Column of the feature tables; only letters, digits and '_'."""
    source: str
    """Column that it is read from: a raw one, or one made here (window, calendar)."""
    type: str
    """Spark type of the raw column as simple string: double, int, decimal(10,2), timestamp, ..."""
    transform: Literal["linear", "log", "quantile"]
    """log is sign(x) · log1p(|x|); quantile is the piecewise linear map of `knots` onto normal scores."""
    center: float
    scale: float
    low: float
    """Smallest train value in raw units (timestamps in microseconds and dates in days since 1970), or in steps where
    there is an `origin`, as all of center, low, high, impute and knots."""
    high: float
    """Largest train value."""
    impute: float
    """Value that stands in for a null."""
    step: float
    """Grid that all train values lie on, in raw units: 1 for integers, 0.01 for cents, 3.6e9 for whole hours, 0 for
    none. Decoding rounds to it."""
    storage: Literal["float", "double"]
    """double where 32 bits would lose an integer."""
    state: str = ""
    """Feature that tells where no number counts, for the raw value is null or one of `masses`; "" where train had
    neither."""
    masses: tuple[str, ...] = ()
    """Raw values, as text, that are so frequent among the others that they are states rather than sizes: zeros,
    sentinels, caps. All numbers here are learnt from the other values."""
    is_day_number: bool = False
    """Whether raw values are dates written as whole numbers, YYYYMMDD: raw units are then those of dates."""
    knots: tuple[float, ...] = ()
    """Strictly increasing raw values that transform "quantile" maps to `scores`, linearly in between and beyond."""
    scores: tuple[float, ...] = ()
    """Normal scores of the knots, strictly increasing."""
    encoded_low: float
    """Smallest train value as encoded."""
    encoded_high: float
    """Largest train value as encoded."""
    origin: int | None = None
    """Where no 64-bit float holds the raw values exactly enough: numbers are steps beyond this many steps from 0."""
    outlier: float | None = None
    """Size in raw units above which a value is encoded as the end of the range on its side; None where train had none
    that is so far beyond all others."""
    made: bool = False
    """Whether the column is made here and not in the raw table."""
    kind: Literal["numeric"] = "numeric"

    @property
    def is_whole(self) -> bool:
        """Whether each raw value is a whole number of steps, and comes back as it is."""
        return self.type not in ("float", "double")

    @property
    def decimals(self) -> int:
        """The power of ten that a step below 1 divides 1 by."""
        return _decimals(self.step)

    @property
    def exact_step(self) -> Fraction:
        """`step` as it is meant."""
        return exactly(self.step)

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest train value as decoding counts: in steps where values are whole numbers of these."""
        if not self.is_whole or self.origin is not None:
            return self.low, self.high
        return float(round(self.counted(self.low))), float(round(self.counted(self.high)))

    def counted(self, x: float | Decimal) -> Fraction:
        """`x` raw units, exactly, as decoding counts."""
        return Fraction(x) / self.exact_step - (self.origin or 0) if self.is_whole else Fraction(x)

    @property
    def _is_grid(self) -> bool:
        """Whether `step` is one that `exactly` knows and that numbers of the type can lie on."""
        least, most = STEPS
        if not least <= self.step <= most or (self.step > 1 and not self.is_whole):
            return False
        return math.isclose(self.step, self.exact_step, rel_tol=1e-9) and (self.step < 1 or self.step % 1 == 0)

    def __post_init__(self) -> None:
        encoded = (self.encoded_low, self.encoded_high)
        numbers = (self.center, self.scale, self.low, self.high, self.impute, self.step, self.outlier or 0, *encoded)
        _require(self, all(map(math.isfinite, (*numbers, *self.knots, *self.scores))), "numbers must be finite")
        _require(self, all(abs(end) <= FLOAT32 for end in encoded), "encoded numbers must fit 32 bits")
        _require(self, self.transform in ("linear", "log", "quantile"), f"there is no transform {self.transform!r}")
        _require(self, self.storage in ("float", "double"), f"there is no storage {self.storage!r}")
        _require(self, self.scale > 0 and self.step >= 0, "scale must be above 0 and step not below")
        _require(self, self.step > 0 or not self.is_whole, "whole numbers must have a step")
        _require(self, self.step == 0 or self._is_grid, "step must be a power of ten, or a whole number of whole ones")
        _require(self, self.origin is None or (isinstance(self.origin, int) and self.is_whole), "origin must be whole")
        _require(self, self.is_whole or not self.is_day_number, "day numbers must be whole")
        _require(self, self.outlier is None or self.outlier > 0, "outlier must be above 0")
        _require(
            self,
            self.low <= self.high and self.encoded_low <= self.encoded_high,
            "ranges must not end below their start",
        )
        if self.transform == "quantile":
            rising = all(a < b for values in (self.knots, self.scores) for a, b in pairwise(values))
            _require(self, rising and len(self.knots) == len(self.scores) >= 2, "knots and scores must rise in pairs")


@dataclass(frozen=True, kw_only=True)
class CategoricalFeature:
    """One category as a whole-number code: 0 unseen, 1 null, 2 and up `categories` in order."""

    name: str
    source: str
    """Column that it is read from, or "" for the state of another feature."""
    type: str
    """Spark type of the raw column; categories of other types than string are written as Spark casts them to text."""
    categories: tuple[str, ...]
    """The train categories, sorted, as text."""
    seen: tuple[int, ...]
    """Codes that train rows have, ascending: the only ones that a made row may have."""
    other: str = ""
    """The most frequent train category behind code 0 where prepare.max_categories was too small for all."""
    made: bool = False
    """Whether the column is made here and not in the raw table."""
    storage: Literal["float"] = "float"
    kind: Literal["categorical"] = "categorical"

    def __post_init__(self) -> None:
        known = range(self.n_codes)
        rising = all(a < b for a, b in pairwise(self.seen))
        _require(
            self, len(self.seen) > 0 and rising and all(code in known for code in self.seen),
            f"seen must be rising codes below {len(known)}",
        )  # fmt: skip
        _require(self, len({*self.categories}) == len(self.categories), "categories must be distinct")

    @property
    def n_codes(self) -> int:
        """The categories, unseen and null."""
        return len(self.categories) + 2


Feature = NumericFeature | CategoricalFeature


@dataclass(frozen=True, kw_only=True)
class Label:
    """The class column: `classes[i]` is the text of the class that tables call i."""

    name: str
    type: str
    classes: tuple[str, ...]
    positive: str
    """The class whose detection is judged: evaluate.positive, or the rarest."""

    def __post_init__(self) -> None:
        if len({*self.classes}) < len(self.classes):
            raise ValueError(f"classes of the label {self.name!r} must be distinct")


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Everything learnt from the train rows that is needed to encode a raw row and to decode a feature row."""

    features: tuple[Feature, ...]
    """In the order of the feature tables' columns."""
    label: Label
    raw_schema: str
    """The raw table's columns in order, as Spark's JSON schema."""

    def __post_init__(self) -> None:
        by_name = {feature.name: feature for feature in self.features}
        if len(by_name) < len(self.features):
            raise ValueError("features must not be called alike")
        sources = Counter([self.label.name, *(feature.source for feature in self.features if not feature.made)])
        if twice := sorted(source for source, times in sources.items() if times > 1):
            raise ValueError(f"columns must be one feature each, and the label none, but {twice[:3]} are more")
        for feature in self.features:
            if isinstance(feature, NumericFeature) and (feature.state or feature.masses):
                state, wanted = by_name.get(feature.state), state_categories(feature.masses)
                _require(
                    feature, isinstance(state, CategoricalFeature) and state.categories == wanted,
                    f"its state {feature.state!r} must be a feature of {[*wanted]}",
                )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """Feature columns in table order."""
        return [feature.name for feature in self.features]

    @property
    def categorical(self) -> list[bool]:
        """For each feature column whether it holds codes."""
        return [feature.kind == "categorical" for feature in self.features]

    def to_json(self) -> str:
        """The document, with sorted keys, so that equal encoders are equal texts."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Encoder":
        """The encoder of a document that `to_json` wrote.

        Raises
        ------
        DataError
            If the text is not such a document.
        """
        try:
            return cls.from_document(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the encoder document cannot be read ({error!r}); run prepare again") from None

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Encoder":
        """The encoder of a parsed document; KeyError, TypeError or ValueError where it is none."""
        kinds: dict[str, Any] = {"numeric": NumericFeature, "categorical": CategoricalFeature}
        features = tuple(
            kinds[item["kind"]](
                # A state was the indicator of nulls alone once, and series go on with encoders of then.
                **{
                    "state" if k == "null_indicator" else k: tuple(v) if isinstance(v, list) else v
                    for k, v in item.items()
                }
            )
            for item in document["features"]
        )
        label = document["label"]
        return cls(
            features=features,
            label=Label(**{**label, "classes": tuple(label["classes"])}),
            raw_schema=document["raw_schema"],
        )
