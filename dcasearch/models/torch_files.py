"""Reading what `torch.save` wrote: tensors and plain values alone, and no more memory than the file has bytes."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import torch

_ZIP = b"PK"


class Inflated(Exception):
    """A file that would be larger in memory than it is; `str()` says it."""


def load_tensors(content: bytes, device: torch.device | str = "cpu") -> Any:
    """Return what a file holds; nothing in it is executed.

    Args:
        content: of the file.
        device: where its tensors go.

    Raises:
        Inflated: its parts are compressed, which torch never does: a few kilobytes could ask for all memory.
        Exception: whatever broken content leads torch's unpickler to.
    """
    if content.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
            if unpacked > len(content) or any(part.compress_type != zipfile.ZIP_STORED for part in parts.infolist()):
                raise Inflated(f"its parts are compressed, {unpacked:,} bytes in a file of {len(content):,}")
    return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
