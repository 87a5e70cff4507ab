"""SRM: Style-based Recalibration Module (Lee et al., 2019)."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import KINDS, Kind, State

NAME = "srm"
KINDS.register(NAME)(
    Kind(
        title="Style-based Recalibration Module (Lee et al., 2019)",
        colour="#9333ea",
        params="4 * C",
        macs="0",
        dimensions={
            "channel": State(
                g=("B", "C"),
                t=("B", "C"),
                extraction="mean and standard deviation over the map",
                transformation="each channel's weighted sum of both, BatchNorm, sigmoid",
                fusion="multiply",
                equation="T = σ(BN(w_μ G_mean + w_σ G_deviation))",
            )
        },
    )
)
