"""GC: Global Context (Cao et al., 2019)."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, State

NAME = "gc"
MASK_BIAS = "mask_bias"
KINDS.register(NAME)(
    Kind(
        title="Global Context (Cao et al., 2019)",
        colour="#b45309",
        starts_as_identity=True,
        options=(
            reduction(least=4),
            Option(
                name=MASK_BIAS,
                type=bool,
                default=True,
                late=True,
                asked=2,
                says="whether the mask has a bias, as in its paper; the softmax over positions cancels it",
            ),
        ),
        convolved=("channel.fc1", "channel.fc2", "match.fc", "match.fc1", "match.fc2"),
        params="C + mask_bias + 2 * C * hidden + 3 * hidden + C",
        macs="2 * C * H * W + 2 * C * hidden",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="sum over the map, weighed by the softmax of a 1x1 convolution",
                transformation="C → C/r, LayerNorm, ReLU, → C (starts at zero)",
                fusion="add",
                equation="G = Σ_i softmax_i(w·x_i) x_i, T = W₂ ReLU(LN(W₁ G))",
            )
        },
    )
)
