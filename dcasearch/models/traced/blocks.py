"""The blocks of a network that nobody prepared, found in its graph.

A block is an instance of a class whose forward pass holds a residual addition that forks at the block's input. Where
a network has no such class, four more passes look for other signs, one after the other. A pass counts only if its
blocks hold at least half of the network's k x k convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import fx, nn

from dcasearch.errors import ArchitectureError
from dcasearch.models.traced.residuals import Addition, Ancestors, additions_of, convolutions, is_addition, is_spatial
from dcasearch.models.traced.shapes import SIZE, Maps
from dcasearch.models.traced.tracing import ROOT, owner, stack_of

Rule: TypeAlias = Literal["residual", "relaxed", "re-parametrised", "concatenation", "convolution"]
"""The pass that found a network's blocks."""
_REPARAMETRISING = ("reparameterize", "fuse", "switch_to_deploy")
"""Methods of units whose parallel convolutions become one after training; their sums are no residuals."""
_CONCATENATIONS = {torch.cat, torch.concat}
_ACTIVATIONS = {F.relu, F.relu6, F.silu, F.gelu, F.hardswish, torch.relu}
_COVERED = 0.5
"""Share of the k x k convolutions that must stand in blocks."""
_MANY_STAGES = 0.6
"""Stages for one block above which a change of channels begins no stage: ReXNet's channels grow with each block."""
_TOKENS = 3
"""Axes of a sequence of tokens."""
_FEW = 4
"""Networks of fewer blocks have as many stages as they say."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """A block in a graph."""

    path: str
    """Its module's path in the graph's names."""
    nodes: frozenset[fx.Node]
    output: fx.Node
    stride: int
    additions: tuple[Addition, ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """All blocks of a network, in the order in which they run."""

    rule: Rule
    blocks: tuple[Block, ...]
    stages: tuple[int, ...]
    """Of each block, from 0."""


@dataclass(eq=False)
class Sight:
    """What is known of a graph before its blocks are."""

    root: nn.Module
    graph: fx.Graph
    maps: Maps
    modules: dict[str, nn.Module] = field(init=False)
    within: dict[str, list[fx.Node]] = field(init=False)
    """The nodes of each module's forward pass, by the module's path."""
    ancestors: Ancestors = field(init=False)
    additions: list[Addition] = field(init=False)

    def __post_init__(self) -> None:
        self.modules = dict(self.root.named_modules())
        self.ancestors = Ancestors(self.graph)
        self.additions = additions_of(self.root, self.ancestors, self.maps)
        within: dict[str, dict[fx.Node, None]] = {}
        for node in self.graph.nodes:
            called = [str(node.target)] if node.op == "call_module" else []
            for path in (*stack_of(node), *called):
                within.setdefault(path, {})[node] = None
        self.within = {path: list(nodes) for path, nodes in within.items() if path not in ("", ROOT)}

    def called(self) -> Iterator[tuple[fx.Node, nn.Module]]:
        """Yield the nodes that call a module, with it."""
        for node in self.graph.nodes:
            if node.op == "call_module":
                yield node, self.modules[str(node.target)]


_Owners: TypeAlias = Mapping[str, list[Addition]]
"""Blocks to be, by path, with the additions that speak for them."""


def find_blocks(sight: Sight) -> Found:
    """Return the blocks of a network.

    Raises:
        ArchitectureError: there are none that attention could stand in.
    """
    passes: list[tuple[Rule, Callable[[], _Owners]]] = [
        ("residual", lambda: _owners(sight, relaxed=False, reparametrised=False)),
        ("relaxed", lambda: _owners(sight, relaxed=True, reparametrised=False)),
        ("re-parametrised", lambda: _owners(sight, relaxed=False, reparametrised=True)),
        ("concatenation", lambda: {path: [] for path in _concatenating(sight)}),
    ]
    for rule, look in passes:
        owners = dict(look())
        classes = _innermost(sight, {type(sight.modules[path]) for path in owners})
        if not classes or _coverage(sight, classes) < _COVERED:
            continue
        if rule == "residual":
            owners = _with_relaxed(sight, owners, classes)
        blocks = _instances(sight, classes, owners)
        if rule in ("residual", "relaxed"):
            blocks += _siblings(sight, blocks)
        if blocks:
            return _ordered(sight, rule, blocks)
    return _ordered(sight, "convolution", list(_chain(sight)))


def _owners(sight: Sight, *, relaxed: bool, reparametrised: bool) -> dict[str, list[Addition]]:
    """Return the modules whose own forward pass holds a residual addition.

    Relaxed, the fork may lie inside of the module, and the branch may have 1x1 convolutions alone.
    """
    owners: dict[str, list[Addition]] = {}
    for addition in sight.additions:
        path = owner(addition.node)
        if path not in sight.within or (addition.on_skip.spatial and not reparametrised):
            continue
        module = sight.modules[path]
        if not addition.on_branch.spatial and not (relaxed and any(map(is_spatial, convolutions(module)))):
            continue
        if _is_reparametrised(module) and not reparametrised:
            continue
        if not relaxed and addition.fork in sight.within[path]:
            continue  # a sum within a computation, no skip
        owners.setdefault(path, []).append(addition)
    return owners


def _is_reparametrised(module: nn.Module) -> bool:
    return any(callable(getattr(type(module), name, None)) for name in _REPARAMETRISING)


def _concatenating(sight: Sight) -> list[str]:
    """Return the modules whose own forward pass concatenates maps."""
    nodes = (node for node in sight.graph.nodes if node.target in _CONCATENATIONS and sight.maps.is_map(node))
    return [path for path in map(owner, nodes) if path in sight.within]


def _innermost(sight: Sight, classes: Collection[type[nn.Module]]) -> set[type[nn.Module]]:
    """Return the classes whose instances hold no instance of another one."""
    instances = {cls: [module for module in sight.modules.values() if type(module) is cls] for cls in classes}
    inside = {cls: {type(part) for module in of for part in module.modules()} - {cls} for cls, of in instances.items()}
    return {cls for cls in classes if not inside[cls] & set(classes)}


def _coverage(sight: Sight, classes: Collection[type[nn.Module]]) -> float:
    """Return the share of the k x k convolutions that stand in instances of some classes."""
    every = {id(c) for _, module in sight.called() for c in convolutions(module) if is_spatial(c)}
    inside = {id(c) for m in sight.modules.values() if type(m) in classes for c in convolutions(m) if is_spatial(c)}
    return len(inside & every) / max(1, len(every))


def _with_relaxed(
    sight: Sight, owners: Mapping[str, list[Addition]], classes: Collection[type[nn.Module]]
) -> dict[str, list[Addition]]:
    """Return the additions of the blocks, for those without one that forks outside what the relaxed pass finds."""
    found = dict(owners)
    for path, additions in _owners(sight, relaxed=True, reparametrised=False).items():
        if path not in found and type(sight.modules[path]) in classes:
            found[path] = [addition for addition in additions if addition.on_branch.spatial] or additions
    return found


def _instances(sight: Sight, classes: Collection[type[nn.Module]], owners: _Owners) -> list[Block]:
    paths = [path for path in sight.within if type(sight.modules[path]) in classes]
    blocks = (_block(sight, path, owners.get(path, ())) for path in paths)
    return [block for block in blocks if block is not None]


def _siblings(sight: Sight, blocks: Iterable[Block]) -> list[Block]:
    """Return further blocks that stand where blocks stand: EfficientNet's first one has another class."""
    have = {block.path for block in blocks}
    shapes = {_numbered(path) for path in have if _numbered(path).count("*") >= 2}
    found = []
    for path in sight.within:
        module = sight.modules[path]
        if path in have or _numbered(path) not in shapes or type(module).__module__.startswith("torch.nn"):
            continue
        if len(convolutions(module)) < 2 or not any(map(is_spatial, convolutions(module))):
            continue
        if any(other.startswith(f"{path}.") or path.startswith(f"{other}.") for other in have):
            continue
        found.append(_block(sight, path, ()))
    return [block for block in found if block is not None]


