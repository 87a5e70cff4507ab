"""How much of what each block transforms comes from earlier blocks: the paper's Figure 5.

Connection k leads into block k + 1, counted over the blocks that have the dimension; so with a chain a network of n
blocks has the connections 1 to n - 1. SK has two branches, and each has its own share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dcasearch.architecture.kinds import Dimension
from dcasearch.data import Loader
from dcasearch.interpretation.intervals import Estimate, Floats, bootstrap
from dcasearch.interpretation.observing import observing
from dcasearch.interpretation.shares import Share, share_of_weights, shares_of_images
from dcasearch.models import DCANet
from dcasearch.models.sites import Site, fusions


@dataclass(frozen=True, kw_only=True)
class OverImages:
    """The mean share over images."""

    share: Estimate
    edges: tuple[float, ...]
    """The mean share of each edge."""
    images: int
    left_out: int
    """Images with neither an extraction nor a message (both 0): they have no share, and are not in the mean."""


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one branch of a block takes from earlier blocks, in one dimension. Shares are between 0 and 1."""

    connection: int
    """k: it leads into block k + 1 of those that have the dimension."""
    node: str
    """The receiving block."""
    stage: int
    """Of the receiving block, from 1."""
    kind: str
    """Of the receiving block's attention."""
    dimension: Dimension
    branch: int
    """From 1."""
    branches: int
    function: str
    sources: tuple[str, ...]
    """The sending blocks, in the order of the edges."""
    weights: Share | None
    """From the weights alone; None where the function has no such share."""
    over_images: OverImages | None
    """None where no images were given, or where no image has a share."""

    @property
    def line(self) -> str:
        """What it is a point of, e.g. `channel`, or `channel, branch 1`."""
        return self.dimension if self.branches == 1 else f"{self.dimension}, branch {self.branch}"


def contributions_of(model: DCANet, images: Loader | None = None) -> list[Contribution]:
    """Return the contribution of every branch of every connected block, in network order.

    Args:
        model: the network, in evaluation mode.
        images: shown to it once for the shares over images, on the model's device; without them the weights alone are
            read.
    """
    measured = {} if images is None else _measured(model, images)
    return list(_contributions(model, measured))


def _contributions(model: DCANet, measured: dict[tuple[Site, int], Floats]) -> Iterator[Contribution]:
    names = dict(zip(model.names, range(len(model.names)), strict=True))
    nodes = model.network.nodes
    for (name, dimension), branch, fusion in fusions(model):
        node = nodes[names[name]]
        sources = tuple(nodes[names[source]].name for source in fusion.edges)
        shares = measured.get(((name, dimension), branch))
        yield Contribution(
            connection=sum(dimension in before.ports for before in nodes[: names[name]]),
            node=node.name,
            stage=node.layout.stage + 1,
            kind=node.kind,
            dimension=dimension,
            branch=branch + 1,
            branches=node.ports[dimension].branches,
            function=model.network.incoming(names[name], dimension)[0].function,
            sources=sources,
            weights=share_of_weights(fusion),
            over_images=None if shares is None else _over_images(shares),
        )


@torch.no_grad()
def _measured(model: DCANet, images: Loader) -> dict[tuple[Site, int], Floats]:
    """Return the share of each edge for each image, shape (images, edges), by site and branch."""
    found: dict[tuple[Site, int], list[Floats]] = {}
    with observing(model) as seen:
        for batch, _ in images.epoch(1):
            if not len(batch):
                continue  # none of its images can be read
            model(batch)
            for site, branches in seen.received.items():
                for branch, received in branches.items():
                    found.setdefault((site, branch), []).append(shares_of_images(received).cpu().numpy())
    return {key: np.concatenate(shares) for key, shares in found.items()}


def _over_images(shares_NE: Floats) -> OverImages | None:
    known = np.isfinite(shares_NE).all(1)
    share, *edges = bootstrap(np.concatenate([shares_NE.sum(1, keepdims=True), shares_NE], 1)).estimates()
    if share is None:
        return None
    return OverImages(
        share=share,
        edges=tuple(edge.value for edge in edges if edge is not None),
        images=int(known.sum()),
        left_out=int((~known).sum()),
    )


def stages_along(model: DCANet, dimension: Dimension) -> tuple[int, ...]:
    """Return the stage, from 1, of the block that each connection 1, 2, … of a dimension would lead into."""
    return tuple(node.layout.stage + 1 for node in model.network.nodes if dimension in node.ports)[1:]
