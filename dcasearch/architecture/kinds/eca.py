"""ECA: Efficient Channel Attention (Wang et al., 2020)."""

from __future__ import annotations

import math

from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, State, Value
from dcasearch.architecture.layouts.layout import BlockLayout

NAME, KERNEL_SIZE = "eca", "kernel_size"


def adaptive(channels: int) -> int:
    """Return the paper's kernel size for a number of channels: |(log2 C + b) / γ| with b = 1, γ = 2, made odd."""
    size = int(abs((math.log2(channels) + 1) / 2))
    return size if size % 2 else size + 1


def _built(block: BlockLayout, value: Value) -> tuple[str, Value]:
    return KERNEL_SIZE, int(value or adaptive(block.channels))


KINDS.register(NAME)(
    Kind(
        title="Efficient Channel Attention (Wang et al., 2020)",
        colour="#0369a1",
        options=(
            Option(
                name=KERNEL_SIZE,
                type=int,
                default=0,
                choices=(0, *range(1, 16, 2)),
                built=_built,
                says="k of the convolution over channels; 0: |(log₂ C + 1) / 2|, made odd",
            ),
        ),
        params="kernel_size",
        macs="kernel_size * C",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="global average",
                transformation="1D convolution over the channels, sigmoid",
                fusion="multiply",
                equation="T = σ(conv_k(G)), k = kernel_size",
            )
        },
    )
)
