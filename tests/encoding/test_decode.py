import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raresmith.encoding.decode import RawUnits, encoded_number
from raresmith.encoding.encoder import CategoricalFeature, Encoder, Feature, Label, NumericFeature
from raresmith.errors import DataError

LABEL = Label(name="y", type="integer", classes=("3", "7"), positive="7")


def number(name: str, kind: str = "double", **more: Any) -> NumericFeature:
    scale = {"transform": "linear", "center": 10.0, "scale": 5.0, "low": 0.0, "high": 100.0, "step": 0.0}
    stored = {"impute": 0.0, "storage": "double", "encoded_low": -2.0, "encoded_high": 18.0}
    return NumericFeature(**{"name": name, "source": name, "type": kind, **scale, **stored, **more})


def encoder_of(*features: Feature, kinds: dict[str, object] | None = None) -> Encoder:
    raw = {f.source: f.type for f in features if f.source} | (kinds or {}) | {"y": "integer"}
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in raw.items()]
    return Encoder(features=features, label=LABEL, raw_schema=json.dumps({"type": "struct", "fields": fields}))


def category(
    name: str,
    kind: str = "string",
    categories: tuple[str, ...] = ("a", "b"),
    seen: tuple[int, ...] = (1, 2, 3),
    **more: Any,
) -> CategoricalFeature:
    return CategoricalFeature(name=name, source=name, type=kind, categories=categories, seen=seen, **more)


def decoded(encoder: Encoder, **features: list[float]) -> dict[str, list[Any]]:
    n = len(next(iter(features.values())))
    columns = {name: np.array(values) for name, values in features.items()}
    rows: dict[str, list[Any]] = RawUnits(encoder, ["key"]).rows(columns, np.zeros(n, np.int32)).to_pydict()
    return rows


def test_numbers_come_back_in_raw_units_on_their_grid_and_in_range() -> None:
    encoder = encoder_of(number("x"), number("n", "integer", step=1.0), number("cents", step=0.01))
    rows = decoded(encoder, x=[0.5, -9.0, 99.0], n=[0.31, -9.0, 99.0], cents=[0.0246, -9.0, 99.0])
    assert rows["x"] == [12.5, 0.0, 100.0]
    assert rows["n"] == [12, 0, 100]
    assert rows["cents"] == [10.12, 0.0, 100.0]


def test_every_type_comes_back_exactly() -> None:
    day = {"transform": "linear", "center": 0.0, "scale": 1.0, "low": -1e18, "high": 1e18, "step": 1.0}
    few = {**day, "low": -32768.0, "high": 32767.0}
    encoder = encoder_of(
        number("t", "timestamp", **day), number("u", "timestamp_ntz", **day), number("d", "date", **few),
        number("m", "decimal(10,2)", **{**day, "step": 0.01, "low": -99999999.99, "high": 99999999.99}),
        number("s", "short", **few), number("f", "float"),
    )  # fmt: skip
    rows = decoded(encoder, t=[-1.0], u=[1.5e15], d=[-1.0], m=[-12345678.91], s=[-7.0], f=[0.1])
    assert rows["t"] == [dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)]
    assert rows["u"] == [dt.datetime(2017, 7, 14, 2, 40)]
    assert rows["d"] == [dt.date(1969, 12, 31)]
    assert rows["m"] == [Decimal("-12345678.91")]
    assert rows["s"] == [-7]
    assert rows["f"] == [np.float32(10.5)]


@given(st.lists(st.integers(-(2**51), 2**51), min_size=1, max_size=20))
def test_decimals_keep_every_digit(cents: list[int]) -> None:
    wide = {"center": 0.0, "scale": 1.0, "low": -1e14, "high": 1e14, "step": 0.01}
    encoder = encoder_of(number("m", "decimal(18,2)", **wide))
    assert decoded(encoder, m=[x / 100 for x in cents])["m"] == [Decimal(x) / 100 for x in cents]


def test_a_null_comes_back_where_its_indicator_says_so_and_codes_as_their_categories() -> None:
    indicator = CategoricalFeature(
        name="x_is_null", source="", type="boolean", categories=("false", "true"), seen=(2, 3), made=True
    )
    encoder = encoder_of(
        number("x", state="x_is_null"), category("c", seen=(0, 1, 2, 3), other="z"),
        category("k", "integer", ("1", "5")), indicator,
        kinds={"key": "long", "list": {"type": "array", "elementType": "string"}},
    )  # fmt: skip
    rows = decoded(encoder, x=[0.0, 0.0, 0.0, 0.0], x_is_null=[2, 3, 2, 2], c=[0, 1, 2, 3], k=[1, 2, 3, 3])
    assert rows == {
        "x": [10.0, None, 10.0, 10.0],
        "c": ["z", None, "a", "b"],
        "k": [None, 1, 5, 5],
        "key": [None] * 4,
        "list": [None] * 4,
        "y": [3] * 4,
    }
    assert RawUnits(encoder, []).schema.field("list").type == pa.list_(pa.string())


