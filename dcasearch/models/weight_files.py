"""Weights in a file of any origin: safetensors or torch, wrapped or not, of a library's network or of ours."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from dcasearch.errors import UserError
from dcasearch.models.torch_files import load_tensors
from dcasearch.wording import counted

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
"""Keys under which training scripts store a network, in the order in which they are looked for, which is timm's."""
_PREFIXES = ("module.", "_orig_mod.")
"""That DDP and `torch.compile` put before every name."""
_OURS = ("backbone.", "attention.", "connections.")
"""Beginnings of the names in a network of this package."""
_TORCH = (b"PK", b"\x80")
"""First bytes of torch's files: a zip, or in old versions a pickle."""
_HEADER = 8
"""Bytes before safetensors' JSON."""


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """What a file holds of a backbone."""

    words: str
    """The file, in messages."""
    values: Mapping[str, Tensor]
    """Parameters and buffers by the library's names, on the CPU."""
    whole: Mapping[str, Tensor] | None
    """Of a file of this package everything, attention and connections too, by the names of its network."""
    notes: tuple[str, ...]
    """What was done to get there, a phrase each."""


def parse_weights(content: bytes, words: str) -> WeightsFile:
    """Return the weights of a file.

    Args:
        content: of the file; nothing in it is executed.
        words: the file, in messages.

    Raises:
        UserError: it is neither safetensors nor a torch file of tensors, or holds no network.
    """
    values, notes = _unwrapped(_read(content, words), words)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in values):
            values = {name.removeprefix(prefix): tensor for name, tensor in values.items()}
            notes.append(f"took `{prefix}` off every name")
    whole: Mapping[str, Tensor] | None = None
    if all(name.startswith(_OURS) for name in values):
        whole = values
        values = {name.removeprefix(_OURS[0]): tensor for name, tensor in whole.items() if name.startswith(_OURS[0])}
        if beside := len(whole) - len(values):
            notes.append(f"left {counted(beside, 'tensor')} of its attention and connections")
    return WeightsFile(words, values, whole, tuple(notes))


def _read(content: bytes, words: str) -> Any:
    if content[_HEADER : _HEADER + 1] == b"{":
        try:
            return safetensors.torch.load(content)
        except SafetensorError as error:
            raise UserError(f"{words} is a broken safetensors file: {error}") from error
    if not content.startswith(_TORCH):
        raise UserError(f"{words} is neither a safetensors nor a torch file")
    try:
        return load_tensors(content)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{words} holds more than tensors, or is broken. What could run code is not read: save the network's "
            "`state_dict()` alone, as safetensors or with torch.save"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # torch's unpickler raises whatever broken content leads it to
        raise UserError(f"{words} is a broken torch file: {str(error)[:300]}") from error


def _unwrapped(held: Any, words: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by name, out of what training scripts put around them."""
    notes: list[str] = []
    while isinstance(held, Mapping):
        if held and all(isinstance(value, Tensor) for value in held.values()):
            return {str(name): value for name, value in held.items()}, notes
        wrapper = next((name for name in _WRAPPERS if isinstance(held.get(name), Mapping)), None)
        if wrapper is None:
            break
        notes.append(f"took what lies under `{wrapper}`")
        held = held[wrapper]
    shown = ", ".join(map(str, list(held)[:5])) if isinstance(held, Mapping) else type(held).__name__
    raise UserError(f"{words} holds no network: expected tensors by name, got {shown or 'nothing'}")
