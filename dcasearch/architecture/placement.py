"""From the attention that is written to the nodes of a network: what stands in each block and after each stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from dcasearch.architecture.kinds import KINDS, Kind, Options
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.layouts import BackboneLayout, BlockLayout
from dcasearch.architecture.network import Node
from dcasearch.architecture.specification import Attention, AttentionKind, StageAttention
from dcasearch.errors import ArchitectureError, nearest

Path: TypeAlias = tuple[str | int, ...]
_Written: TypeAlias = tuple[str, Options, Path]
"""A kind's name with its options, and where they are written."""

_PLACES = {"block": "in a block", "stage": "after a stage", "between stages": "between two stages"}


def nodes_of(
    attention: Attention, stage_attention: StageAttention | None, layout: BackboneLayout, form: str | None = None
) -> tuple[Node, ...]:
    """Return the nodes of a network in network order.

    A kind of `attention` that stands after stages does so, and leaves the blocks without attention.

    Args:
        attention: what is written for the blocks.
        stage_attention: what is written for the ends of the stages.
        layout: the backbone.
        form: of the messages of those kinds that have it.

    Raises:
        ArchitectureError: an unknown kind or option, a list of the wrong length, a kind in a place that it cannot have.
    """
    in_blocks = list(_in_blocks(attention, layout))
    after = list(_after_stages(stage_attention, layout))
    nodes: list[Node] = []
    for n, (block, written) in enumerate(zip(layout.blocks, in_blocks, strict=True)):
        nodes.append(_node(block, written, after_stage=False, form=form))
        if layout.ends_stage(n):
            nodes += _at_the_end(layout, block, written, after[block.stage], form)
    return tuple(nodes)


def per_block(
    written: Mapping[str, Sequence[object] | None], layout: BackboneLayout, path: Path
) -> list[tuple[object, Path]] | None:
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


def place_of(nodes: Sequence[Node], n: int) -> str:
    """Return where node n stands, in words."""
    if nodes[n].after_stage:
        return f"after stage {nodes[n].layout.stage + 1}"
    return f"block {sum(not node.after_stage for node in nodes[: n + 1])}"


def _in_blocks(attention: Attention, layout: BackboneLayout) -> Iterator[_Written]:
    """Yield what is written for each block."""
    spread = _spread(attention, {"stages": attention.stages, "blocks": attention.blocks}, layout, ("attention",))
    for n, (name, options, path) in enumerate(spread):
        _check(name, options, path)
        kind = KINDS[name]
        if attention.blocks is not None and not kind.in_blocks:
            stage = layout.blocks[n].stage
            if not (layout.ends_stage(n) and kind.stands_after(layout, stage)):
                raise ArchitectureError(
                    f"{name} stands {_PLACES[kind.place]}, which block {n + 1} does not end", (*path, "name")
                )
        yield name, options, path


def _after_stages(attention: StageAttention | None, layout: BackboneLayout) -> Iterator[_Written]:
    """Yield what is written for the end of each stage."""
    root: Path = ("stage_attention",)
    if attention is None or not attention.is_said:
        yield from [(NO_ATTENTION, {}, root)] * layout.stages
        return
    spread = _spread(attention, {"stages": attention.stages}, layout, root)
    for name, options, path in (written for n, written in enumerate(spread) if layout.ends_stage(n)):
        _check(name, options, path)
        if name != NO_ATTENTION and KINDS[name].in_blocks:
            known = ", ".join(sorted(other for other, kind in KINDS.items() if not kind.in_blocks))
            raise ArchitectureError(
                f"{name} stands in a block; write it under `attention`. Known after a stage: {known}, {NO_ATTENTION}.",
                (*path, "name"),
            )
        yield name, options, path


def _spread(
    attention: StageAttention, lists: Mapping[str, Sequence[object] | None], layout: BackboneLayout, root: Path
) -> list[_Written]:
    """Return what is written of one kind for all, or in a list, for each block."""
    spread = per_block(lists, layout, root)
    if (attention.name is None) == (spread is None):
        raise ArchitectureError(f"needs exactly one of `name`, {', '.join(f'`{grain}`' for grain in lists)}", root)
    if spread is None:
        return [(str(attention.name), attention.options, root)] * len(layout.blocks)
    if attention.options:
        raise ArchitectureError("options stand beside each name in the list", root)
    kinds = [(entry, path) for entry, path in spread if isinstance(entry, AttentionKind)]
    return [(kind.name, kind.options, path) for kind, path in kinds]


def _at_the_end(
    layout: BackboneLayout, block: BlockLayout, in_block: _Written, after: _Written, form: str | None
) -> Iterator[Node]:
    """Yield the node after a stage, whose last block is `block`, if one stands there."""
    standing = [
        written
        for written in (in_block, after)
        if not KINDS[written[0]].in_blocks and KINDS[written[0]].stands_after(layout, block.stage)
    ]
    if len(standing) > 1:
        (first, *_), (second, _, path) = standing
        raise ArchitectureError(
            f"{first} of `attention` and {second} both stand after stage {block.stage + 1}; leave one out", path
        )
    for written in standing:
        yield _node(block, written, after_stage=True, form=form)


def _node(block: BlockLayout, written: _Written, *, after_stage: bool, form: str | None) -> Node:
    """Return a node with the kind that is written for it, without attention where the kind stands elsewhere."""
    name, said, path = written
    kind = KINDS[name]
    if kind.in_blocks == after_stage:
        return Node(block, NO_ATTENTION, {}, {})
    if kind.convolves and not block.width:
        raise ArchitectureError(
            f"{name} takes the place of a block's k x k convolution, and {block.name} has none that can be replaced",
            (*path, "name"),
        )
    block = block.at_output if after_stage else block
    options, form = kind.completed(said), form if form in kind.forms else None
    return Node(block, name, kind.resolved(block, options), kind.ports(block, options, form), after_stage, form)


def _check(name: str, written: Options, path: Path) -> None:
    """Refuse a kind that does not exist, and options that it lacks or does not take."""
    if name not in KINDS:
        raise ArchitectureError(f"'{name}' is not an attention block; {nearest(name, KINDS)}", (*path, "name"))
    _check_options(name, KINDS[name], written, path)


def _check_options(name: str, kind: Kind, written: Options, path: Path) -> None:
    for key, value in written.items():
        option = kind.option(key)
        if option is None:
            names = [o.name for o in kind.options]
            hint = f"; {nearest(key, names)}" if names else ""
            raise ArchitectureError(f"{name} has no {key}{hint}", (*path, key))
        if not option.fits(value, stored=True):  # the limit was checked where it was read
            raise ArchitectureError(f"{name} has {key} {option.known}; got {value}", (*path, key))