def _numbered(path: str) -> str:
    """Return a path with a star for each part that is a number."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def _block(sight: Sight, path: str, additions: Iterable[Addition]) -> Block | None:
    """Return the block of a module; None where no map enters or leaves it, or where it reads the image."""
    nodes, maps = frozenset(sight.within[path]), sight.maps
    ordered = sight.within[path]
    outputs = [n for n in ordered if maps.is_map(n) and any(user not in nodes for user in n.users)]
    inputs = [n for node in ordered for n in node.all_input_nodes if n not in nodes and maps.is_map(n)]
    if not outputs or not inputs or any(node.op == "placeholder" for node in inputs):
        return None
    output = outputs[-1]
    largest = max(maps.side(node) for node in inputs)
    return Block(
        path=path,
        nodes=nodes,
        output=output,
        stride=round(largest / maps.side(output)),
        additions=tuple(additions),
    )


def _chain(sight: Sight) -> Iterator[Block]:
    """Yield each k x k convolution with its norm and activation, of a network that is one chain of them.

    Raises:
        ArchitectureError: the network has residual blocks, but without such convolutions.
    """
    if any(is_addition(node) and len(sight.maps.shapes.get(node, ())) == _TOKENS for node in sight.graph.nodes):
        raise ArchitectureError(
            "the network has no blocks for attention: its residual blocks add tokens, not maps", ("backbone", "name")
        )
    if any(not addition.on_branch.spatial for addition in sight.additions):
        raise ArchitectureError(
            "the network has no blocks for attention: its residual blocks have no k x k convolution",
            ("backbone", "name"),
        )
    for node, module in sight.called():
        if isinstance(module, nn.Conv2d) and is_spatial(module):
            yield _convolution(sight, node)


def _convolution(sight: Sight, node: fx.Node) -> Block:
    output, nodes, maps = node, {node}, sight.maps
    while len(output.users) == 1:
        user = next(iter(output.users))
        if maps.shapes.get(user) != maps.shapes[node] or not _follows(sight, user):
            break
        output = user
        nodes.add(user)
    (source,) = node.all_input_nodes
    before = maps.side(source) if maps.is_map(source) else SIZE
    return Block(
        path=str(node.target),
        nodes=frozenset(nodes),
        output=output,
        stride=round(before / maps.side(output)),
    )


def _follows(sight: Sight, node: fx.Node) -> bool:
    """Tell whether a node is a norm or an activation after a convolution."""
    if node.op == "call_function":
        return node.target in _ACTIVATIONS
    if node.op != "call_module":
        return False
    module = sight.modules[str(node.target)]
    return not convolutions(module) and not isinstance(module, nn.Dropout)


def _ordered(sight: Sight, rule: Rule, blocks: list[Block]) -> Found:
    order = sight.ancestors.order
    ordered = sorted(blocks, key=lambda block: order[block.output])
    if not ordered:
        raise ArchitectureError("the network has no blocks for attention: no convolutions", ("backbone", "name"))
    return Found(rule, tuple(ordered), tuple(_stages(sight.maps, ordered)))


def _stages(maps: Maps, blocks: Sequence[Block]) -> list[int]:
    """Return the stage of each block: the library's own group where one can be read, else a run of equal maps."""
    scales = [maps.scale(block.output) for block in blocks]
    own = _runs([_group(block.path) for block in blocks])
    if _are_groups(blocks, own, scales):
        return own
    stages = _runs([(maps.channels(block.output), scale) for block, scale in zip(blocks, scales, strict=True)])
    if len(blocks) >= _FEW and stages[-1] + 1 > _MANY_STAGES * len(blocks):
        stages = _runs(scales)
    return stages


def _group(path: str) -> str | None:
    """Return what the library groups a block by: the path up to its first number, where a second one follows."""
    parts = path.split(".")
    numbered = [n for n, part in enumerate(parts) if part[-1].isdigit()]
    return ".".join(parts[: numbered[0] + 1]) if len(numbered) > 1 else None


def _are_groups(blocks: Sequence[Block], stages: Sequence[int], scales: Sequence[int]) -> bool:
    """Tell whether paths group all blocks, in runs of one scale: HRNet's have several, ConvMixer's hold one block."""
    groups = [_group(block.path) for block in blocks]
    if None in groups or len(set(groups)) != stages[-1] + 1 or len(set(groups)) == len(blocks):
        return False
    return len(set(zip(groups, scales, strict=True))) == len(set(groups))


def _runs(keys: Sequence[object]) -> list[int]:
    """Return for each key how often the key has changed up to it."""
    runs = [0]
    for before, key in pairwise(keys):
        runs.append(runs[-1] + (before != key))
    return runs
