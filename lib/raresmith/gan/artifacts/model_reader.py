"""A saved model as anyone may have written it: its card goes through a typed schema before anything is made of it."""

import json
import reprlib
from typing import Annotated, Any, Self

import torch
from annotated_types import Ge, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from raresmith.encoding.encoder import CategoricalFeature, Encoder, Label, NumericFeature
from raresmith.errors import DataError
from raresmith.gan.artifacts.checkpoint import read_tensors
from raresmith.gan.artifacts.saved_model import FORMAT, SavedModel, rebuilt
from raresmith.gan.folder import Readable, in_a_line, open_folder
from raresmith.gan.models.base import Latent
from raresmith.gan.models.guarantee import Guarantee
from raresmith.generators.registry import GENERATORS

_TYPED = ConfigDict(strict=True, allow_inf_nan=False, str_max_length=2**20)
_Long = Annotated[int, Ge(0), Lt(2**63)]


class EncoderDocument(BaseModel):
    """The encoder; its dataclasses check what their own fields ask of each other."""

    model_config = ConfigDict(**_TYPED, extra="forbid")

    features: Annotated[
        tuple[Annotated[NumericFeature | CategoricalFeature, Field(discriminator="kind")], ...],
        MinLen(1),
        MaxLen(2**17),
    ]
    label: Label
    raw_schema: Annotated[str, MaxLen(2**26)]

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        Encoder(features=self.features, label=self.label, raw_schema=self.raw_schema)
        return self


class Card(BaseModel):
    """What is read of model.json to make rows. All else that it tells is for people, and nothing is made of it."""

    model_config = _TYPED

    model: str
    latent: Latent
    classes: Annotated[tuple[_Long, ...], MinLen(1)]
    class_rows: tuple[Annotated[int, Ge(1), Lt(2**63)], ...]
    random_state: _Long
    token_sizes: tuple[Annotated[int, Ge(1), Lt(2**31)], ...]
    encoder: EncoderDocument
    key: tuple[str, ...]
    refine: dict[str, Any]
    """The keys of the generator's own; it reads them by their types."""
    differential_privacy: Guarantee | None = None

    @field_validator("model")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in GENERATORS:
            raise ValueError(f"{reprlib.repr(name)} is none of {[*GENERATORS]}")
        return name

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        rising = self.classes == tuple(sorted(set(self.classes)))
        known = self.classes[-1] < len(self.encoder.label.classes)
        if not rising or not known or len(self.classes) != len(self.class_rows):
            raise ValueError("classes and class_rows do not fit each other and the label")
        return self


def load_model(location: str, device: torch.device) -> SavedModel:
    """The model in the folder or below the URL `location`, which anyone may have written.

    Raises
    ------
    DataError
        If there is none, or its files are damaged, do not fit each other or are of another kind. Nothing in them is
        run, and no more memory is taken than for what they hold.
    """
    try:
        folder = open_folder(location)
    except (OSError, ValueError) as error:
        raise DataError(f"{location!r} is no place that a model can be read from ({in_a_line(error)})") from None
    return read_model(folder, location, device)


def read_model(folder: Readable, location: str, device: torch.device) -> SavedModel:
    """The same of a `folder`, which messages call `location`."""
    try:
        tensors, card = read_tensors(folder, "model")
        _check(card)
        return rebuilt(tensors, card, device)
    except FileNotFoundError as error:
        raise DataError(
            f"there is no model in {location} ({error.filename or error} is not there); run refine, or name a folder "
            "that holds model.json and model.safetensors"
        ) from None
    except OSError as error:
        raise DataError(
            f"the model in {location} cannot be read ({in_a_line(error)}); name a folder that holds "
            "the files model.json and model.safetensors"
        ) from None
    except DataError as error:
        raise DataError(f"the model in {location} {error}; take it from where it was made again") from None


def _check(card: dict[str, Any]) -> None:
    """Refuse a card that is not as `Card` says, by a message that goes on from the model's place."""
    if card.get("format") != FORMAT:
        raise DataError(f"is of format {reprlib.repr(card.get('format'))} where {FORMAT} is expected")
    try:
        # As JSON, in which a list may be a tuple and a whole number a float, and nothing else is taken for another.
        Card.model_validate_json(json.dumps(card))
    except ValidationError as error:
        raise DataError(_sentence(error.errors(include_url=False)[0])) from None


def _sentence(error: ErrorDetails) -> str:
    """What pydantic found, on from the model's place."""
    place = ".".join(str(part) for part in error["loc"] if part not in ("numeric", "categorical")) or "its card"
    if error["type"] == "missing":
        return f"has no {place}"
    if cause := error.get("ctx", {}).get("error"):
        return f"has wrong values in {place}: {str(cause)[:300]}"
    told = error["msg"] if len(error["msg"]) < 200 else error["type"]
    expected = " ".join(told.split()).removeprefix("Input should be ")
    why = f" where {expected} is expected" if told.startswith("Input should be") else f" ({expected})"
    return f"has {reprlib.repr(error['input']):.200} as {place}{why}"
