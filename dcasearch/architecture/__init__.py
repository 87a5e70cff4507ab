"""One point of the design space: a frozen specification, the network it resolves to, and its id. No torch.

`specification` is what a user writes, `layouts` the backbones' geometry, `libraries` and `backbone` the networks that
other libraries have, `kinds` what each attention
block declares, `topology` who listens to whom; `placement` says which kind stands where, and `resolution`
makes of all of them a `network`, whose canonical form is the id: two specifications of one network share it. `point`
is the architecture itself, `warm_start` where it starts from its vanilla parent.
"""

from dcasearch.architecture.backbone import Backbone, LibraryBackbone, LibraryNetwork, Trace
from dcasearch.architecture.kinds import KINDS, Dimension, Kind, Option, Port, State, dimensions
from dcasearch.architecture.layouts import BACKBONES, BackboneFamily, BackboneLayout, BlockLayout, family_of
from dcasearch.architecture.network import Edge, Matching, Network, Node, Resize, Stage
from dcasearch.architecture.point import Architecture
from dcasearch.architecture.specification import (
    Alpha,
    Attention,
    ChannelMatching,
    ConnectionFunction,
    Connections,
    StageAttention,
)
from dcasearch.architecture.warm_start import alpha_of_vanilla, started_as_vanilla, vanilla_of

__all__ = [
    "BACKBONES",
    "KINDS",
    "Alpha",
    "Architecture",
    "Attention",
    "Backbone",
    "BackboneFamily",
    "BackboneLayout",
    "BlockLayout",
    "ChannelMatching",
    "ConnectionFunction",
    "Connections",
    "Dimension",
    "Edge",
    "Kind",
    "LibraryBackbone",
    "LibraryNetwork",
    "Matching",
    "Network",
    "Node",
    "Option",
    "Port",
    "Resize",
    "Stage",
    "StageAttention",
    "State",
    "Trace",
    "alpha_of_vanilla",
    "dimensions",
    "family_of",
    "started_as_vanilla",
    "vanilla_of",
]
