"""The resolved network: per node its attention, per dimension its edges with only what they really build.

A node is a place of attention: each block of the backbone is one, and so is the end of each stage that has attention
after it. Nodes stand in network order, so a stage's own node follows the stage's last block.

This is what `dcasearch.models.build` builds, and its canonical form is the architecture's id. Topology,
granularity and receiving set are not in it, so inert choices never make two architectures out of one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

from dcasearch.architecture.backbone import LibraryBackbone
from dcasearch.architecture.kinds import KINDS, Dimension, Port, Value
from dcasearch.architecture.layouts import BlockLayout, Stem
from dcasearch.architecture.specification import AttentionInit, MessageSource, ParameterInit

CANONICAL_FORM = 1
"""Version of the canonical form; a change of it changes every id."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Layers that turn C' = `source` channels into C = `target` (paper, section 3.3); fc2 where `hidden` is set."""

    source: int
    target: int
    hidden: int | None
    bias: bool
    norm: Literal["none", "ln", "bn"]
    act: Literal["none", "relu"]
    norm_at: Literal["inner", "all"]


@dataclass(frozen=True, slots=True)
class Resize:
    """Spatial matching by a static factor: average, max or conv go down by it, nearest goes up by it."""

    mode: Literal["average", "max", "conv", "nearest"]
    factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One connection: node `target` receives from node `source` (indices into `Network.nodes`)."""

    dimension: Dimension
    source: int
    target: int
    function: str
    form: Literal["safe", "literal"] | None
    """weighted only."""
    bias: bool | None
    """learned only, of channels."""
    matching: Matching | None
    """None where the channels agree."""
    resize: Resize | None
    """None where the resolutions agree, or where one end is a vector."""
    alpha: Literal["scalar", "channel"] | None
    """None for learned, which owns no α."""
    coupled: bool
    message: MessageSource = "sender"
    """A control where it is not `sender`; else left out of the id, so that ids of before stay."""


@dataclass(frozen=True)
class Node:
    """A place of attention: a block, or the end of a stage, outside the residual."""

    layout: BlockLayout
    """Of the block; at the end of a stage that of the stage's last block."""
    kind: str
    options: Mapping[str, Value]
    """What is built, as it is in the id; a late option at its default is not."""
    ports: Mapping[Dimension, Port]
    after_stage: bool = False
    """Whether it stands after a stage; `kind` is then one that does."""
    form: str | None = None
    """Form of its message where that is not the kind's own (`Kind.forms`)."""
    gain: bool = False
    """Whether a learnable scalar s scales what its attention changes, each part's by its own (`attention_init`)."""

    @property
    def name(self) -> str:
        """The block's module path in torchvision's network, or e.g. `stage1` after the first stage."""
        return _stage_name(self.layout) if self.after_stage else self.layout.name

    def option(self, name: str) -> Value:
        """Return what is built of an option, its default where the id leaves it out."""
        declared = KINDS[self.kind].option(name)
        return self.options[name] if declared is None else self.options.get(name, declared.default)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the backbone, as seen from its output: the map after the stage's last block and its own attention."""

    name: str
    """`stage1` for the first."""
    channels: int
    """Channels of the map."""
    scale: int
    """Pixels of the image for one pixel of the map, along a side; an image whose side it does not divide rounds up."""
    block: str
    """torchvision's name of the stage's last block."""


@dataclass(frozen=True)
class Network:
    """An architecture with every name resolved: nodes in order, edges sorted by dimension, target, source."""

    backbone: tuple[str, float, Stem]
    """Name, width, stem; of a library's network the name with its arguments."""
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    alpha_init: float
    """Not in the id."""
    init: ParameterInit = "ours"
    """Left out of the id where it is `ours`."""
    library: LibraryBackbone | None = None
    """The library's network that it stands on, where this package has not prepared it; the id then has this one."""

    @property
    def canonical(self) -> str:
        """Canonical JSON: equal for equal networks."""
        content: dict[str, object] = {
            "form": CANONICAL_FORM,
            "backbone": self.backbone if self.library is None else self.library.canonical,
            "attention": [_attention(block) for block in self.blocks],
            "edges": self.edges,
        }
        if after := [[node.layout.stage, *_attention(node)] for node in self.nodes if node.after_stage]:
            content["stage_attention"] = after  # absent else, so that ids of before stay
        if self.init != "ours":
            content["init"] = self.init
        if self.attention_init != "usual":  # whether there are scalars s; it decides for every node
            content["attention_init"] = self.attention_init
        return json.dumps(content, sort_keys=True, separators=(",", ":"), default=_fields)

    @cached_property
    def id(self) -> str:
        """First 16 hexadecimal digits of the canonical form's SHA-256."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    @property
    def attention_init(self) -> AttentionInit:
        """How attention starts; `usual` where `identity` would add no scalar to any node."""
        return "identity" if any(node.gain for node in self.nodes) else "usual"

    @property
    def blocks(self) -> tuple[Node, ...]:
        """The nodes that are blocks of the backbone, one for each."""
        return tuple(node for node in self.nodes if not node.after_stage)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The backbone's stages in network order."""
        last = {node.layout.stage: node.layout.at_output for node in self.blocks}
        return tuple(
            Stage(_stage_name(layout), layout.channels, layout.scale, layout.name) for _, layout in sorted(last.items())
        )

    @property
    def pyramid(self) -> tuple[Stage, ...]:
        """The last stage of each scale, as a feature pyramid takes them: MnasNet has two stages of scale 16."""
        return tuple({stage.scale: stage for stage in self.stages}.values())

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions that are connected, sorted."""
        return tuple(sorted({edge.dimension for edge in self.edges}))

    @property
    def mixes_images(self) -> bool:
        """Whether a message comes from another image of the batch: values then depend on the order of the images."""
        return any(edge.message == "shuffled" for edge in self.edges)

    @property
    def has_constants(self) -> bool:
        """Whether a message is measured in the trained vanilla parent before this network can be used."""
        return any(edge.message == "constant" for edge in self.edges)

    def incoming(self, target: int, dimension: Dimension) -> tuple[Edge, ...]:
        """Return the edges into a node in one dimension, by source."""
        return self._incoming.get((target, dimension), ())

    @cached_property
    def _incoming(self) -> Mapping[tuple[int, Dimension], tuple[Edge, ...]]:
        """The edges by target and dimension."""
        found: dict[tuple[int, Dimension], list[Edge]] = {}
        for edge in self.edges:
            found.setdefault((edge.target, edge.dimension), []).append(edge)
        return {where: tuple(edges) for where, edges in found.items()}


def _stage_name(layout: BlockLayout) -> str:
    """Return the name of a block's stage."""
    return f"stage{layout.stage + 1}"


def _attention(node: Node) -> list[object]:
    """Return what the id says of a node: kind, options, and the form of its message where it is not the kind's own."""
    return [node.kind, dict(sorted(node.options.items())), *([] if node.form is None else [node.form])]


def _fields(part: Edge | Matching | Resize) -> dict[str, object]:
    """Return a part as a mapping; `dataclasses.asdict` copies deeply, which is half the time of a count."""
    content = {field.name: getattr(part, field.name) for field in fields(part)}
    if content.get("message") == "sender":
        del content["message"]
    return content
