"""SE: Squeeze-and-Excitation (Hu et al., 2018)."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, State

NAME = "se"
KINDS.register(NAME)(
    Kind(
        title="Squeeze-and-Excitation (Hu et al., 2018)",
        colour="#2563eb",
        options=(reduction(),),
        params="2 * C * hidden + hidden + C",
        macs="2 * C * hidden",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="global average",
                transformation="C → C/r, ReLU, → C, sigmoid",
                fusion="multiply",
                equation="T = σ(W₂ ReLU(W₁ G))",
            )
        },
    )
)
