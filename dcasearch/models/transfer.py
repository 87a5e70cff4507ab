"""What two networks have in common goes from one to the other: every start from trained weights comes through here.

The start from the vanilla parent leaves the connections drawn; a detector takes its network without the classifier; a
trained start takes the backbone, strictly, and leaves attention and connections drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dcasearch.architecture import Network
from dcasearch.errors import UserError
from dcasearch.models.build import DCANet, backbone_of
from dcasearch.models.traced import library_network
from dcasearch.models.weight_files import WeightsFile
from dcasearch.wording import counted

_SHOWN = 5
"""Names that a message lists."""
_SMALL = 0.01
"""Deviation of a drawn classifier's weights on trained layers."""
_COUNTERS = ".num_batches_tracked"
"""Buffers that files of old versions of torch lack; BatchNorm counts with them and computes nothing."""


class Misfit(UserError):
    """Weights that are another network's."""


@dataclass(frozen=True)
class Transfer:
    """What became of each tensor."""

    loaded: tuple[str, ...]
    """Of the network, with the values of the weights."""
    drawn: tuple[str, ...]
    """Of the network, as they were."""
    left: tuple[str, ...]
    """Of the weights, that the network has no place for."""


def _none(name: str) -> bool:
    return False


def transfer(
    network: nn.Module,
    values: Mapping[str, Tensor],
    *,
    drawn: Callable[[str], bool] = _none,
    left: Callable[[str], bool] = _none,
    words: str = "the weights",
    load: bool = True,
) -> Transfer:
    """Load what a network and some weights have in common.

    Args:
        network: is changed.
        values: parameters and buffers by the network's names.
        drawn: which of the network's names may stay as they are, where the weights lack them or have another shape.
        left: which of the weights' names the network need not have.
        words: the weights, in the message.
        load: False: only compare; the network may have shapes alone.

    Raises:
        Misfit: something is missing, left over or of another shape; the message names the first few and counts them.
    """
    own = network.state_dict()
    differing = [name for name in own if name in values and own[name].shape != values[name].shape]
    missing = [name for name in own if name not in values]
    over = [name for name in values if name not in own]
    wrong = (
        _said("missing", [name for name in missing if not drawn(name)]),
        _said("left over", [name for name in over if not left(name)]),
        _said(
            "of another shape",
            [
                f"{name} {tuple(values[name].shape)}, wanted {tuple(own[name].shape)}"
                for name in differing
                if not drawn(name)
            ],
        ),
    )
    if any(wrong):
        raise Misfit(f"{words} is another network's: {'; '.join(filter(None, wrong))}")
    common = {name: values[name] for name in own if name in values and name not in differing}
    if load:
        network.load_state_dict(common, strict=False)
    return Transfer(tuple(common), (*missing, *differing), tuple(over))


def _said(how: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{counted(len(names), 'tensor is', 'tensors are')} {how}: {', '.join(names[:_SHOWN])}{more}"


def take_backbone(model: DCANet, file: WeightsFile, *, keep_head: bool, load: bool = True) -> Transfer:
    """Load a file into a network's backbone, strictly; attention and connections stay as they are.

    The classifier is loaded where it has as many outputs. Else it stays as it was drawn, but small: its weights are
    scaled to a deviation of 0.01, its biases are 0. A library may draw it from 1/√classes, which on trained features
    gives a first loss of 7 with five classes, and gradients that harm what the backbone knows.

    Args:
        model: is changed.
        file: of the library's network.
        keep_head: whether the classifier may be kept: its classes are the network's, as far as anybody knows.
        load: as for `transfer`.

    Raises:
        Misfit: the file is another network's.
    """
    found = fit_backbone(model.backbone, model.network, model.classes, file, keep_head=keep_head, load=load)
    if load:
        _make_small(model.backbone, set(found.drawn) & set(head_of(model.network)))
    return found


@torch.no_grad()
def _make_small(backbone: nn.Module, names: Collection[str]) -> None:
    """Let the parameters of a drawn classifier start small."""
    for name in names:
        value = backbone.get_parameter(name)
        if value.dim() > 1:
            value.mul_(_SMALL / value.std())
        else:
            value.zero_()


def fit_backbone(
    backbone: nn.Module, network: Network, classes: int, file: WeightsFile, *, keep_head: bool, load: bool = True
) -> Transfer:
    """Do what `take_backbone` does, for a backbone without attention around it.

    Args:
        backbone: of that network, with so many outputs; is changed.
        network: whose backbone it is.
        classes: its outputs.
        file: of the library's network.
        keep_head: as for `take_backbone`.
        load: as for `transfer`.

    Raises:
        Misfit: the file is another network's.
    """
    head = head_of(network)
    own = backbone.state_dict()
    kept = keep_head and all(name in file.values and file.values[name].shape == own[name].shape for name in head)
    values = file.values if kept else {name: value for name, value in file.values.items() if name not in head}
    if not kept:
        _check_head(file, own, head)
    removed = _own_attention(network, classes)
    found = transfer(
        backbone,
        values,
        drawn=lambda name: name.endswith(_COUNTERS) or (not kept and name in head),
        left=lambda name: name in removed,
        words=file.words,
        load=load,
    )
    return replace(found, left=(*found.left, *(name for name in head if not kept and name in file.values)))


def _check_head(file: WeightsFile, own: Mapping[str, Tensor], head: Sequence[str]) -> None:
    """Refuse a classifier that differs in more than its number of outputs: the file is another network's."""
    for name in head:
        if name in file.values and file.values[name].shape[1:] != own[name].shape[1:]:
            raise Misfit(
                f"{file.words} is another network's: its classifier {name} is {tuple(file.values[name].shape)}, and "
                f"{tuple(own[name].shape)} is wanted, which may differ in the number of classes alone"
            )


def head_of(network: Network) -> tuple[str, ...]:
    """Return the names of a backbone's parameters and buffers whose shape depends on the number of classes."""
    with torch.device("meta"):
        one, other = (backbone_of(network, classes).state_dict() for classes in (3, 4))
    return tuple(name for name in one if one[name].shape != other[name].shape)


def outputs_of(network: Network, file: WeightsFile) -> int | None:
    """Return how many classes a file's classifier has; None where it has none."""
    return next((len(file.values[name]) for name in head_of(network) if name in file.values), None)


def _own_attention(network: Network, classes: int) -> frozenset[str]:
    """Return the names of the library's own attention that `own_attention` has taken out."""
    library = None if network.library is None else network.library.network
    if library is None or library.own_attention == "keep":
        return frozenset()
    with torch.device("meta"):
        whole = library_network(replace(library, own_attention="keep"), classes).state_dict()
        ours = library_network(library, classes).state_dict()
    return frozenset(whole.keys() - ours.keys())
