"""A traced network's forward pass with attention in it: the graph as Python code, over the library's own module tree.

Attention enters as nodes of the graph: `self.attend(n, value, sent)` takes the map that node n of the architecture
gates and the messages sent so far, and returns the gated map and the messages that are still needed. Every later use of
the map is redirected to the gated one. Nothing is hooked, and no state is kept between calls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple, cast

from torch import Tensor, fx, nn

from dcasearch.architecture import Network
from dcasearch.architecture.kinds import KINDS
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.models.backbones.base import Host, Passage
from dcasearch.models.layers import BatchNorm
from dcasearch.models.traced.analysis import Analysis, analysis_for
from dcasearch.models.traced.placement import Site
from dcasearch.models.traced.segments import Segment, segments_of

ATTEND, TAPS = "attend", "taps"
"""What a network that runs generated code has: `attend(n, value, sent)`, and a module for each stage."""


def function_of(graph: fx.Graph, name: str) -> Callable[..., Any]:
    """Return a graph as a function of (the module that holds the graph's modules, the graph's inputs).

    Args:
        graph: its names are looked up in the first argument.
        name: what tracebacks show in place of a file.
    """
    code = graph.python_code("self")
    space = dict(code.globals)
    exec(compile(code.src, f"<{name}>", "exec"), space)
    function: Callable[..., Any] = space["forward"]
    return function


class Convolved:
    """The host of attention that takes the place of a traced block's k x k convolution."""

    def __init__(self, root: nn.Module, paths: tuple[str, ...]) -> None:
        self._modules = [root.get_submodule(path) for path in paths]

    @property
    def convolution(self) -> nn.Conv2d:
        """The k x k convolution."""
        return cast(nn.Conv2d, self._modules[0])

    @property
    def activation(self) -> nn.Module | None:
        """The activation that ends `convolve`, if one does; it may be a part of the norm."""
        *_, last = self._modules
        if isinstance(last, BatchNorm):
            return getattr(last, "act", None)
        return None if len(self._modules) == 1 else last

    def before(self, x: Tensor) -> Tensor:
        """Return x: the place begins at the convolution."""
        return x

    def convolve(self, u: Tensor) -> Tensor:
        """Apply the convolution, its norm and the activation that follows."""
        for module in self._modules:
            u = module(u)
        return u

    def after(self, v: Tensor) -> Tensor:
        """Return v: the place ends here."""
        return v

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y: the graph adds the shortcut."""
        return y


class Generated:
    """The forward passes of one architecture on a library's network, as functions of the `DCANet` that they run in.

    It holds no parameters and never changes, so that copies of a network share it. Pickled it is the architecture
    alone: the functions are made anew where it is read, and no code is stored.
    """

    def __init__(self, network: Network) -> None:
        assert network.library is not None
        self._network = network
        analysis = analysis_for(network.library)
        self._sites = {site.name: site for site in analysis.sites}
        graphs = _graphs(network, analysis)
        self._label = network.library.network.label
        self.forward: Callable[[nn.Module, Tensor], Tensor] = function_of(graphs.logits, self._label)
        """Images -> logits."""
        self.features: Callable[[nn.Module, Tensor], Mapping[str, Tensor]] = function_of(
            graphs.features, f"{self._label} features"
        )
        """Images -> each stage's map, by the stage's name."""
        self.head = tuple(sorted(_called(graphs.logits) - _called(graphs.features)))
        """Paths of the modules that `forward` alone needs."""

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """`forward`, cut after each block."""
        graphs = self._graphs_anew()
        return segments_of(graphs.logits, graphs.ends, partial(function_of, name=f"{self._label} segment"))

    @cached_property
    def segments_of_features(self) -> tuple[Segment, ...]:
        """`features`, cut after each block."""
        graphs = self._graphs_anew()
        return segments_of(
            graphs.features, graphs.ends_of_features, partial(function_of, name=f"{self._label} segment")
        )

    def _graphs_anew(self) -> _Graphs:
        assert self._network.library is not None
        return _graphs(self._network, analysis_for(self._network.library))

    def __reduce__(self) -> tuple[type[Generated], tuple[Network]]:
        return Generated, (self._network,)

    def __deepcopy__(self, memo: Mapping[int, object]) -> Generated:
        return self

    def host(self, root: nn.Module, n: int) -> Host:
        """Return the host of node n: its block's convolution where its kind takes that one's place.

        Args:
            root: holds the library's network as `backbone`.
            n: index of the node.
        """
        node = self._network.nodes[n]
        return host_of(root, self._sites[node.layout.name], node.kind, after_stage=node.after_stage)


def host_of(root: nn.Module, site: Site, kind: str, *, after_stage: bool) -> Host:
    """Return a node's host: its block's convolution where its kind takes that one's place, else a `Passage`."""
    if after_stage or not KINDS[kind].convolves:
        return Passage()
    return Convolved(root, tuple(str(part.target) for part in site.convolution))


def _called(graph: fx.Graph) -> set[str]:
    return {str(node.target) for node in graph.nodes if node.op == "call_module"}


