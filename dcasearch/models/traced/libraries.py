"""The libraries' networks as they build them, without trained weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from dcasearch.architecture.libraries import LIBRARIES, require
from dcasearch.errors import ArchitectureError, DcasearchError, nearest, shortened
from dcasearch.models.max_params import max_params
from dcasearch.models.traced.limited import WithoutMemory, limited

_SAID = 500
"""Characters of what a constructor says that are shown."""
_WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
"""torchvision's networks that return more than logits in training mode, unless they are told otherwise."""


def version_of(library: str) -> str:
    """Return a library's version.

    Raises:
        ArchitectureError: it is not installed.
    """
    require(library)
    return version(LIBRARIES[library].package)


def models_of(library: str) -> list[str]:
    """Return the names of a library's classification networks, sorted.

    Raises:
        ArchitectureError: it is not installed.
    """
    require(library)
    return sorted(_LISTS[library]())


def check_model(library: str, model: str) -> None:
    """Raise ArchitectureError where a library is not installed or has no such network."""
    known = models_of(library)
    if model not in known:
        raise ArchitectureError(f"{library} has no network '{model}'; {nearest_of(model, known)}", ("backbone", "name"))


def nearest_of(model: str, known: list[str]) -> str:
    """Return the sentence that helps with an unknown name, without the 1,000 others."""
    sentence = nearest(model, known)
    hint = sentence.partition("Known: ")[0]
    return f"{hint}`dcasearch backbones` lists them"


def build(library: str, model: str, arguments: Mapping[str, Any], classes: int) -> nn.Module:
    """Return a library's network with its own initial values, from the global random state.

    Under `with torch.device("meta")` it has shapes alone, and is stopped while it is built where it is too large.

    Args:
        library: `timm` or `torchvision`.
        model: one of `models_of`.
        arguments: of its constructor.
        classes: width of the classifier.

    Raises:
        ArchitectureError: the library is missing, has no such network, or refuses the arguments; the network has more
            than `MAX_MODULES` modules or `max_params` parameters.
    """
    check_model(library, model)
    if torch.get_default_device().type != "meta":
        return _built(library, model, arguments, classes)
    try:
        return _shapes(library, model, arguments, classes)
    except DcasearchError:
        raise
    except Exception as error:  # whatever a constructor raises for arguments that it cannot use
        if not arguments:
            raise
        raise _refused(library, model, error) from error


def _shapes(library: str, model: str, arguments: Mapping[str, Any], classes: int) -> nn.Module:
    most = max_params()
    try:
        with limited(most):
            return _built(library, model, arguments, classes)
    except (NotImplementedError, RuntimeError):  # it computes with tensors, which have no values there
        with torch.device("cpu"), WithoutMemory(), limited(most):
            return _built(library, model, arguments, classes).to("meta")


def _built(library: str, model: str, arguments: Mapping[str, Any], classes: int) -> nn.Module:
    try:
        return _BUILDERS[library](model, dict(arguments), classes)
    except TypeError as error:  # an argument that the constructor does not have
        raise _refused(library, model, error) from error


def _refused(library: str, model: str, error: Exception) -> ArchitectureError:
    said = shortened(str(error), _SAID) or type(error).__name__
    return ArchitectureError(f"{library}/{model}: {said}", ("backbone", "arguments"))


def _timm(model: str, arguments: dict[str, Any], classes: int) -> nn.Module:
    network: nn.Module = import_module("timm").create_model(model, pretrained=False, num_classes=classes, **arguments)
    return network


def _torchvision(model: str, arguments: dict[str, Any], classes: int) -> nn.Module:
    if model in _WITH_AUXILIARY_HEADS:
        arguments |= {"aux_logits": False, "init_weights": True}
    models = import_module("torchvision.models")
    network: nn.Module = models.get_model(model, weights=None, num_classes=classes, **arguments)
    return network


def _timm_models() -> list[str]:
    return list(import_module("timm").list_models())


def _torchvision_models() -> list[str]:
    models = import_module("torchvision.models")
    return list(models.list_models(module=models))


_BUILDERS: Mapping[str, Callable[[str, dict[str, Any], int], nn.Module]] = {"timm": _timm, "torchvision": _torchvision}
_LISTS: Mapping[str, Callable[[], list[str]]] = {"timm": _timm_models, "torchvision": _torchvision_models}
