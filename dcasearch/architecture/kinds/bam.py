"""BAM: Bottleneck Attention Module (Park et al., 2018), between stages."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, State

NAME, DILATION = "bam", "dilation"
KINDS.register(NAME)(
    Kind(
        title="Bottleneck Attention Module (Park et al., 2018)",
        colour="#4338ca",
        place="between stages",
        options=(
            reduction(least=4),
            Option(name=DILATION, type=int, default=4, least=1, says="dilation of the two 3x3 convolutions"),
        ),
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="global average",
                transformation="C → C/r, BatchNorm, ReLU, → C",
                fusion="multiply by 1 + σ(both T added)",
            ),
            "spatial": State(
                g=("B", "1", "H", "W"),
                t=("B", "1", "H", "W"),
                extraction="C → C/r (1x1), two dilated 3x3 convolutions, each with BatchNorm and ReLU, → 1 (1x1)",
                transformation="as it is",
                fusion="multiply by 1 + σ(both T added)",
            ),
        },
    )
)
