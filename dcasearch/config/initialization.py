"""What the trainings of a fidelity start from: random values, their vanilla parent, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Longest
from dcasearch.config.data_set import Channels, CropShare, Interpolation
from dcasearch.config.numbers import MAX_CLASSES, MAX_PATHS, Epochs, Size
from dcasearch.config.recipe import Recipe

_OPTIONS = {
    "scratch": frozenset[str](),
    "vanilla": frozenset({"epochs", "recipe", "max_parents", "allow_jump"}),
    "exported": frozenset({"specs"}),
    "weights": frozenset[str](),
}
"""Of each way to start; those of a weights file belong to `weights` and to `vanilla`."""
OF_FILES = frozenset({"weights", "sha256", "mean", "std", "interpolation", "crop", "class_names", "probe"})
"""Options that say something of a weights file."""


class Initialization(Frozen):
    """What the trainings of a fidelity start from."""

    name: Literal["scratch", "vanilla", "exported", "weights"] = "scratch"
    """vanilla: the weights of the same network without connections, which is trained first, once per seed. exported,
    of a detector alone: the network that it stands on has the weights of the exported spec of its architecture.
    weights: the backbone has the weights of a file, attention and connections are drawn."""
    epochs: Epochs | None = None
    """vanilla only: of that parent's training; else as many as the fidelity has."""
    recipe: Recipe | None = None
    """vanilla only: the parent's; else the fidelity's own. In YAML as there."""
    max_parents: Size = 4
    """vanilla only: a space with more distinct parents is trained from scratch, parent's epochs and own together."""
    allow_jump: bool = False
    """vanilla only: train functions too that cannot start as their parent (softmax, learned, concat)."""
    specs: Annotated[tuple[str, ...], Field(strict=False), Longest(MAX_PATHS)] = ()
    """exported only: paths of exported specs, one of each architecture of the space."""
    weights: str | None = None
    """weights, and vanilla for its parents: a safetensors or torch file, an exported spec, or the name of a library's
    weights, `timm/<model>.<tag>` or `torchvision/<model>.<TAG>`."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the file of `weights`: another file is an error. Filled in where the file is there."""
    mean: Channels | None = None
    """Of the images that `weights` was trained on, per channel (red, green, blue), of pixels in 0..1; the study's
    images are prepared in the same way. A spec, a name and a probe file say it by themselves."""
    std: Channels | None = None
    """As `mean`."""
    interpolation: Interpolation | None = None
    """As `mean`: of the resize."""
    crop: CropShare | None = None
    """As `mean`: side of the centre crop, as a share of the resized shorter side."""
    class_names: Annotated[tuple[str, ...], Field(strict=False), Longest(MAX_CLASSES)] | None = None
    """Of the outputs of `weights`, in their order; an exported spec says them. The classifier is kept where the data
    has as many classes, unless these names say that they are other ones."""
    probe: str | None = None
    """File of what the network of `weights` answers (docs/trained_start.md); else the file beside it, if there is one:
    its name with `.probe.json`."""

    @model_validator(mode="after")
    def _own_options(self) -> Self:
        written = self.model_dump(exclude_defaults=True).keys() - {"name"}
        if self.name == "scratch" and written:
            raise ValueError("scratch has no options; they belong to vanilla, exported and weights")
        takes_file = self.name in ("vanilla", "weights")
        others = written - _OPTIONS[self.name] - (OF_FILES if takes_file else frozenset())
        if others:
            raise ValueError(f"{self.name} has no option {', '.join(sorted(others))}")
        if self.name == "exported" and not self.specs:
            raise ValueError("exported needs `specs`: the paths of exported specs, one of each architecture")
        if self.weights is None and (self.name == "weights" or written & OF_FILES):
            raise ValueError("`weights` is missing: a file, an exported spec, or the name of a library's weights")
        return self

    @property
    def of_parent(self) -> Initialization:
        """What a vanilla parent starts from: the file where there is one, else random values."""
        if self.weights is None:
            return Initialization()
        said = {name: getattr(self, name) for name in OF_FILES}
        return Initialization(name="weights", **said)


def as_initialization(written: object) -> object:
    """Return a mapping for the short forms: a name alone, or a weights file without a name."""
    if isinstance(written, str):
        return {"name": written}
    if isinstance(written, Mapping) and "weights" in written and "name" not in written:
        return {"name": "weights", **written}
    return written
