"""Non-Local (Wang et al., 2018), embedded Gaussian: every position sees every other."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, State

NAME = "non_local"
KINDS.register(NAME)(
    Kind(
        title="Non-Local, embedded Gaussian (Wang et al., 2018)",
        label="NL",
        colour="#be185d",
        starts_as_identity=True,
        options=(reduction(default=2),),
        params="4 * C * hidden + 2 * C",
        macs="4 * C * hidden * H * W + C * H * W + 2 * hidden * (H * W)**2 + C * hidden",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C", "H", "W"),
                extraction="mean of the attended map, whose positions are each a softmax-weighted sum of all",
                transformation="of the whole attended map: C → C/r → C at each position, BatchNorm (starts at zero)",
                fusion="add",
                equation="G = mean_i Σ_j a_ij x_j, a = softmax_j(θ(x_i)·φ(x_j)), T_i = BN(W_z W_g Σ_j a_ij x_j)",
            )
        },
    )
)
