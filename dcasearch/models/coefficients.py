"""The coefficients of a network's connections as they are now: how strongly each message comes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcasearch.architecture.words import connection_name
from dcasearch.models.build import DCANet
from dcasearch.models.sites import edges_of, fusions

MOST_CONNECTIONS = 200
"""A network with more connections records one mean for each receiver, so that a record of an epoch stays small."""


@torch.no_grad()
def coefficients_of(model: nn.Module) -> dict[str, float]:
    """Return α of each connection, or the learned weight where the function is learned, by the connection's name.

    Args:
        model: a `DCANet`, or a model that holds one, as a detector does.

    A connection with several coefficients (one for each channel or branch) has their mean. Above `MOST_CONNECTIONS`
    connections, each receiver has the mean over its connections, e.g. `channel →7`. Empty without connections.
    """
    networks = [module for module in model.modules() if isinstance(module, DCANet)]
    found = _by_name(networks[0]) if networks else {}
    if not found:
        return {}
    means = torch.stack([torch.stack(values).mean() for values in found.values()]).tolist()
    return {name: float(f"{mean:.5g}") for name, mean in zip(found, means, strict=True)}


def _by_name(model: DCANet) -> dict[str, list[Tensor]]:
    network, number = model.network, {name: n for n, name in enumerate(model.names)}
    many = len(network.edges) > MOST_CONNECTIONS
    edges = {(edge.dimension, edge.source, edge.target): edge for edge in network.edges}
    found: dict[str, list[Tensor]] = {}
    for (target, dimension), _, fusion in fusions(model):
        for source, incoming in edges_of(fusion).items():
            name = connection_name(network, edges[dimension, number[source], number[target]])
            if many:
                name = f"{dimension} →{name.partition('→')[2]}"
            found.setdefault(name, []).append(incoming.coefficient.detach().float().mean())
    return found