@pytest.mark.parametrize("transform", ["linear", "log", "quantile"])
@given(x=st.floats(-1000, 1000))
def test_encoding_and_decoding_undo_each_other(transform: str, x: float) -> None:
    knots: dict[str, Any] = {"knots": (-1000.0, 0.0, 1.0, 500.0, 1000.0), "scores": (-3.0, -1.0, 0.5, 1.0, 3.0)}
    feature = number("x", transform=transform, center=1.0, scale=3.0, low=-1000.0, high=1000.0, **knots)
    (back,) = decoded(encoder_of(feature), x=[encoded_number(feature, x)])["x"]
    assert back == pytest.approx(x, abs=1e-9)


def test_rows_are_compared_as_they_are_in_raw_units() -> None:
    indicator = CategoricalFeature(
        name="x_is_null", source="", type="boolean", categories=("false", "true"), seen=(2, 3), made=True
    )
    encoder = encoder_of(
        number("x", state="x_is_null", impute=10.0), number("cents", step=0.01), category("c"), indicator,
        number("made", made=True),
    )  # fmt: skip
    rows = {"x": [0.0] * 8, "x_is_null": [2.0] * 8, "cents": [0.0] * 8, "c": [2.0] * 8, "made": [0.0] * 8}
    rows["made"][1] = 1.0  # no raw column
    rows["cents"][2] = 0.0001  # the same cent
    rows["cents"][3] = 0.002  # the next one
    rows["c"][4] = 3.0
    rows["x"][5] = 1e-9
    rows["x_is_null"][6:] = [3.0, 3.0]  # null is not 10, and nulls are equal
    rows["x"][7] = 1.0
    columns = RawUnits(encoder, []).comparable({name: np.array(values) for name, values in rows.items()})
    different = [tuple(column[i] for column in columns) for i in range(8)]
    assert [different.index(row) for row in different] == [0, 0, 0, 3, 4, 5, 6, 6]


def test_a_given_value_is_what_the_features_would_be() -> None:
    indicator = CategoricalFeature(
        name="x_is_null", source="", type="boolean", categories=("false", "true"), seen=(2, 3), made=True
    )
    encoder = encoder_of(
        number("x", state="x_is_null"), number("n", "integer", step=1.0), category("c"), indicator,
        category("b", "boolean", ("false", "true")), number("d", "date", center=0.0, scale=1.0, step=1.0),
    )  # fmt: skip
    raw = RawUnits(encoder, [])
    assert raw.given("x", "12.5") == ({"x": 0.5, "x_is_null": 2.0}, pa.scalar(12.5))
    assert raw.given("n", "15") == ({"n": 1.0}, pa.scalar(15, pa.int32()))
    assert raw.given("c", "b") == ({"c": 3.0}, pa.scalar("b"))
    assert raw.given("b", "true") == ({"b": 3.0}, pa.scalar(True))
    assert raw.given("d", "1970-01-11") == ({"d": 10.0}, pa.scalar(dt.date(1970, 1, 11)))


@pytest.mark.parametrize(
    ("column", "text", "sentence"),
    [
        ("z", "1", r"no column 'z' that can be given; it has \['x', 'n', 'c'\]"),
        ("y", "3", "no column 'y' that can be given"),
        ("x", "much", "column 'x' is double, and 'much' is none"),
        ("x", "nan", "column 'x' lies from 0.0 to 100.0 in the train rows, and nan does not"),
        ("x", "100.5", "column 'x' lies from 0.0 to 100.0 in the train rows, and 100.5 does not"),
        ("n", "3.5", "column 'n' is int32, and '3.5' is none"),
        ("s", "0.125", "column 's' has multiples of 0.01, and 0.125 is none"),
        ("c", "q", r"column 'c' has no category 'q' in the train rows; some that it has are \['a', 'b'\]"),
    ],
)
def test_a_value_that_no_train_row_could_have_is_refused(column: str, text: str, sentence: str) -> None:
    features: list[Feature] = [number("x"), number("n", "integer", step=1.0), category("c")]
    more = [number("s", step=0.01)] if column == "s" else []
    with pytest.raises(DataError, match=sentence):
        RawUnits(encoder_of(*features, *more), []).given(column, text)


def test_a_raw_schema_that_does_not_fit_the_features_is_refused() -> None:
    good = encoder_of(number("x"))
    for text, found in (
        ("{}", "fields"),
        ("[", "JSONDecodeError"),
        (good.raw_schema.replace('"x"', '"z"'), "x"),
        (good.raw_schema.replace('"y"', '"z"'), "y"),
        (good.raw_schema.replace("double", "string"), "column 'x' is string but encoded as a number"),
        (good.raw_schema.replace("integer", "date"), "3"),
        (good.raw_schema.replace("double", "integer"), "column 'x' is int32 but encoded as double"),
        (good.raw_schema.replace('"x"', "7"), "TypeError"),
        (good.raw_schema.replace("double", "decimal(99,1)"), "precision"),
        (good.raw_schema.replace("double", "decimal(2,3)"), "more decimals than digits"),
        (good.raw_schema.replace("}]", '}, {"name": "x", "type": "long"}]'), "3 columns or fields with 2 different"),
        (with_type(good, {"type": "struct", "fields": []}), "0 columns or fields"),
        (with_type(good, deep(40)), "types of more than 32 within another"),
        ("[" * 100_000, "RecursionError"),
    ):
        with pytest.raises(DataError, match=f"raw schema does not fit its features .*{found}.*run prepare again"):
            RawUnits(Encoder(features=good.features, label=LABEL, raw_schema=text), [])
    assert RawUnits(Encoder(features=good.features, label=LABEL, raw_schema=with_type(good, deep(20))), []).schema


