"""From a checkpoint of the authors to a spec with weights, which `verify`, `evaluate` and `load_model` read."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from dcasearch import __version__
from dcasearch.data import IMAGENET_MEAN, IMAGENET_STD, Source, preprocessing_of
from dcasearch.errors import UserError
from dcasearch.export import Foreign, Spec, export_foreign
from dcasearch.paper.released.checkpoint import Checkpoint, read_checkpoint
from dcasearch.paper.released.fitting import converted, misfit, named
from dcasearch.paper.released.key_map import CLASSES, KeyMap, key_map
from dcasearch.paper.released.table import Released, released_of

RESOLUTION = 224
"""Pixels per side that every released network was trained and measured at."""
_IMAGES = Source(class_names=(), mean=IMAGENET_MEAN, std=IMAGENET_STD, size=None, reading="cropped")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import wrote, and what it left out."""

    spec: Spec
    released: Released
    tensors: int
    """Keys of the checkpoint that the network holds now."""
    dropped: int
    """Keys of the first block's connection, which change no output: the network here has none."""
    rounded: bool
    """Whether numbers were rounded: the checkpoint was fp64."""


def import_checkpoint(
    path: Path, row: str, out: Path, weights: Path | None = None, *, despite_differences: bool = False
) -> Imported:
    """Write the spec and the weights (fp32) of a released checkpoint; all of it, or nothing.

    Args:
        path: A file of `torch.save` or safetensors; read as tensors alone, no code of it is run.
        row: Id of the released model, see `dcasearch paper import --list`.
        out: The YAML spec to write.
        weights: The safetensors beside it; by default of the same name.
        despite_differences: Also import a network that computes otherwise here than in the released code.

    Raises:
        UserError: the row is not one that released code builds; the file is broken or is another network's, which the
            message names as far as it is known; or the network computes otherwise here.
    """
    released = released_of(row)
    if released.differs and not despite_differences:
        raise UserError(
            f"'{row}' is not imported: {released.differs}. --despite-differences imports it all the same, e.g. as a "
            "start for further training; its accuracy is then not the paper's."
        )
    checkpoint = read_checkpoint(path)
    keys = key_map(released.architecture, released.names)
    tensors = ours_of(checkpoint, released, keys)
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "weights.safetensors"
        save_file({name: _stored(tensor) for name, tensor in tensors.items()}, stored)
        spec = export_foreign(
            out,
            Foreign(
                architecture=released.architecture,
                num_classes=CLASSES,
                resolution=RESOLUTION,
                preprocessing=preprocessing_of(_IMAGES, RESOLUTION),
                provenance=_provenance(checkpoint, row, released),
            ),
            stored,
            weights,
        )
    dropped = len(keys.dead.keys() & checkpoint.tensors.keys())
    return Imported(
        spec=spec,
        released=released,
        tensors=len(checkpoint.tensors) - dropped,
        dropped=dropped,
        rounded=any(tensor.dtype == torch.float64 for tensor in tensors.values()),
    )


def ours_of(checkpoint: Checkpoint, released: Released, keys: KeyMap) -> dict[str, Tensor]:
    """Return a checkpoint's tensors under our names, every one of the network's.

    Raises:
        UserError: a key is missing or left over, or has another shape; or it holds no finite numbers.
    """
    found = misfit(checkpoint.tensors, keys.keys)
    if found:
        raise UserError(f"{checkpoint.path} is not {released.factory}: {found}. {named(checkpoint)}")
    ours = converted(checkpoint.tensors, keys)
    _check_numbers(checkpoint, keys)
    return ours


def _check_numbers(checkpoint: Checkpoint, keys: KeyMap) -> None:
    for key in sorted({source.key for source in keys.sources.values()} & checkpoint.tensors.keys()):
        tensor = checkpoint.tensors[key]
        if not tensor.is_floating_point() and tensor.dim():
            raise UserError(f"{checkpoint.path}: {key} holds {tensor.dtype}; weights are floating-point numbers")
        if not torch.isfinite(tensor).all():
            raise UserError(f"{checkpoint.path}: {key} holds numbers that are not finite")


def _stored(tensor: Tensor) -> Tensor:
    return (tensor.float() if tensor.is_floating_point() else tensor.long()).contiguous()


def _provenance(checkpoint: Checkpoint, row: str, released: Released) -> Mapping[str, str]:
    said = {
        "imported_by": f"dcasearch {__version__}",
        "imported_from": checkpoint.path.name,
        "imported_sha256": checkpoint.sha256,
        "factory": f"{released.factory} of the DCANet authors' released code",
        "row": row,
        "note": released.note,
        "differs": released.differs,
    }
    return {name: value for name, value in said.items() if value}
