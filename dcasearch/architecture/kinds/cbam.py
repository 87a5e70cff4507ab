"""CBAM: Convolutional Block Attention Module (Woo et al., 2018)."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, State

NAME = "cbam"
KINDS.register(NAME)(
    Kind(
        title="Convolutional Block Attention Module (Woo et al., 2018)",
        colour="#be123c",
        options=(reduction(),),
        coupled=True,
        convolved=("match.fc", "match.fc1", "match.fc2"),
        silenced=("spatial.norm", "spatial.branches.0.function.norm"),
        params="2 * C * hidden + hidden + C + 98 + 2",
        macs="4 * C * hidden + 98 * H * W",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="global average and global maximum",
                transformation="C → C/r, ReLU, → C on each, summed, sigmoid",
                fusion="multiply",
                equation="T = σ(MLP(G_average) + MLP(G_maximum))",
            ),
            "spatial": State(
                g=("B", "2", "H", "W"),
                t=("B", "1", "H", "W"),
                extraction="maximum and mean over channels",
                transformation="7x7 convolution, BatchNorm, sigmoid",
                fusion="multiply",
                equation="T = σ(BN(conv₇([G_maximum, G_mean])))",
            ),
        },
    )
)