def with_type(encoder: Encoder, kind: object) -> str:
    """The raw schema with one more column of the type."""
    document = json.loads(encoder.raw_schema)
    return json.dumps({**document, "fields": [*document["fields"], {"name": "more", "type": kind}]})


def deep(levels: int) -> object:
    kind: object = "string"
    for _ in range(levels):
        kind = {"type": "array", "elementType": kind, "containsNull": True}
    return kind


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("short", {"high": 40_000.0}, "is int16 but has train values from 0 to 40000 steps of 1"),
        ("byte", {"low": -129.0}, "is int8 but has train values from -129"),
        ("date", {"high": 3e9}, "has train values from 0 to 3e.09"),
        ("long", {"high": 1e18, "step": 1.0, "origin": 9 * 10**18}, "has train values from 0 to 1e.18 steps of 1"),
        ("long", {"high": 1e300}, "more steps of 1 than can be counted"),
        ("long", {"step": 7.0}, "has train values off its steps of 7"),
        ("long", {"step": 1e17}, "has train values off its steps of 1e.17"),
        ("integer", {"high": 0.0, "step": 1e12}, r"has train values from 0 to 0 steps of 1e.12"),
        ("integer", {"step": 0.1}, "has train values from 0 to 1000 steps of 0.1"),
        ("decimal(4,1)", {"high": 1000.0, "step": 0.1}, "has train values from 0 to 10000 steps of 0.1"),
        ("decimal(5,1)", {"step": 0.01}, "has train values from 0 to 10000 steps of 0.01"),
        ("decimal(5,1)", {"step": 50.0}, "has train values from 0 to 2 steps of 50"),
        ("decimal(38,30)", {"step": 1e-30}, "more steps of 1e-30 than can be counted"),
        ("float", {"high": 1e39, "step": 0.0}, "has train values from 0 to 1e.39"),
    ],
)
def test_a_range_that_the_raw_type_cannot_hold_is_refused(kind: str, values: dict[str, Any], sentence: str) -> None:
    RawUnits(encoder_of(number("x", kind, step=0.0 if kind == "float" else 1.0)), [])
    with pytest.raises(DataError, match=sentence):
        RawUnits(encoder_of(number("x", kind, **{"step": 1.0, **values})), [])


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("double", {"step": 7.0}, "step must be a power of ten"),
        ("double", {"step": 0.07}, "step must be a power of ten"),
        ("double", {"step": 1e-320}, "step must be a power of ten"),
        ("long", {"step": 1e308}, "step must be a power of ten"),
        ("long", {"step": 1.5}, "step must be a power of ten, or a whole number"),
        ("double", {"impute": float("nan")}, "numbers must be finite"),
        ("double", {"outlier": float("inf")}, "numbers must be finite"),
        ("double", {"encoded_high": 1e39}, "encoded numbers must fit 32 bits"),
    ],
)
def test_a_number_that_cannot_be_decoded_is_refused(kind: str, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        number("x", kind, **values)


def test_features_that_do_not_go_with_each_other_are_refused() -> None:
    cases: list[tuple[tuple[Feature, ...], str]] = [
        ((number("x"), number("x")), "must not be called alike"),
        ((number("x"), number("z", source="x")), r"\['x'\] are more"),
        ((number("y"),), r"\['y'\] are more"),
        ((number("x", state="z"),), "state 'z' must be a feature of"),
        ((number("x", state="c"), category("c")), "state 'c' must be a feature of"),
    ]
    for features, sentence in cases:
        with pytest.raises(ValueError, match=sentence):
            Encoder(features=features, label=LABEL, raw_schema="")
    with pytest.raises(ValueError, match="categories must be distinct"):
        category("c", categories=("a", "a"))
    with pytest.raises(ValueError, match="classes of the label 'y' must be distinct"):
        Label(name="y", type="string", classes=("a", "a"), positive="a")


def test_a_row_with_a_number_that_is_not_finite_is_never_made() -> None:
    steep: dict[str, Any] = {"knots": (-1e308, 1e308), "scores": (0.0, 5e-324), "transform": "quantile"}
    for feature, x in ((number("x"), float("nan")), (number("x", **steep), 1.0)):
        with pytest.raises(DataError, match="column 'x' would have numbers that are not finite in 1 of 2 rows"):
            decoded(encoder_of(feature), x=[0.0, x])
