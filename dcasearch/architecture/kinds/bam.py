"""BAM: Bottleneck Attention Module (Park et al., 2018), between stages."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, State

NAME, DILATION = "bam", "dilation"
_FUSION, _FUSED = "multiply by 1 + σ(both T added)", "X′ = X × (1 + σ(T_channel + T_spatial))"
KINDS.register(NAME)(
    Kind(
        title="Bottleneck Attention Module (Park et al., 2018)",
        colour="#4338ca",
        place="between stages",
        joint=True,
        params="3 * C * hidden + 18 * hidden**2 + C + 13 * hidden + 1",
        macs="2 * C * hidden + (C * hidden + 18 * hidden**2 + hidden) * H * W",
        options=(
            reduction(least=4),
            Option(
                name=DILATION,
                type=int,
                default=4,
                least=1,
                most=1024,  # a padded map has twice as many further rows and columns
                says="dilation of the two 3x3 convolutions",
            ),
        ),
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="global average",
                transformation="C → C/r, BatchNorm, ReLU, → C",
                fusion=_FUSION,
                equation="T = W₂ ReLU(BN(W₁ G))",
                fused=_FUSED,
            ),
            "spatial": State(
                g=("B", "1", "H", "W"),
                t=("B", "1", "H", "W"),
                extraction="C → C/r (1x1), two dilated 3x3 convolutions, each with BatchNorm and ReLU, → 1 (1x1)",
                transformation="as it is",
                fusion=_FUSION,
                equation="T = G",
                fused=_FUSED,
                learnable=False,
            ),
        },
    )
)
