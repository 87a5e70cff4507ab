"""What the authors' released files call the parameters that are ours: rules, one per file form, no list of keys.

A released network is one file per backbone, attention and connection, and its author chose the names anew in each. The
rules below say how: what becomes of torchvision's name of a backbone's parameter, where in a block the attention
stands, and what its layers and those of its connections are called. `key_map` applies them to a network. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Source(NamedTuple):
    """Where in a released file one of our parameters comes from."""

    key: str
    part: int | None = None
    """Of the released 2 -> 1 convolution: 0 for the block's own descriptor, 1 for the message's. None: the whole."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """Names of the layers of one connection, below the place where the attention stands.

    `{n}` is the branch, from 1. Our side is the name below `branches.<n>.`, without `edges.<source>.`.
    """

    parameters: Mapping[str, Source]
    """Our parameter -> theirs."""
    modules: Mapping[str, str]
    """Our layer -> theirs; the parameters of both have equal names."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Names of the layers of one kind of attention block."""

    layers: Mapping[str, str] = field(default_factory=dict)
    """Our layer -> theirs."""
    links: Mapping[str, Link] = field(default_factory=dict)
    """By dimension, for the connected files."""


def _same(name: str) -> str:
    return name


@dataclass(frozen=True, kw_only=True)
class Names:
    """Everything that one released file calls otherwise than this package."""

    kind: Kind = field(default_factory=Kind)
    backbone: Callable[[str], str] = _same
    """torchvision's name of a parameter or block -> theirs."""
    place: Callable[[str], str] | None = None
    """torchvision's name of a block -> the module that its attention stands in; None: the block itself."""
    matched: Callable[[int, int], bool] = lambda before, after: before != after
    """(channels before the first block, of its attention) -> whether the file gives that block matching layers."""

    def block(self, name: str) -> str:
        """Return the module that a block's attention stands in."""
        return (self.place or self.backbone)(name)


# Backbones


def split_mnasnet(name: str) -> str:
    """MnasNet's connected files: `layers` becomes `layers1` (stem), `layers2` (stacks), `layers3` (head)."""
    head, _, rest = name.partition(".")
    if head != "layers":
        return name
    number, _, tail = rest.partition(".")
    n = int(number)
    part, start = (1, 0) if n < 8 else (2, 8) if n < 14 else (3, 14)
    return ".".join(filter(None, (f"layers{part}", str(n - start), tail)))


_LAST = 18
"""MobileNetV2's last entry of `features`; 0 is the stem."""


def wrapped_mobilenet(name: str) -> str:
    """MobileNetV2's connected SE and CBAM files: stem and head are blocks with a `conv` of their own."""
    parts = name.split(".")
    if parts[0] == "features" and int(parts[1]) in (0, _LAST):
        parts.insert(2, "conv")
    return ".".join(parts)


def split_mobilenet(name: str) -> str:
    """MobileNetV2's connected GE file: `features` becomes `features1` (stem), `features2` and `features3` (head)."""
    return _split_features(name, ends=())


def selective_mobilenet(name: str) -> str:
    """MobileNetV2's SK file: the depth-wise convolution is one of a module's two branches."""
    parts = name.split(".")
    if len(parts) > 4 and parts[:1] + parts[2:4] == ["features", *_depthwise(int(parts[1]))]:
        parts[4] = _BRANCH[parts[4]]
    return ".".join(parts)


def selective_split_mobilenet(name: str) -> str:
    """MobileNetV2's connected SK file: a block is `layer1` (expansion), `layersk` and `layer3` (projection)."""
    parts = name.split(".")
    if parts[0] != "features" or len(parts) < 4 or int(parts[1]) in (0, _LAST):
        return _split_features(name, ends=("0",))
    expanded, layer = int(parts[1]) > 1, int(parts[3])
    block = f"features2.{int(parts[1]) - 1}"
    if layer == expanded:  # the depth-wise convolution stands first where there is no expansion
        return ".".join((block, "layersk", _BRANCH[parts[4]], *parts[5:]))
    if layer < expanded:
        return ".".join((block, "layer1", *parts[4:]))
    return ".".join((block, "layer3", str(layer - expanded - 1), *parts[4:]))


def in_depthwise(block: str) -> str:
    """Return where SK stands in MobileNetV2's file: in the place of the depth-wise convolution."""
    return ".".join((block, *_depthwise(int(block.split(".")[1]))))


def in_layersk(block: str) -> str:
    """Return where SK stands in MobileNetV2's connected file."""
    return f"{split_mobilenet(block)}.layersk"


_BRANCH = {"0": "conv3", "1": "bn3"}
"""Convolution and BatchNorm of torchvision's depth-wise branch -> the names of SK's first branch."""


def _depthwise(block: int) -> tuple[str, str]:
    return "conv", "0" if block == 1 else "1"


