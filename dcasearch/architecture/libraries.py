"""Networks of other libraries, by name: `timm/<model>` and `torchvision/<model>`. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from dcasearch.architecture.layouts import BACKBONES
from dcasearch.errors import ArchitectureError


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library of networks."""

    package: str
    """What is imported."""
    extra: str | None = None
    """The extra of this package that installs it; None where it is always installed."""
    given: frozenset[str]
    """Constructor arguments that this package sets by itself, or that would fetch weights."""


LIBRARIES: Mapping[str, Library] = {
    "timm": Library(
        package="timm",
        extra="timm",
        given=frozenset(
            (
                *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "checkpoint_path"),
                *("cache_dir", "num_classes", "in_chans", "features_only", "out_indices", "feature_cfg"),
                *("scriptable", "exportable", "no_jit"),
            )
        ),
    ),
    "torchvision": Library(
        package="torchvision",
        given=frozenset(
            (
                *("weights", "weights_backbone", "num_classes", "progress"),
                *("aux_logits", "init_weights", "transform_input"),
            )
        ),
    ),
}
"""By the name before the slash."""
_MODEL = re.compile(r"[A-Za-z0-9_]+")
NAMES = r"[^/]+/[^/]+"
"""Pattern of what may be a library's network; only the library knows whether it has one."""


def is_of_library(name: object) -> bool:
    """Tell whether a backbone's name is one of a library's networks: it has a slash."""
    return isinstance(name, str) and "/" in name


def own_name(name: str) -> str:
    """Return the name by which a backbone is known here: `torchvision/x` is `x` where this package has prepared x."""
    library, _, model = name.partition("/")
    return model if library == "torchvision" and model in BACKBONES else name


def split_name(name: str) -> tuple[str, str]:
    """Return library and model of a name.

    Raises:
        ArchitectureError: there is no such library, or the model's name can be none.
    """
    library, _, model = name.partition("/")
    path = ("backbone", "name")
    if library not in LIBRARIES:
        raise ArchitectureError(f"'{library}' is not a library of networks; Known: {', '.join(LIBRARIES)}.", path)
    if not _MODEL.fullmatch(model):
        plain = model.partition(".")[0]
        hint = f"; what follows a dot names weights: write {library}/{plain}" if _MODEL.fullmatch(plain) else ""
        raise ArchitectureError(f"'{model}' is not a network of {library}{hint}", path)
    return library, model


def require(library: str) -> None:
    """Raise ArchitectureError where a library is not installed; the message says what to install."""
    needed = LIBRARIES[library]
    if find_spec(needed.package) is None:
        raise ArchitectureError(
            f"networks of {library} need the package {needed.package}: pip install 'dcasearch[{needed.extra}]'",
            ("backbone", "name"),
        )
