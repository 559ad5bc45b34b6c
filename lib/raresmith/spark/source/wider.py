"""The narrowest type that holds all values of two."""

from pyspark.sql import types as t

_DIGITS: dict[type[t.DataType], int] = {t.ByteType: 3, t.ShortType: 5, t.IntegerType: 10, t.LongType: 19}
"""Most digits of a whole number."""
_EXACT = {t.FloatType: 7, t.DoubleType: 15}
"""Digits of whole numbers that a float holds whatever they are."""


def wider(a: t.DataType, b: t.DataType) -> t.DataType | None:
    """The narrowest type that holds every value of `a` and of `b`; None where there is none."""
    if a == b:
        return a
    if isinstance(a, t.NullType) or isinstance(b, t.NullType):
        return b if isinstance(a, t.NullType) else a
    if isinstance(b, t.IntegralType) and not isinstance(a, t.IntegralType):
        a, b = b, a
    if isinstance(a, t.IntegralType):
        return _with_whole(a, b)
    if {type(a), type(b)} == {t.FloatType, t.DoubleType}:
        return t.DoubleType()
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        return _decimal(max(a.precision - a.scale, b.precision - b.scale), max(a.scale, b.scale))
    return None


def _with_whole(whole: t.IntegralType, other: t.DataType) -> t.DataType | None:
    digits = _DIGITS[type(whole)]
    if isinstance(other, t.IntegralType):
        return whole if digits > _DIGITS[type(other)] else other
    if isinstance(other, t.DecimalType):
        return _decimal(max(digits, other.precision - other.scale), other.scale)
    if isinstance(other, (t.FloatType, t.DoubleType)):
        return next((kind() for kind in (type(other), t.DoubleType) if digits <= _EXACT[kind]), None)
    return None


def _decimal(whole_digits: int, scale: int) -> t.DecimalType | None:
    return t.DecimalType(whole_digits + scale, scale) if whole_digits + scale <= 38 else None
