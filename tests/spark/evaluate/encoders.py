"""Encoders for the tests of this folder."""

from raresmith.encoding.encoder import CategoricalFeature, Encoder, Label, NumericFeature


def numeric(name: str) -> NumericFeature:
    return NumericFeature(
        name=name, source=name, type="double", transform="linear", center=0.0, scale=1.0, low=0.0, high=1.0,
        impute=0.0, step=0.0, storage="float", encoded_low=0.0, encoded_high=1.0,
    )  # fmt: skip


def categorical(name: str, n: int) -> CategoricalFeature:
    return CategoricalFeature(
        name=name, source=name, type="string", categories=tuple(map(str, range(n))), seen=tuple(range(2, n + 2))
    )


def encoder_of(*features: NumericFeature | CategoricalFeature, classes: tuple[str, ...] = ("no", "yes")) -> Encoder:
    label = Label(name="fraud", type="string", classes=classes, positive=classes[-1])
    return Encoder(features=features, label=label, raw_schema="{}")
