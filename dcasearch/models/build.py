"""Where backbone, attention and connections meet: an architecture becomes a network, and nowhere else.

Parameter names: `backbone.*` are the library's; `attention.<node>.<dimension>.*` and
`connections.<node>.<dimension>.branches.<n>.{function,edges.<source>}.*` are ours, where <node> is the library's
name of the block with `_` for `.`, or `stage1` after the first stage. No name depends on what else the network has.
`taps.<stage>` are modules without parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

import torch
from torch import Tensor, nn

from dcasearch.architecture import Architecture, Network, Stage
from dcasearch.architecture.kinds import Dimension
from dcasearch.architecture.specification import ClassifierInit
from dcasearch.config import load_architecture
from dcasearch.models.attention import Extraction, Message, attention_of
from dcasearch.models.attention.base import Read, Sends
from dcasearch.models.backbones import NETWORKS, Backbone, Host, Passage
from dcasearch.models.connections import Arrival, Receiver, parameter_name, send_map, send_message
from dcasearch.models.initialization import initialize
from dcasearch.models.recomputation import Recomputing
from dcasearch.models.traced import library_network
from dcasearch.models.traced.generated import Generated
from dcasearch.models.traced.segments import run_segments

Sent: TypeAlias = Mapping[tuple[Dimension, str], Message]
"""The messages that later blocks still need, by dimension and sender."""


class DCANet(nn.Module):
    """A backbone with attention blocks, and connections between them. Images (B, 3, H, W) -> logits (B, classes).

    Messages go from node to node as arguments and return values; without an edge the network is the vanilla
    attention network, without attention the library's own. A backbone that this package has prepared is run block by
    block; any other one by code that is generated from its graph (`dcasearch.models.traced`).

    `taps` holds one identity a stage, by name (`stage1`, …): the stage's output, after the stage's own attention, goes
    through it. So a forward hook on `model.taps["stage2"]` sees the map, and captum attributes to it. No later layer
    overwrites a tapped map. `features` returns all of them.

    With `recomputes` set the backward pass computes each block anew, which keeps less memory (`recomputation`).
    """

    recomputes = False

    def __init__(self, network: Network, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes
        self.backbone = backbone_of(network, classes)
        self._generated = None if network.library is None else Generated(network)
        self.names = [parameter_name(node) for node in network.nodes]
        places = zip(self.names, network.nodes, self.hosts(), strict=True)
        self.attention = nn.ModuleDict({name: attention_of(node, host) for name, node, host in places})
        self.connections = nn.ModuleDict(
            {name: nn.ModuleDict(_receivers(network, n)) for n, name in enumerate(self.names)}
        )
        self.taps = nn.ModuleDict({stage.name: nn.Identity() for stage in network.stages})
        ends = {node.layout.stage: n for n, node in enumerate(network.nodes)}
        self._tap_after = dict(zip(ends.values(), self.taps, strict=True))
        self._sends = [sends_of(network, n) for n in range(len(network.nodes))]
        self._held: tuple[str, ...] = ()
        self._last = {
            (e.dimension, self.names[e.source]): e.target for e in sorted(network.edges, key=lambda e: e.target)
        }

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Name, channels and scale of each tap, in network order."""
        return self.network.stages

    @property
    def pyramid(self) -> tuple[Stage, ...]:
        """The last stage of each scale: what a feature pyramid takes."""
        return self.network.pyramid

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        if self._generated is not None:
            if self.recomputes:
                logits: Tensor = run_segments(self._generated.segments, self, images, Recomputing(self))
                return logits
            return self._generated.forward(self, images)
        return cast(Backbone, self.backbone).head(self._trunk(images))

    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the map (B, channels, H, W) after each stage, by the stage's name; the head is not run.

        Args:
            images: normalised, shape (B, 3, H, W).
        """
        if self._generated is not None:
            if self.recomputes:
                segments = self._generated.segments_of_features
                maps: Mapping[str, Tensor] = run_segments(segments, self, images, Recomputing(self))
                return maps
            return self._generated.features(self, images)
        kept: dict[str, Tensor] = {}
        self._trunk(images, kept)
        return kept

    def hold(self, modules: Iterable[str]) -> None:
        """Keep modules in evaluation mode from now on, whatever `train` says: frozen layers, kept statistics.

        Args:
            modules: their paths, which copies have too, and networks whose BatchNorm was synchronised.
        """
        self._held = tuple(dict.fromkeys((*self._held, *modules)))
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; those that are held stay in evaluation mode."""
        super().train(mode)
        for path in self._held:
            self.get_submodule(path).eval()
        return self

    def drop_head(self) -> None:
        """Let go of the parameters that only the logits need; `features` still works, `forward` does not any more."""
        if self._generated is None:
            cast(Backbone, self.backbone).drop_head()
            return
        for path in self._generated.head:
            self.set_submodule(path, nn.Identity())

    def attend(self, n: int, x: Tensor, sent: Sent) -> tuple[Tensor, Sent]:
        """Run node n's attention in a library's network; generated code calls this (`dcasearch.models.traced`).

        Args:
            n: index of the node.
            x: the map (B, C, H, W) that it gates; where its kind convolves, the convolution's input.
            sent: the messages of the nodes before.

        Returns:
            the gated map, and the messages that later nodes need.
        """
        assert self._generated is not None
        return self._run(n, self._generated.host(self, n), x, sent)

    def _trunk(self, images: Tensor, kept: dict[str, Tensor] | None = None) -> Tensor:
        """Return the last stage's map; put each stage's into `kept`. Without `kept` a map is freed once it is used."""
        x = cast(Backbone, self.backbone).stem(images)
        sent: Sent = {}
        run: Any = partial(Recomputing(self), self._run) if self.recomputes else self._run
        for n, host in enumerate(self.hosts()):
            x, sent = run(n, host, x, sent)
            if n in self._tap_after:
                x = self.taps[self._tap_after[n]](x)
                if kept is not None:
                    kept[self._tap_after[n]] = x
        return x

    def _run(self, n: int, host: Host, x: Tensor, sent: Sent) -> tuple[Tensor, Sent]:
        """Run node n on its host; return the host's output, and the messages that later nodes need."""
        name = self.names[n]
        x, messages = self.attention[name](host, x, partial(self._receive, name, sent), self._sends[n])
        needed = {key: message for key, message in sent.items() if self._last[key] > n}
        return x, needed | {(dimension, name): message for dimension, message in messages.items()}

    def hosts(self) -> list[Host]:
        """Return each node's host: its block, or a `Passage` after a stage and in a library's network."""
        if self._generated is not None:
            return [self._generated.host(self, n) for n in range(len(self.network.nodes))]
        hosts: list[Host] = list(cast(Backbone, self.backbone).blocks())
        for n, node in enumerate(self.network.nodes):
            if node.after_stage:
                hosts.insert(n, Passage())
        return hosts

    def _receive(self, name: str, sent: Sent, dimension: Dimension, raw: Extraction, read: Read) -> Extraction:
        """Return what the node `name` transforms in place of its raw extraction."""
        receivers: Any = self.connections[name]
        if dimension not in receivers:
            return raw
        messages = {source: message for (sending, source), message in sent.items() if sending == dimension}
        fused: Extraction = receivers[dimension](raw, messages, read)
        return fused


