"""Coordinate Attention (Hou et al., 2021): strips along height and width, each a dimension of its own."""

from __future__ import annotations

from dcasearch.architecture.kinds.bottleneck import reduction
from dcasearch.architecture.kinds.declaration import KINDS, Kind, Shape, State

NAME = "coord"
_ROWS: Shape = ("B", "C", "H", "1")
_COLUMNS: Shape = ("B", "C", "1", "W")


def _strip(shape: Shape, axis: str, over: str) -> State:
    return State(
        g=shape,
        t=shape,
        extraction=f"mean over {over}",
        transformation="both strips in a row: C → C/r, BatchNorm, hard-swish; each strip by itself: → C, sigmoid",
        fusion="multiply, both",
        equation=f"T = σ(W_{axis} f_{axis}), f = hardswish(BN(W [G_h, G_w]))",
    )


KINDS.register(NAME)(
    Kind(
        title="Coordinate Attention (Hou et al., 2021)",
        label="CoordAtt",
        colour="#1e40af",
        options=(reduction(least=8, default=32),),
        joint=True,
        params="3 * C * hidden + 2 * hidden + 2 * C",
        macs="2 * C * hidden * (H + W)",
        dimensions={"height": _strip(_ROWS, "h", "the width"), "width": _strip(_COLUMNS, "w", "the height")},
    )
)
