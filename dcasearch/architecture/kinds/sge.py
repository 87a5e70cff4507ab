"""SGE: Spatial Group-wise Enhance (Li et al., 2019)."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import KINDS, Kind, State
from dcasearch.architecture.kinds.groups import groups

NAME = "sge"
KINDS.register(NAME)(
    Kind(
        title="Spatial Group-wise Enhance (Li et al., 2019)",
        colour="#a16207",
        options=(groups(),),
        params="2 * groups",
        macs="C * H * W",
        dimensions={
            "spatial": State(
                g=("B", "groups", "H", "W"),
                t=("B", "groups", "H", "W"),
                extraction="of each group: its vector at each position times its mean vector",
                transformation="normalised over the positions, one scale and one shift a group, sigmoid",
                fusion="multiply, a plane a group",
                equation="G_i = x_i · mean(x), T = σ(γ (G − μ) / (σ + ε) + β), in each group",
            )
        },
    )
)
