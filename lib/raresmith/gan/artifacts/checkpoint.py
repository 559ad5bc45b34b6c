"""Checkpoints and models as safetensors and JSON: nothing is pickled, and a torn or changed file is noticed."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from raresmith.errors import DataError
from raresmith.gan.folder import Folder, Readable
from raresmith.gan.ranks import Ranks

logger = logging.getLogger(__name__)

Saved = tuple[dict[str, torch.Tensor], dict[str, Any]]
"""Tensors by name, and the notes beside them."""
KEPT = 2
"""Checkpoints that stay: the newest, and the one before it in case the newest is damaged."""


def write_tensors(folder: Folder, name: str, tensors: Mapping[str, torch.Tensor], notes: dict[str, Any]) -> None:
    """Write `name`.safetensors, then `name`.json: `notes`, and a digest that vouches for them and for the tensors."""
    data = save({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    folder.write(f"{name}.safetensors", data)
    notes = json.loads(json.dumps(notes, allow_nan=False))
    document = {**notes, "sha256": _digest(notes, data)}
    folder.write(f"{name}.json", json.dumps(document, indent=1, sort_keys=True).encode())


def read_tensors(folder: Readable, name: str) -> Saved:
    """What `write_tensors` wrote, the digest among its notes.

    Raises
    ------
    FileNotFoundError
        If one of the two files is not there.
    DataError
        If they are torn, changed or of another kind; the message goes on from the name of the files.
    """
    try:
        document, data = json.loads(folder.read(f"{name}.json")), folder.read(f"{name}.safetensors")
        notes = {key: value for key, value in document.items() if key != "sha256"}
        if _digest(notes, data) != document.get("sha256"):
            raise DataError("is damaged: its digest is not the one in its JSON")
        return load(data), document
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"is damaged: its JSON cannot be read ({error})") from None
    except SafetensorError as error:
        raise DataError(f"is damaged: it holds no safetensors ({error})") from None


def whole(folder: Folder, name: str) -> Saved | None:
    """The same, or None where a file is missing or, as is logged, damaged."""
    try:
        return read_tensors(folder, name)
    except FileNotFoundError:
        return None
    except DataError as error:
        logger.warning("%s %s; it is not used", name, error, extra={"stage": "refine"})
        return None


def _digest(notes: dict[str, Any], data: bytes) -> str:
    return hashlib.sha256(json.dumps(notes, sort_keys=True).encode() + data).hexdigest()


def save_checkpoint(
    folder: Folder, fingerprint: str, step: int, tensors: Mapping[str, torch.Tensor], notes: dict[str, Any]
) -> None:
    """Add the checkpoint of `step` steps done by the run of `fingerprint`, and drop all but the newest `KEPT`."""
    write_tensors(
        folder, f"{_stem(fingerprint)}{step:09d}", tensors, {**notes, "fingerprint": fingerprint, "step": step}
    )
    for name in _names(folder, _stem(fingerprint))[KEPT:]:
        _delete(folder, name)


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Those of the run of `fingerprint`, in `folder`."""

    folder: Folder
    fingerprint: str
    saved: Saved | None = None
    """The one to go on from, on the main rank."""

    def save(self, step: int, tensors: Mapping[str, torch.Tensor], notes: dict[str, Any]) -> None:
        """As `save_checkpoint`."""
        save_checkpoint(self.folder, self.fingerprint, step, tensors, notes)


def newest_checkpoint(folder: Folder, fingerprint: str) -> Saved | None:
    """The newest checkpoint that is whole and belongs to the run of `fingerprint`, or None."""
    for name in _names(folder, _stem(fingerprint)):
        found = whole(folder, name)
        if found is not None and found[1].get("fingerprint") == fingerprint:
            return found
    return None


def restore(ranks: Ranks, saved: Saved | None, state: dict[str, torch.Tensor]) -> int:
    """Fill the tensors of `state` on every rank with what the first rank read, in place; return its step, or -1."""
    step = int(ranks.broadcast(torch.tensor(saved[1]["step"] if saved else -1, device=ranks.device)))
    if step >= 0:
        with torch.no_grad():
            for name, tensor in state.items():
                if saved:
                    tensor.copy_(saved[0][name])
                ranks.broadcast(tensor)
    return step


def delete_checkpoints(folder: Folder) -> None:
    """Delete the checkpoints of this and of earlier runs, and what processes that were killed left of theirs."""
    folder.delete_all("checkpoint-")


def _stem(fingerprint: str) -> str:
    return f"checkpoint-{fingerprint[:8]}-"


def _names(folder: Folder, stem: str) -> list[str]:
    """Newest first; one without its JSON was never finished and counts too."""
    return sorted({name.split(".")[0] for name in folder.names() if name.startswith(stem)}, reverse=True)


def _delete(folder: Folder, name: str) -> None:
    folder.delete(f"{name}.json")  # first: tensors without it are not used
    folder.delete(f"{name}.safetensors")
