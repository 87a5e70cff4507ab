"""From what is written to the network that it means, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dcasearch.architecture.kinds import DIMENSIONS, KINDS, OPTIONS, Dimension
from dcasearch.architecture.layouts import BACKBONES, BackboneLayout, BlockLayout
from dcasearch.architecture.network import Block, Edge, Matching, Network, Resize
from dcasearch.architecture.specification import Attention, AttentionKind, Backbone, Connections, Receivers
from dcasearch.architecture.topology import TOPOLOGIES
from dcasearch.errors import ArchitectureError, nearest


def resolve(backbone: Backbone, attention: Attention, connections: Connections | None) -> Network:
    """Return the network that a specification means.

    Raises:
        ArchitectureError: unknown names, lists of the wrong length, a dimension that no block has, …
    """
    layout = _layout(backbone)
    blocks = tuple(_blocks(attention, layout))
    edges = () if connections is None else tuple(_edges(connections, blocks, layout))
    return Network(
        backbone=(backbone.name, float(backbone.width), backbone.stem),
        blocks=blocks,
        edges=edges,
        alpha_init=1.0 if connections is None else connections.alpha.init,
    )


def _layout(backbone: Backbone) -> BackboneLayout:
    if backbone.name not in BACKBONES:
        raise ArchitectureError(
            f"'{backbone.name}' is not a backbone; {nearest(backbone.name, BACKBONES)}", ("backbone", "name")
        )
    if backbone.width != 1.0 and backbone.name.startswith("mnasnet"):
        raise ArchitectureError(
            f"{backbone.name} takes no width, its own is in its name: mnasnet0_5, mnasnet0_75, mnasnet1_0, mnasnet1_3",
            ("backbone", "width"),
        )
    return BACKBONES[backbone.name](backbone.width, backbone.stem)


def _per_block(
    written: Mapping[str, Sequence[object] | None], layout: BackboneLayout, path: tuple[str, ...]
) -> list[tuple[object, tuple[str | int, ...]]] | None:
    """Spread a list with one entry a stage or a block over the blocks, each with where it was written."""
    given = {grain: entries for grain, entries in written.items() if entries is not None}
    if not given:
        return None
    if len(given) > 1:
        raise ArchitectureError("give `stages` or `blocks`, not both", path)
    [(grain, entries)] = given.items()
    expected = layout.stages if grain == "stages" else len(layout.blocks)
    if len(entries) != expected:
        raise ArchitectureError(f"has {len(entries)} entries, but the backbone has {expected} {grain}", (*path, grain))
    places = [block.stage if grain == "stages" else n for n, block in enumerate(layout.blocks)]
    return [(entries[place], (*path, grain, place)) for place in places]


def _blocks(attention: Attention, layout: BackboneLayout) -> Iterator[Block]:
    spread = _per_block({"stages": attention.stages, "blocks": attention.blocks}, layout, ("attention",))
    if (attention.name is None) == (spread is None):
        raise ArchitectureError("needs exactly one of `name`, `stages`, `blocks`", ("attention",))
    if spread is not None and any(getattr(attention, option) is not None for option in OPTIONS):
        raise ArchitectureError("options stand beside each name in the list", ("attention",))
    for n, block in enumerate(layout.blocks):
        kind, path = spread[n] if spread is not None else (attention, ("attention",))
        yield _block(block, kind, path)  # type: ignore[arg-type]  # Attention or AttentionKind: both have the fields


def _block(layout: BlockLayout, written: AttentionKind, path: tuple[str | int, ...]) -> Block:
    if written.name not in KINDS:
        raise ArchitectureError(
            f"'{written.name}' is not an attention block; {nearest(written.name, KINDS)}", (*path, "name")
        )
    kind = KINDS[written.name]
    options = dict(kind.defaults)
    for option in OPTIONS:
        value = getattr(written, option)
        if value is None:
            continue
        if option not in kind.defaults:
            raise ArchitectureError(f"{written.name} has no {option}", (*path, option))
        options[option] = value
    if kind.extents and options["extent"] not in kind.extents:
        allowed = ", ".join("unset (global)" if e is None else str(e) for e in kind.extents)
        raise ArchitectureError(f"{written.name} has extent {allowed}; got {options['extent']}", (*path, "extent"))
    return Block(layout, written.name, kind.resolved(layout, options), kind.ports(layout, options))


def _edges(connections: Connections, blocks: tuple[Block, ...], layout: BackboneLayout) -> Iterator[Edge]:
    _check_options(connections, blocks)
    for dimension in DIMENSIONS:
        numbered = [n for n, block in enumerate(blocks) if dimension in block.ports]
        listening = _listening(connections, dimension, bool(numbered), layout)
        for k, target in enumerate(numbered):
            if target not in listening:
                continue
            for j in _sources(connections, dimension, [blocks[n].layout.stage for n in numbered], k):
                yield _edge(connections, dimension, blocks, numbered[j], target)


def _check_options(connections: Connections, blocks: tuple[Block, ...]) -> None:
    """Refuse options that would silently do nothing or cannot be done."""
    if connections.coupling == "coupled" and any(block.kind not in ("cbam", "none") for block in blocks):
        raise ArchitectureError(
            "coupled exists for cbam alone: it is the released code's whole gated map (docs/method.md)",
            ("connections", "coupling"),
        )
    if (connections.topology == "custom") != (connections.edges is not None):
        raise ArchitectureError("`edges` belongs to topology: custom, and to it alone", ("connections", "edges"))


def _listening(connections: Connections, dimension: Dimension, exists: bool, layout: BackboneLayout) -> set[int]:
    """Return the receiving set S in one dimension, as block indices."""
    path = ("connections", "dimensions", dimension)
    written: bool | Receivers | None = getattr(connections.dimensions, dimension)
    if written is None:
        return set(range(len(layout.blocks))) if exists else set()
    if isinstance(written, bool):
        flags: list[tuple[object, tuple[str | int, ...]]] = [(written, path)] * len(layout.blocks)
    else:
        spread = _per_block({"stages": written.stages, "blocks": written.blocks}, layout, path)
        if spread is None:
            raise ArchitectureError("needs `stages` or `blocks`", path)
        flags = spread
    listening = {n for n, (flag, _) in enumerate(flags) if flag}
    if listening and not exists:
        raise ArchitectureError(f"no attention block of this network has the {dimension} dimension", path)
    return listening


def _sources(connections: Connections, dimension: Dimension, stages: Sequence[int], k: int) -> list[int]:
    """Return the positions (from 0, over the numbered blocks) that block k receives from."""
    if connections.edges is None:
        return TOPOLOGIES[connections.topology](stages, k)
    edges: tuple[tuple[int, int], ...] = getattr(connections.edges, dimension)
    for edge in edges:
        if not 1 <= edge[0] < edge[1] <= len(stages):
            raise ArchitectureError(
                f"edge {list(edge)} is not 1 <= j < k <= {len(stages)} (blocks with the {dimension} dimension)",
                ("connections", "edges", dimension),
            )
    return sorted({j - 1 for j, target in edges if target - 1 == k})


def _edge(connections: Connections, dimension: Dimension, blocks: tuple[Block, ...], source: int, target: int) -> Edge:
    sender, receiver = blocks[source].ports[dimension], blocks[target].ports[dimension]
    coupled = connections.coupling == "coupled"
    function = connections.function
    scales = (sender.scale, receiver.scale)
    return Edge(
        dimension=dimension,
        source=source,
        target=target,
        function=function.name,
        form=function.form if function.name == "weighted" else None,
        bias=function.bias if function.name == "learned" and dimension == "channel" else None,
        matching=_matching(connections, dimension, sender.channels, receiver.channels),
        resize=_resize(connections, *scales),
        alpha=None if function.name == "learned" else connections.alpha.shape,
        coupled=coupled,
    )


def _matching(connections: Connections, dimension: Dimension, source: int, target: int) -> Matching | None:
    if dimension == "spatial" or source == target:
        return None
    written = connections.channel_matching
    bias, norm, act, norm_at = written.bias, written.norm, written.act, written.norm_at
    if written.norm_act:
        bias, norm, act, norm_at = True, "ln", "relu", "all"
    if written.name == "fc":
        return Matching(source, target, None, bias, norm, act, "all")
    least = written.min_hidden or (4 if norm != "none" else 1)
    if norm == act == "none":
        norm_at = "all"
    return Matching(source, target, max(target // written.reduction, least), bias, norm, act, norm_at)


def _resize(connections: Connections, source: int | None, target: int | None) -> Resize | None:
    if source is None or target is None or source == target:
        return None
    if source > target:
        return Resize("nearest", source // target)
    return Resize(connections.spatial_matching, target // source)
