"""From the units of the feature tables to those of the raw table and back, in NumPy and Arrow: for doors without Spark.

`spark/encode.py` decodes the same by Spark's own expressions.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raresmith.encoding.day_numbers import FIRST_DAY, LAST_DAY, day_numbers, day_of
from raresmith.encoding.encoder import (
    FIRST_MASS,
    FLOAT32,
    NO_NUMBER,
    NUMBER,
    CategoricalFeature,
    Encoder,
    Feature,
    NumericFeature,
)
from raresmith.errors import DataError

Columns = Mapping[str, NDArray[np.generic]]
"""Feature columns by name, each of shape (n_rows,)."""
_TYPES = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "binary": pa.binary(),
}
_NUMBERS = {kind for name, kind in _TYPES.items() if name not in ("string", "boolean", "binary")}
WIDEST = 32
"""Most digits of a decimal column's grid steps from 0."""
MOST_STEPS = 2.0**62
"""Steps of a column's grid that are counted in 64 bits."""
DEEPEST = 32
"""Types within types of a column."""
_UNFIT = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, pa.ArrowException)
"""What a schema raises that anyone may have written."""


class RawUnits:
    """What the features of an encoder are in raw units.

    Parameters
    ----------
    key
        Raw columns that identify a row.

    Attributes
    ----------
    schema
        The raw table's columns, all of which may be null.

    Raises
    ------
    DataError
        If the raw schema has not the columns that features and label stand for, or not in their types.
    """

    def __init__(self, encoder: Encoder, key: Sequence[str]) -> None:
        self.encoder, self._key = encoder, {*key}
        self.features = [feature for feature in encoder.features if not feature.made]
        """Those that are raw columns."""
        try:
            self.schema = pa.schema(_fields(json.loads(encoder.raw_schema), 0))
            self._values = {
                feature.name: parsed((feature.other or None, None, *feature.categories), self._type(feature.source))
                for feature in self.features
                if isinstance(feature, CategoricalFeature)
            }
            self._classes = parsed(encoder.label.classes, self._type(encoder.label.name))
            for feature in self.features:
                if isinstance(feature, NumericFeature):
                    _check_number(feature, self._type(feature.source))
        except _UNFIT as error:
            raise DataError(
                f"the encoder's raw schema does not fit its features ({_short(error)}); run prepare again"
            ) from None

    def rows(self, features: Columns, labels: NDArray[np.int32]) -> pa.RecordBatch:
        """Made rows in the raw schema.

        Numbers are kept in the train range. Columns that are no feature are null, and so are those of the key, for a
        made row is no real transaction.

        Parameters
        ----------
        labels : ndarray of shape (n_rows,)
            The class of each row, as the tables call it.

        Raises
        ------
        DataError
            If a number is not finite.
        """
        columns: dict[str, pa.Array] = {}
        for feature in self.features:
            if isinstance(feature, NumericFeature):
                kind = self._type(feature.source)
                with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused
                    x = decoded_inner(feature, features[feature.name].astype(np.float64))
                if not np.isfinite(x).all():
                    raise DataError(
                        f"column {feature.source!r} would have numbers that are not finite in "
                        f"{np.count_nonzero(~np.isfinite(x)):,} of {len(x):,} rows; run prepare and refine again"
                    )
                values = _of_type(x, feature, kind)
                if feature.state:
                    state = pa.array(features[feature.state].astype(np.int64))
                    values = pc.if_else(pc.equal(state, NO_NUMBER), pa.scalar(None, kind), values)
                    for code, mass in enumerate(parsed(feature.masses, kind), FIRST_MASS):
                        values = pc.if_else(pc.equal(state, code), mass, values)
            else:
                values = self._values[feature.name].take(pa.array(features[feature.name].astype(np.int64)))
            columns[feature.source] = values
        columns[self.encoder.label.name] = self._classes.take(pa.array(labels))
        arrays = [
            columns[field.name]
            if field.name in columns and field.name not in self._key
            else pa.nulls(len(labels), field.type)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def comparable(self, features: Columns) -> list[NDArray[np.float64]]:
        """Numbers (n_rows,) for each raw column that is a feature, all equal where two rows are equal in raw units."""
        columns = []
        for feature in self.features:
            values = features[feature.name].astype(np.float64)
            if isinstance(feature, NumericFeature):
                values = decoded_inner(feature, values) + 0.0  # -0.0 is 0.0
                if feature.state:
                    state = features[feature.state].astype(np.float64)
                    columns.append(state)
                    values = np.where(state == NUMBER, values, 0.0)
            columns.append(values)
        return columns

    def given(self, column: str, text: str) -> tuple[dict[str, float], pa.Scalar]:
        """A value that all rows are to have in a raw column: what the features behind it are then, and the value.

        Raises
        ------
        DataError
            If the column is no feature, or no train row could have had the value.
        """
        feature = next((feature for feature in self.features if feature.source == column), None)
        if feature is None:
            names = [feature.source for feature in self.features]
            raise DataError(f"the model has no column {column!r} that can be given; it has {names}")
        kind = self._type(column)
        try:
            value = parsed([text], kind)[0]
        except pa.ArrowInvalid:
            raise DataError(f"column {column!r} is {kind}, and {text!r} is none") from None
        if isinstance(feature, CategoricalFeature):
            code = pc.index(self._values[feature.name], value).as_py()
            if code < 0:
                known = self._values[feature.name].drop_null().to_pylist()
                raise DataError(
                    f"column {column!r} has no category {text!r} in the train rows; some that it has are {known[:10]}"
                )
            return {feature.name: float(code)}, value
        state = {feature.state: float(NUMBER)} if feature.state else {}
        code = pc.index(parsed(feature.masses, kind), value).as_py()
        if code >= 0:
            number = encoded_inner(feature, feature.impute)
            return {feature.name: number, feature.state: float(FIRST_MASS + code)}, value
        x = _as_number(value)
        if feature.is_day_number and (x := day_of(int(x))) is None:  # type: ignore[assignment]
            raise DataError(f"column {column!r} has dates as YYYYMMDD, and {text} is none")
        low, high = feature.ends
        if not (math.isfinite(x) and low <= feature.counted(x) <= high):
            ends = (_of_type(np.array([end]), feature, kind)[0].as_py() for end in (low, high))
            raise DataError(
                "column {!r} lies from {} to {} in the train rows, and {} does not".format(column, *ends, text)
            )
        if feature.step:
            steps = Fraction(x) / feature.exact_step
            if abs(steps - round(steps)) > (0 if feature.is_whole else 1e-6):
                raise DataError(f"column {column!r} has multiples of {feature.step:g}, and {text} is none")
        return {feature.name: encoded_number(feature, x), **state}, value

    def _type(self, column: str) -> pa.DataType:
        return self.schema.field(column).type


def _short(error: Exception) -> str:
    """The error, in which a name may be as long as it likes."""
    text = repr(error)
    return text if len(text) < 300 else f"{text[:300]}…"


def encoded_number(feature: NumericFeature, x: float | Decimal) -> float:
    """What encoding makes of the raw number `x`, which is exact where the column's values are."""
    return encoded_inner(feature, float(x if feature.origin is None else feature.counted(x)))


def stand_ins(features: Iterable[Feature]) -> dict[str, tuple[str, float]]:
    """By number that has a state the name of this, and what is encoded for the number where it does not count.

    A made row has to have that too: what lies elsewhere no real row has.
    """
    return {
        f.name: (f.state, encoded_inner(f, f.impute)) for f in features if isinstance(f, NumericFeature) and f.state
    }


def encoded_inner(feature: NumericFeature, x: float) -> float:
    """What encoding makes of `x` in the units of the feature's own numbers."""
    if feature.transform == "quantile":
        return float(_piecewise(np.float64(x), feature.knots, feature.scores))
    y = math.copysign(math.log1p(abs(x)), x) if feature.transform == "log" else x
    return (y - feature.center) / feature.scale


def decoded_inner(feature: NumericFeature, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """What `encoded_inner` made, got back: whole numbers of steps where the raw values are; within the train range."""
    if feature.transform == "quantile":
        x = _piecewise(y, feature.scores, feature.knots)
    else:
        x = y * feature.scale + feature.center
        if feature.transform == "log":
            x = np.sign(x) * np.expm1(np.abs(x))
    if feature.step:
        # Dividing by 100 gives the double nearest to the cents; multiplying by 0.01 would not.
        per_unit, units = 10.0**feature.decimals, max(feature.step, 1.0)
        steps = np.rint(x if feature.origin is not None else x * per_unit / units)
        x = steps if feature.is_whole else steps / per_unit
    return np.asarray(np.clip(x, *feature.ends))


def _piecewise(x: Any, xs: Sequence[float], ys: Sequence[float]) -> Any:
    """Linear interpolation, and beyond the ends as in the piece next to them."""
    starts, bases = np.asarray(xs), np.asarray(ys)
    piece = np.clip(np.searchsorted(starts, x, side="right") - 1, 0, len(xs) - 2)
    return bases[piece] + (x - starts[piece]) * (np.diff(bases) / np.diff(starts))[piece]


def _fields(struct: Mapping[str, Any], depth: int) -> list[pa.Field]:
    """The fields of a struct in Spark's JSON schema, `depth` types deep in a column's; the table itself is one too."""
    fields = [pa.field(field["name"], _arrow_type(field["type"], depth)) for field in struct["fields"]]
    names = [field.name for field in fields]
    if not 0 < len(names) == len({*names}):
        raise ValueError(f"{len(names)} columns or fields with {len({*names})} different names")
    return fields


def _arrow_type(kind: Any, depth: int) -> pa.DataType:
    """The Arrow type of one in Spark's JSON schema; text for those that no feature can have and Arrow has not."""
    if depth > DEEPEST:
        raise ValueError(f"types of more than {DEEPEST} within another")
    if isinstance(kind, dict):
        match kind["type"]:
            case "array":
                return pa.list_(_arrow_type(kind["elementType"], depth + 1))
            case "map":
                return pa.map_(_arrow_type(kind["keyType"], depth + 1), _arrow_type(kind["valueType"], depth + 1))
            case "struct":
                return pa.struct(_fields(kind, depth + 1))
        return pa.string()
    if decimal := re.fullmatch(r"decimal\((\d{1,2}),(\d{1,2})\)", kind):
        precision, scale = int(decimal[1]), int(decimal[2])
        if scale > precision:
            raise ValueError(f"{kind} with more decimals than digits")
        return pa.decimal128(precision, scale)
    return _TYPES.get(kind, pa.string())


def _check_number(feature: NumericFeature, kind: pa.DataType) -> None:
    """ValueError where a number within the feature's ends, on its grid, is none of the type `kind`."""
    what = f"column {feature.source!r} is {kind} but"
    if not (pa.types.is_decimal(kind) or kind in _NUMBERS):
        raise ValueError(f"{what} encoded as a number")
    if feature.is_whole == pa.types.is_floating(kind):
        raise ValueError(f"{what} encoded as {feature.type}")
    parsed(feature.masses, kind)
    low, high = feature.ends
    if feature.is_day_number:
        fits = kind in (pa.int32(), pa.int64()) or (
            pa.types.is_decimal(kind) and kind.precision >= 8 and not kind.scale
        )
        if not fits or not FIRST_DAY <= feature.low <= feature.high <= LAST_DAY:
            raise ValueError(f"{what} encoded as dates from day {feature.low:g} to day {feature.high:g}")
        kind = pa.date32()
    if not feature.is_whole:
        if pa.types.is_float32(kind) and max(abs(low), abs(high)) > FLOAT32:
            raise ValueError(f"{what} has train values from {low:g} to {high:g}")
        return
    if max(abs(low), abs(high)) > MOST_STEPS or abs(feature.origin or 0) >= 10**WIDEST:
        raise ValueError(f"{what} has more steps of {feature.step:g} than can be counted")
    if pa.types.is_decimal(kind):
        unit, most = Fraction(1, 10**kind.scale), 10**kind.precision - 1
        least, fits = -most, feature.exact_step == Fraction(10) ** round(math.log10(feature.step))
    else:
        unit, most = Fraction(1), 2 ** (kind.bit_width - 1) - 1
        least, fits = -most - 1, True
    ends = [(int(end) + (feature.origin or 0)) * feature.exact_step / unit for end in (low, high)]
    step = feature.exact_step / unit
    if not (fits and step.denominator == 1 and step <= most and least <= ends[0] and ends[1] <= most):
        raise ValueError(f"{what} has train values from {low:g} to {high:g} steps of {feature.step:g}")
    counted = [feature.counted(end) for end in (feature.low, feature.high)] if feature.origin is None else []
    if any(abs(end - round(end)) > abs(end) / 2**50 for end in counted):
        raise ValueError(f"{what} has train values off its steps of {feature.step:g}")


def _of_type(x: NDArray[np.float64], feature: NumericFeature, kind: pa.DataType) -> pa.Array:
    """What `decoded_inner` gave as the raw column's type; instants count microseconds and dates days since 1970."""
    if not feature.is_whole:
        return pa.array(x.astype(kind.to_pandas_dtype()))
    steps, origin = x.astype(np.int64), feature.origin or 0
    if feature.is_day_number:
        numbers = pa.array(day_numbers((steps + origin) * int(feature.step)))
        return numbers.cast(pa.decimal128(19)).cast(kind) if pa.types.is_decimal(kind) else numbers.cast(kind)
    if pa.types.is_decimal(kind):
        # The same 128 bits with the decimals of the grid.
        counted = pc.add(pa.array(steps).cast(pa.decimal128(19)), pa.scalar(Decimal(origin), pa.decimal128(WIDEST)))
        on_grid = pa.decimal128(38, feature.decimals or -round(math.log10(feature.step)))
        return pa.Array.from_buffers(on_grid, len(x), counted.buffers()).cast(kind)
    whole = (steps + origin) * int(feature.step)
    if pa.types.is_timestamp(kind):
        return pa.array(whole).view(kind)
    if pa.types.is_date(kind):
        return pa.array(whole.astype(np.int32)).view(kind)
    return pa.array(whole.astype(kind.to_pandas_dtype()))


def parsed(texts: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    """Values of the type `kind`, written as Spark casts them to text; pa.ArrowInvalid where one is not."""
    values = pa.array(texts, pa.string())
    if pa.types.is_timestamp(kind) and kind.tz:
        return pc.assume_timezone(values.cast(pa.timestamp("us")), kind.tz)
    return values.cast(kind)


def _as_number(value: pa.Scalar) -> float | Decimal:
    """A raw value as the encoder takes it."""
    if pa.types.is_timestamp(value.type) or pa.types.is_date(value.type):
        return int(value.value)
    number: float | Decimal = value.as_py()
    return number
