"""The networks that are looked at: exported specs with their weights, and words for what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dcasearch.architecture import Network
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.data.sets import IMAGENET_MEAN, IMAGENET_STD
from dcasearch.errors import UserError, nearest
from dcasearch.export import Spec, load_model, load_spec
from dcasearch.metrics import CLASSIFICATION
from dcasearch.models import DCANet

_UNTOLD = "model"


@dataclass(frozen=True, eq=False)
class Subject:
    """One exported network with its weights, on the CPU in evaluation mode."""

    name: str
    """Short, different from every other subject's, and usable in a file's name."""
    path: Path
    """Of its spec."""
    spec: Spec
    model: DCANet
    resolution: int
    """Pixels per side of its input."""

    @property
    def words(self) -> str:
        """What the network is, e.g. `connected cbam (spatial)`."""
        return words_of(self.model.network)

    @property
    def normalization(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Mean and deviation of pixels in 0..1, per channel; ImageNet's where the spec says none."""
        how = self.spec.preprocessing
        return (IMAGENET_MEAN, IMAGENET_STD) if how is None else (how.mean, how.std)

    def class_name(self, number: int) -> str:
        """Return the name of an output; its number where the spec has no names."""
        names = self.spec.class_names
        return str(number) if names is None or len(names) <= number else names[number]

    def class_number(self, wanted: str) -> int:
        """Return the output that a user names, or numbers from 0.

        Raises:
            UserError: the network has no such class.
        """
        names = self.spec.class_names or ()
        if wanted in names:
            return names.index(wanted)
        if wanted.isdecimal() and int(wanted) < self.spec.num_classes:
            return int(wanted)
        known = nearest(wanted, names) if names else "its classes have no names"
        raise UserError(f"'{wanted}' is no class of {self.path}, which has {self.spec.num_classes}; {known}")


def load_subjects(paths: Sequence[Path], resolution: int | None = None) -> list[Subject]:
    """Return the networks of some specs, in their order.

    Args:
        paths: of exported specs; the weights lie beside them.
        resolution: pixels per side of every input; None: each spec's own.

    Raises:
        UserError: a spec or its weights are missing or broken, or a network classifies nothing.
    """
    subjects = []
    for path, name in zip(paths, names_of(paths), strict=True):
        spec = load_spec(path)
        if spec.task != CLASSIFICATION.name:
            raise UserError(f"{path} has learned {spec.task}; Grad-CAM here explains a class")
        model = cast(DCANet, load_model(path))
        subjects.append(Subject(name, path, spec, model, resolution or spec.resolution))
    return subjects


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each file: its stem, or its folder's name where the stem says nothing; else a number too.

    `model` says nothing: `dcasearch train` calls every spec so. Nor does a stem that another file has.
    """
    stems = [path.stem for path in paths]
    named = [stem != _UNTOLD and stems.count(stem) == 1 for stem in stems]
    folders = [path.resolve().parent.name or path.stem for path in paths]
    names = [stem if known else folder for stem, folder, known in zip(stems, folders, named, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{n}-{name}" for n, name in enumerate(names, start=1)]
    return names


def words_of(network: Network) -> str:
    """Return what a network is: plain, vanilla with its attention, or connected with the dimensions that are."""
    kinds = sorted({node.kind for node in network.nodes} - {NO_ATTENTION})
    if not kinds:
        return f"plain {network.backbone[0]}"
    attention = "+".join(kinds)
    if not network.edges:
        return f"vanilla {attention}"
    return f"connected {attention} ({', '.join(network.dimensions)})"
