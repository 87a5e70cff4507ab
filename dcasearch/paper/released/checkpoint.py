"""Reads a checkpoint of the authors: tensors by name, and nothing else. No code of a file is ever run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dcasearch.errors import UserError
from dcasearch.models.torch_files import load_tensors
from dcasearch.training import sha256_of

_WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts keep the state dict, beside the epoch and the optimiser's state."""
_PREFIX = "module."
"""What `DataParallel` puts before every name."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The tensors of one file, without the wrappings of a training script."""

    path: Path
    sha256: str
    """Of the file."""
    tensors: Mapping[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of `torch.save`, weights only, or a safetensors file.

    Raises:
        UserError: no such file; it is broken; it holds objects whose reading would run code; it has no state dict.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    content = _load_safetensors(path) if path.suffix == ".safetensors" else _load_torch(path)
    state = _state_dict(content, path)
    if all(name.startswith(_PREFIX) for name in state):
        state = {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}
    return Checkpoint(path=path, sha256=sha256_of(path), tensors=state)


def _load_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no safetensors file: {error}") from error


def _load_torch(path: Path) -> Any:
    try:
        return load_tensors(path.read_bytes())
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is not read. It is no file of torch.save, or it holds more than tensors and plain values. Other "
            "objects would run code of the file. Save its state dict alone, on a machine where that does no harm: "
            f"`torch.save(checkpoint['state_dict'], FILE)`. torch says: {_first_line(error)}"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # torch's unpickler raises whatever broken content leads it to
        raise UserError(f"{path} is no whole file of torch.save: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for found in (content, *(content.get(name) for name in _WRAPPERS if isinstance(content, Mapping))):
        if isinstance(found, Mapping) and found and all(map(_is_entry, found.items())):
            return dict(found)
    has = ", ".join(sorted(map(str, content))[:8]) if isinstance(content, Mapping) else type(content).__name__
    raise UserError(
        f"{path} has no state dict: expected tensors by name, at the top or under {' or '.join(_WRAPPERS)}; got {has}"
    )


def _is_entry(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)
