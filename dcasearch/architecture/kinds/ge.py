"""GE: Gather-Excite (Hu et al., 2018): θ⁻ without parameters, θ with a depth-wise gather, θ⁺ with an excitation too."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, Shape, State, Value

MINUS, THETA, PLUS = "ge_theta_minus", "ge_theta", "ge_theta_plus"
EXTENT = "extent"
UPSAMPLED = "upsampled"
"""A form of θ's message, for the paper's three rows alone: the gathered map at the block's resolution."""
_MAP: Shape = ("B", "C", "H/extent", "W/extent")
_GATHERED = "sum(9 * C * ceil(H / 2**i) * ceil(W / 2**i) for i in range(1, log2(extent) + 1))"
_LEARNED_GATHER = "log₂ e depth-wise 3x3 convolutions of stride 2, each with BatchNorm"


def _extent(default: Value, *choices: Value) -> Option:
    return Option(
        name=EXTENT,
        symbol="e",
        type=int,
        default=default,
        choices=choices,
        unset="global",
        asked=1,
        says="e, pixels between gathered ones",
    )


KINDS.register(MINUS)(
    Kind(
        title="Gather-Excite θ⁻, parameter-free (Hu et al., 2018)",
        label="GE-θ⁻",
        colour="#047857",
        options=(_extent(None, None, 2, 4, 8),),
        dimensions={
            "channel": State(
                g=_MAP,
                t=_MAP,
                extraction="global average; with extent e averages of (2e-1)² pixels, one every e",
                transformation="sigmoid",
                fusion="multiply (maps by nearest neighbour)",
                equation="T = σ(G)",
                learnable=False,
            )
        },
    )
)
KINDS.register(THETA)(
    Kind(
        title="Gather-Excite θ, depth-wise gather (Hu et al., 2018)",
        label="GE-θ",
        colour="#15803d",
        options=(_extent(8, 2, 4, 8),),
        params="11 * C * log2(extent)",
        macs=_GATHERED,
        dimensions={
            "channel": State(
                g=_MAP,
                t=_MAP,
                extraction=_LEARNED_GATHER,
                transformation="sigmoid",
                fusion="multiply, by nearest neighbour",
                equation="T = σ(G)",
                learnable=False,
            )
        },
        forms={
            UPSAMPLED: {
                "channel": State(
                    g=("B", "C", "H", "W"),
                    t=("B", "C", "H", "W"),
                    extraction="the gathered map, enlarged by nearest neighbour",
                    transformation="sigmoid",
                    fusion="multiply",
                    equation="T = σ(G)",
                    learnable=False,
                )
            }
        },
    )
)
KINDS.register(PLUS)(
    Kind(
        title="Gather-Excite θ⁺, depth-wise gather and 1x1 excitation (Hu et al., 2018)",
        label="GE-θ⁺",
        colour="#4d7c0f",
        options=(_extent(8, 2, 4, 8), reduction()),
        params="11 * C * log2(extent) + 2 * C * hidden + hidden + C",
        macs=f"{_GATHERED} + 2 * C * hidden * ceil(H / extent) * ceil(W / extent)",
        dimensions={
            "channel": State(
                g=_MAP,
                t=_MAP,
                extraction=_LEARNED_GATHER,
                transformation="C → C/r, ReLU, → C at each position, sigmoid",
                fusion="multiply, by nearest neighbour",
                equation="T = σ(W₂ ReLU(W₁ G)) at each position",
            )
        },
    )
)
