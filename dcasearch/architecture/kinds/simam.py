"""SimAM: a simple, parameter-free attention module (Yang et al., 2021)."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import KINDS, Kind, Option, State

NAME, LAMBDA = "simam", "e_lambda"
KINDS.register(NAME)(
    Kind(
        title="SimAM, parameter-free (Yang et al., 2021)",
        label="SimAM",
        colour="#0f766e",
        options=(
            Option(name=LAMBDA, type=float, default=1e-4, least=1e-8, says="λ, added to each channel's variance"),
        ),
        dimensions={
            # Its own dimension: the inverse energies of a channel have the mean 3/4 whatever the channel shows, so that
            # as a vector the message would say nothing. As a map of all channels it has no equal among the other kinds.
            "neuron": State(
                g=("B", "C", "H", "W"),
                t=("B", "C", "H", "W"),
                extraction="inverse energy of each value in its channel's map",
                transformation="sigmoid",
                fusion="multiply",
                equation="G = (x − μ)² / (4 (σ² + λ)) + 1/2, T = σ(G)",
                learnable=False,
            )
        },
    )
)
