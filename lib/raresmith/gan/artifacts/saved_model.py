"""A trained model as files that stand alone: model.safetensors, its card model.json, and model.md to read.

The three are enough to make rows: the card holds the encoder, and no table is asked. No row of any table is inside.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.gan.artifacts.checkpoint import write_tensors
from raresmith.gan.artifacts.model_card import as_text, privacy
from raresmith.gan.data.representation import Representation
from raresmith.gan.models.base import Model, Setting
from raresmith.generators.registry import GENERATORS
from raresmith.tables.stage_run import library_versions

if TYPE_CHECKING:  # a task of a cluster's job reads a model, and has no use for configuration
    from raresmith.gan.stage.on_ranks import Stage

FORMAT = 2
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


def rebuilt(tensors: Mapping[str, torch.Tensor], card: dict[str, Any], device: torch.device) -> SavedModel:
    """The model of these weights and a card that `read_model` took: a task of a cluster's job has it checked already.

    Raises
    ------
    DataError
        If they do not fit each other; the message goes on from the model's place. No more memory is taken than for what
        the tensors hold.
    """
    encoder, spec = Encoder.from_document(card["encoder"]), GENERATORS[card["model"]]
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
    return SavedModel(model=model, encoder=encoder, card=card, called=spec.called(parameters, card["latent"]))


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


def _check_same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """Whether the tensors are called, shaped and typed as expected."""
    if found.keys() != expected.keys():
        missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise DataError(f"lacks the tensors {missing[:3]} or has {more[:3]}, which its card does not ask for")
    for name, tensor in expected.items():
        one, other = ((tuple(t.shape), t.dtype) for t in (found[name], tensor))
        if one != other:
            raise DataError(f"has the tensor {name} of {one} where its card asks for {other}")