def backbone_of(network: Network, classes: int) -> nn.Module:
    """Return the network that an architecture's attention stands in.

    Raises:
        ArchitectureError: a library's network cannot be built.
    """
    if network.library is not None:
        return library_network(network.library.network, classes)
    name, width, stem = network.backbone
    return NETWORKS[name](width, stem, classes)


def _receivers(network: Network, n: int) -> dict[str, Receiver]:
    """Return node n's receivers, in the dimensions that it listens in."""
    fitted = network.library is not None
    return {
        dimension: Receiver([Arrival.of(edge, network.nodes, fitted=fitted) for edge in edges], network.alpha_init)
        for dimension in network.dimensions
        if (edges := network.incoming(n, dimension))
    }


def sends_of(network: Network, n: int) -> Sends:
    """Return how node n sends, in the dimensions that somebody listens to."""
    return {e.dimension: send_map if e.coupled else send_message for e in network.edges if e.source == n}


def build_model(
    architecture: Architecture | Mapping[str, Any] | str | Path,
    num_classes: int = 1000,
    *,
    seed: int = 0,
    classifier_init: ClassifierInit = "small",
) -> DCANet:
    """Return the network of an architecture, its parameters drawn anew (see `initialize`).

    Args:
        architecture: an `Architecture`, its dict, or the path of its YAML file.
        num_classes: width of the classifier.
        seed: of the parameters.
        classifier_init: how the classifier starts below 1,000 classes; see `Recipe.classifier_init`.

    Under `with torch.device(...)` the network is on that device; on `meta` it has shapes alone.

    Raises:
        ArchitectureError: the dict names no network that can be built.
        ConfigError: the YAML file does not.
    """
    network = _architecture(architecture).network
    if any(edge.form == "literal" for edge in network.edges):
        warnings.warn("weighted: literal is Eq. 5 as printed, which diverges where G + αP nears 0", stacklevel=2)
    device = torch.get_default_device()
    with torch.device("meta"):
        model = DCANet(network, num_classes)
    if model.network.library is None:  # which has its own way to start
        cast(Backbone, model.backbone).classifier_init = classifier_init
    if device.type == "meta":
        return model
    model.to_empty(device="cpu")
    initialize(model, seed)
    return model.to(device)


def _architecture(source: Architecture | Mapping[str, Any] | str | Path) -> Architecture:
    if isinstance(source, str | Path):
        return load_architecture(source)
    return Architecture.parse(source)


def load_backbone(model: nn.Module, state_dict: Mapping[str, Any]) -> None:
    """Load torchvision's state dict into the backbone part, strictly; attention and connections stay as they are.

    Raises:
        RuntimeError: a name or a shape differs.
    """
    model.get_submodule("backbone").load_state_dict(state_dict, strict=True)
