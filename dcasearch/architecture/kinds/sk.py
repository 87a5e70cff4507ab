"""SK: Selective Kernel (Li et al., 2019), two branches in the place of a block's k x k convolution."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, State

NAME = "sk"
KINDS.register(NAME)(
    Kind(
        title="Selective Kernel (Li et al., 2019)",
        colour="#7c3aed",
        where="in a block, in the place of its k x k convolution",
        options=(reduction(of=lambda block: block.width, least=4),),
        convolved=("channel.fc1", "channel.fc2"),
        params="9 * D * I + 2 * D + 3 * D * hidden + 2 * hidden",
        macs="9 * D * I * H * W + 3 * D * hidden",
        dimensions={
            "channel": State(
                g=("B", "D"),
                t=("B", "2", "D"),
                branches=2,
                extraction="global average of each of two branches",
                transformation="of their sum: D → D/r, BatchNorm, ReLU, → 2D, softmax over branches",
                fusion="weighted sum of the branches",
                equation="T = softmax_b(W_b ReLU(BN(W Σ_b G_b)))",
            )
        },
    )
)
