"""GE: Gather-Excite (Hu et al., 2018), θ⁻ without parameters and θ with a depth-wise gather."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, Shape, State, Value

MINUS, THETA = "ge_theta_minus", "ge_theta"
EXTENT = "extent"
UPSAMPLED = "upsampled"
"""A form of θ's message, for the paper's three rows alone: the gathered map at the block's resolution."""
_MAP: Shape = ("B", "C", "H/extent", "W/extent")


def _extent(default: Value, *choices: Value) -> Option:
    return Option(
        name=EXTENT,
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
        colour="#0d9488",
        options=(_extent(None, None, 2, 4, 8),),
        dimensions={
            "channel": State(
                g=_MAP,
                t=_MAP,
                extraction="global average; with extent e averages of (2e-1)² pixels, one every e",
                transformation="sigmoid",
                fusion="multiply (maps by nearest neighbour)",
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
        dimensions={
            "channel": State(
                g=_MAP,
                t=_MAP,
                extraction="log₂ e depth-wise 3x3 convolutions of stride 2, each with BatchNorm",
                transformation="sigmoid",
                fusion="multiply, by nearest neighbour",
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
                )
            }
        },
    )
)
