"""A trained model as files that stand alone: model.safetensors, its card model.json, and model.md to read.

The three are enough to make rows: the card holds the encoder, and no table is asked. No row of any table is inside.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import torch

from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.gan.artifacts.checkpoint import read_tensors, write_tensors
from raresmith.gan.artifacts.model_card import as_text, privacy
from raresmith.gan.data.representation import Representation
from raresmith.gan.folder import Readable, open_folder
from raresmith.gan.models.base import Latent, Model, Setting
from raresmith.generators.registry import GENERATORS
from raresmith.tables.stage_run import library_versions

if TYPE_CHECKING:  # a task of a cluster's job reads a model, and has no use for configuration
    from raresmith.gan.stage.on_ranks import Stage

FORMAT = 1
"""Of model.json; a reader of another format refuses it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedModel:
    """A model as it was trained, ready to make rows."""

    model: Model
    encoder: Encoder
    card: dict[str, Any]
    """What model.json holds."""
    called: str
    """The model's name, with its sizes and what it starts from."""


def save_model(stage: "Stage", model: Model, history: Mapping[str, Any]) -> None:
    """Write the files of a `model` of the stage; `history` is as `train` returned it."""
    config, run, class_rows = stage.config, stage.run, stage.synthetic_index.counts()
    card: dict[str, Any] = {
        "format": FORMAT,
        "model": model.spec.name,
        "latent": model.latent,
        "classes": model.classes,
        # The shares in which the model makes the classes.
        "class_rows": [class_rows[label] for label in model.classes],
        "random_state": model.seed,
        "token_sizes": model.sizes,
        "encoder": dataclasses.asdict(stage.encoder),
        "key": config.source.key,
        "run_id": run.run_id,
        "inputs": run.inputs,
        "refine": config.refine.document(),
        **run.trace(),
        "config_hash": run.config_hash,
        "libraries": library_versions(),
        **history,
        "differential_privacy": dataclasses.asdict(model.guarantee) if model.guarantee else None,
        "privacy": privacy(model.holds, model.guarantee),
    }
    called = model.spec.called(stage.parameters, model.latent)
    stage.model_folder.write("model.md", as_text(called, card).encode())
    write_tensors(stage.model_folder, "model", model.weights(), card)  # last, for it says that the training is done


FILES = ("model.json", "model.safetensors")
"""The files that a model is loaded from."""


def load_model(location: str, device: torch.device) -> SavedModel:
    """The model in the folder or below the URL `location`, which anyone may have written.

    Raises
    ------
    DataError
        If there is none, or its files are damaged, do not fit each other or are of another kind. Nothing in them is
        run, and no more memory is taken than for what they hold.
    """
    return read_model(open_folder(location), location, device)


def read_model(folder: Readable, location: str, device: torch.device) -> SavedModel:
    """The same of a `folder`, which messages call `location`."""
    try:
        tensors, card = read_tensors(folder, "model")
        _check(card.get("format") == FORMAT, f"is of format {card.get('format')!r} where {FORMAT} is expected")
        encoder = _encoder(card)
        spec = GENERATORS[card["model"]]
        parameters = spec.read_parameters(card["refine"])
        # Sizes are compared on a device without memory, before any is taken.
        with torch.device("meta"):
            expected = _untrained(card, parameters, encoder, torch.device("meta")).weights()
        _check_same(tensors, expected)
        model = _untrained(card, parameters, encoder, device)
        with torch.no_grad():
            for name, tensor in model.weights().items():
                tensor.copy_(tensors[name])
        model.check()
    except FileNotFoundError as error:
        raise DataError(
            f"there is no model in {location} ({error.filename or error} is not there); run refine, or name a folder "
            "that holds model.json and model.safetensors"
        ) from None
    except DataError as error:
        raise DataError(f"the model in {location} {error}; take it from where it was made again") from None
    called = spec.called(parameters, card["latent"])
    return SavedModel(model=model, encoder=encoder, card=card, called=called)


def _encoder(card: dict[str, Any]) -> Encoder:
    """The encoder in a card whose other entries are of the right kind too."""
    for name, known in (("model", [*GENERATORS]), ("latent", [*get_args(Latent)])):
        _check(card.get(name) in known, f"has {card.get(name)!r} as {name} where one of {known} is expected")
    _check(isinstance(card.get("refine"), dict), "has no settings of refine")
    try:
        encoder = Encoder.from_document(card["encoder"])
        width = len(encoder.label.classes)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"has an encoder that cannot be read ({error!r})") from None
    _check(
        len(encoder.features) == len(set(encoder.names)) > 0, "has an encoder whose features are none, or called alike"
    )
    classes, rows = _whole_numbers(card, "classes", 0, width), _whole_numbers(card, "class_rows", 1, 2**63)
    _check(
        classes == sorted(set(classes)) and len(classes) == len(rows) > 0, "has classes and class_rows that do not fit"
    )
    _check(
        type(card.get("random_state")) is int and 0 <= card["random_state"] < 2**63, "has no random_state in [0, 2^63)"
    )
    _whole_numbers(card, "token_sizes", 1, 2**31)
    key = card.get("key")
    _check(isinstance(key, list) and all(isinstance(name, str) for name in key), "has no list of names as key")
    return encoder


def _whole_numbers(card: dict[str, Any], name: str, low: int, high: int) -> list[int]:
    values = card.get(name)
    fit = isinstance(values, list) and all(type(value) is int and low <= value < high for value in values)
    _check(fit, f"has no list of whole numbers in [{low}, {high}) as {name}")
    assert isinstance(values, list)
    return values


def _untrained(card: dict[str, Any], parameters: Any, encoder: Encoder, device: torch.device) -> Model:
    setting = Setting(
        representation=Representation(encoder),
        latent=card["latent"],
        classes=tuple(card["classes"]),
        seed=card["random_state"],
        device=device,
    )
    networks: type[Model] = GENERATORS[card["model"]].model()
    try:
        return networks.rebuild(setting, parameters, card["token_sizes"])
    except (RuntimeError, OverflowError) as error:
        raise DataError(f"has sizes that no tensor can have ({error})") from None


def _check_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Whether the tensors are called, shaped and typed as expected."""
    if found.keys() != expected.keys():
        missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise DataError(f"lacks the tensors {missing[:3]} or has {more[:3]}, which its card does not ask for")
    for name, tensor in expected.items():
        one, other = ((tuple(t.shape), t.dtype) for t in (found[name], tensor))
        _check(one == other, f"has the tensor {name} of {one} where its card asks for {other}")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise DataError(message)