class _Graphs(NamedTuple):
    """Of one architecture on a library's network."""

    logits: fx.Graph
    ends: frozenset[fx.Node]
    """The last node of each block in `logits`."""
    features: fx.Graph
    """Of the stages' maps."""
    ends_of_features: frozenset[fx.Node]


def _graphs(network: Network, analysis: Analysis) -> _Graphs:
    insertion = _Insertion(network, analysis)
    insertion.run()
    features = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    last = list(insertion.taps.values())[-1]
    for node in insertion.graph.nodes:
        copies[node] = features.node_copy(node, lambda source: copies[source])
        if node is last:
            break
    features.output({name: copies[tap] for name, tap in insertion.taps.items()})
    ends = insertion.ends
    return _Graphs(insertion.graph, ends, features, frozenset(copies[end] for end in ends if end in copies))


class _Insertion:
    """Puts an architecture's nodes and the stages' taps into a copy of a graph."""

    def __init__(self, network: Network, analysis: Analysis) -> None:
        self._network, self._analysis = network, analysis
        self.graph = fx.Graph()
        self._copies: dict[fx.Node, fx.Node] = {}
        self.graph.output(self.graph.graph_copy(analysis.graph, self._copies))
        self._now: dict[fx.Node, fx.Node] = {}
        """What stands for a map of the original graph by now."""
        self._sent: Any = {}
        self.taps: dict[str, fx.Node] = {}

    def run(self) -> None:
        """Insert everything, in network order."""
        sites = {site.name: site for site in self._analysis.sites}
        last = {stage.block: stage.name for stage in self._network.stages}
        ended: Site | None = None
        for n, node in enumerate(self._network.nodes):
            if node.after_stage:
                assert ended is not None  # a stage's node follows its last block
                self._stand(n, ended.block.output)
            else:
                ended = sites[node.name]
                if KINDS[node.kind].convolves:
                    self._convolve(n, ended)
                elif node.kind != NO_ATTENTION:
                    self._stand(n, ended.value)
            following = self._network.nodes[n + 1] if n + 1 < len(self._network.nodes) else None
            if ended.name in last and (following is None or not following.after_stage):
                self._tap(last[ended.name], ended.block.output)

    @property
    def ends(self) -> frozenset[fx.Node]:
        """What stands for each block's output by now."""
        return frozenset(self._current(site.block.output) for site in self._analysis.sites)

    def _stand(self, n: int, original: fx.Node) -> None:
        """Let node n gate a map."""
        value = self._current(original)
        users = list(value.users)
        with self.graph.inserting_after(value):
            entering = self._channels_first(value, original)
        leaving = self._attend(n, entering)
        with self.graph.inserting_after(leaving):
            gated = self._channels_back(leaving, original)
        for user in users:
            user.replace_input_with(value, gated)
        self._now[original] = gated

    def _convolve(self, n: int, site: Site) -> None:
        """Let node n stand in the place of a block's convolution."""
        replaced = [self._copies[part] for part in site.convolution]
        (entering,) = replaced[0].all_input_nodes
        last = replaced[-1]
        gated = self._attend(n, entering, after=last)
        for user in list(last.users):
            user.replace_input_with(last, gated)
        for part in reversed(replaced):
            self.graph.erase_node(part)
        self._now[site.convolution[-1]] = gated

    def _attend(self, n: int, entering: fx.Node, after: fx.Node | None = None) -> fx.Node:
        with self.graph.inserting_after(after or entering):
            both = self.graph.create_node("call_module", ATTEND, (n, entering, self._sent))
        with self.graph.inserting_after(both):
            self._sent = self.graph.call_function(operator.getitem, (both, 1))
        with self.graph.inserting_after(self._sent):  # the gated map last: what stands on it comes after both
            return self.graph.call_function(operator.getitem, (both, 0))

    def _tap(self, name: str, original: fx.Node) -> None:
        """Let a stage's map pass through the stage's tap."""
        value = self._current(original)
        users = list(value.users)
        with self.graph.inserting_after(value):
            entering = self._channels_first(value, original)
        with self.graph.inserting_after(entering):
            tapped = self.graph.create_node("call_module", f"{TAPS}.{name}", (entering,))
        with self.graph.inserting_after(tapped):
            leaving = self._channels_back(tapped, original)
        for user in users:
            user.replace_input_with(value, leaving)
        self._now[original] = leaving
        self.taps[name] = tapped

    def _current(self, original: fx.Node) -> fx.Node:
        return self._now.get(original, self._copies[original])

    def _channels_first(self, value: fx.Node, original: fx.Node) -> fx.Node:
        if self._analysis.axes[original] == 1:
            return value
        return self.graph.call_method("permute", (value, 0, 3, 1, 2))

    def _channels_back(self, value: fx.Node, original: fx.Node) -> fx.Node:
        if self._analysis.axes[original] == 1:
            return value
        return self.graph.call_method("permute", (value, 0, 2, 3, 1))