def _split_features(name: str, ends: tuple[str, ...]) -> str:
    head, *rest = name.split(".")
    if head != "features":
        return name
    n, tail = int(rest[0]), rest[1:]
    if n == 0:
        return ".".join(("features1", *ends, *tail))
    if n == _LAST:
        return ".".join(("features3", *ends, *tail))
    return ".".join(("features2", str(n - 1), *tail))


# Attention blocks and their connections


def _mixed(mix: str, match: str) -> Link:
    """Return the names of a learned connection of channels: `mix` is its 2 -> 1 convolution with the norm after it."""
    return Link(
        parameters={
            "function.weight": Source(f"{mix}.0.weight", 0),
            "weight": Source(f"{mix}.0.weight", 1),
            "function.bias": Source(f"{mix}.0.bias"),
        },
        modules={"function.norm": f"{mix}.1"} | _matching(match),
    )


def _matching(match: str) -> dict[str, str]:
    """Return the names of the layers of one FC with its norm, and of two; a ReLU follows each norm."""
    one = {"match.fc": f"{match}.0", "match.norm": f"{match}.1"}
    two = {
        "match.fc1": f"{match}.0",
        "match.norm1": f"{match}.1",
        "match.fc2": f"{match}.3",
        "match.norm2": f"{match}.4",
    }
    return one | two


SE = Kind(
    layers={"channel.fc1": "se.fc.0", "channel.fc2": "se.fc.2"},
    links={"channel": _mixed("se.conv", "se.att_fc")},
)
GE = Kind(links={"channel": _mixed("ge.conv", "ge.att_fc")})
"""theta-minus has no layers."""
CBAM = Kind(
    layers={
        "channel.fc1": "cbam.ChannelGate.mlp.1",
        "channel.fc2": "cbam.ChannelGate.mlp.3",
        "spatial.conv": "cbam.SpatialGate.spatial.conv",
        "spatial.norm": "cbam.SpatialGate.spatial.bn",
    },
    links={
        "channel": _mixed("cbam.ChannelGate.alpha", "cbam.ChannelGate.att_fc"),
        "spatial": Link(
            parameters={
                "function.weight": Source("cbam.SpatialGate.p1"),
                "weight": Source("cbam.SpatialGate.p2"),
            },
            modules={"function.norm": "cbam.SpatialGate.bnrelu.0"},
        ),
    },
)


def _gc(module: str) -> Kind:
    return Kind(
        layers={
            "channel.mask": f"{module}.conv_mask",
            "channel.fc1": f"{module}.channel_add_conv.0",
            "channel.norm": f"{module}.channel_add_conv.1",
            "channel.fc2": f"{module}.channel_add_conv.3",
        },
        links={
            "channel": Link(parameters={"alpha": Source(f"{module}.weight")}, modules=_matching(f"{module}.att_fc"))
        },
    )


GC, CONNECTED_GC = _gc("gc"), _gc("rgc")


def _sk(branch: tuple[str, str], match: str) -> Kind:
    return Kind(
        layers={
            "branch.0": branch[0],
            "branch.1": branch[1],
            "channel.fc1": "conv_fc1",
            "channel.norm": "bn_fc1",
            "channel.fc2": "conv_fc2",
        },
        links={"channel": _mixed("att_conv{n}", match)},
    )


def _doubled(before: int, after: int) -> bool:
    """Return whether the SK files match channels in their first block: they ask whether the width has doubled."""
    return after == 2 * before


# Files

PLAIN = Names()
RESNET = {
    "se": Names(kind=SE),
    "ge_theta_minus": Names(kind=GE),
    "cbam": Names(kind=CBAM),
    "gc": Names(kind=GC),
    "connected gc": Names(kind=CONNECTED_GC),
    "sk": Names(kind=_sk(("conv2g", "bn2g"), "att_fc_{n}"), matched=_doubled),
}
"""Of a ResNet's files, which keep torchvision's names of the backbone; by attention."""
MNASNET = {name: Names(kind=kind) for name, kind in (("se", SE), ("ge_theta_minus", GE), ("cbam", CBAM))}
CONNECTED_MNASNET = {name: Names(kind=names.kind, backbone=split_mnasnet) for name, names in MNASNET.items()}
_SK_LIGHT = _sk(("conv5", "bn5"), "att_fc{n}")
MOBILENET = {
    "se": Names(kind=SE),
    "ge_theta_minus": Names(kind=GE),
    "cbam": Names(kind=CBAM),
    "sk": Names(kind=_SK_LIGHT, backbone=selective_mobilenet, place=in_depthwise),
}
CONNECTED_MOBILENET = {
    "se": Names(kind=SE, backbone=wrapped_mobilenet),
    "ge_theta_minus": Names(kind=GE, backbone=split_mobilenet),
    "cbam": Names(kind=CBAM, backbone=wrapped_mobilenet),
    "sk": Names(kind=_SK_LIGHT, backbone=selective_split_mobilenet, place=in_layersk, matched=lambda *_: False),
}
