"""LCT: Linear Context Transform (Ruan et al., 2020)."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import KINDS, Kind, State
from dcasearch.architecture.kinds.groups import groups

NAME = "lct"
KINDS.register(NAME)(
    Kind(
        title="Linear Context Transform (Ruan et al., 2020)",
        colour="#c2410c",
        options=(groups(least=4),),
        params="2 * C",
        macs="0",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="global average",
                transformation="normalised over each group of channels, one scale and one shift a channel, sigmoid",
                fusion="multiply",
                equation="T = σ(w ẑ + b), ẑ = (G − μ) / √(σ² + ε) over each group",
            )
        },
    )
)
