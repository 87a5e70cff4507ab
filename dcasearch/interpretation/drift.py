"""How far the focus of a network moves from one stage or block to the next: the motive of the paper, measured.

Three measures, each of two successive places, over the same images for every network:

- overlap of Grad-CAM: IoU of the top 20% of pixels of the maps of two successive stages, at the image's size, for the
  class that the network itself predicts;
- overlap of a spatial attention: IoU of the top 20% of pixels of T of two successive blocks, at the size of the largest
  T, for every dimension whose T is made of planes (their mean);
- CKA of attention: linear CKA of T of two successive blocks over the images, for every dimension. T of channels is
  averaged over its positions, T of planes over its planes.

A value of 1 is a focus that does not move.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcasearch.architecture.kinds import Dimension
from dcasearch.data import Loader
from dcasearch.interpretation.gradcam import enlarge, grad_cam
from dcasearch.interpretation.intervals import Floats, Replicates, bootstrap, jackknife
from dcasearch.interpretation.observing import observing
from dcasearch.interpretation.similarity import LEAST_IMAGES, cka, focus, gram, is_constant, overlap
from dcasearch.models import DCANet
from dcasearch.models.sites import Site


@dataclass(frozen=True)
class Spot:
    """A place where a network is looked at."""

    name: str
    """Of the stage or the block."""
    stage: int
    """From 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Track:
    """One measure of one network, from each spot to the next."""

    measure: str
    """E.g. `overlap of Grad-CAM`."""
    spots: tuple[Spot, ...]
    steps: Replicates
    """One number for each two successive spots."""
    images: int
    left_out: tuple[int, ...] = ()
    """Of each step the images that have no focus at one of its spots: they are not in the mean. Overlaps only."""
    constant: tuple[str, ...] = ()
    """Spots where T is the same for every image, so that no CKA is defined. CKA only."""

    @property
    def borders(self) -> NDArray[np.bool_]:
        """Which steps go from one stage to another."""
        pairs = zip(self.spots, self.spots[1:], strict=False)
        return np.array([first.stage != second.stage for first, second in pairs], dtype=np.bool_)


def tracks_of(model: DCANet, images: Loader) -> list[Track]:
    """Return every measure of a network that it has two spots for.

    Args:
        model: in evaluation mode.
        images: on the model's device; shown once. CKA needs 256 of them: with fewer there is none.

    Raises:
        UserError: captum is not installed.
    """
    watched = _Watched(model)
    for batch, _ in images.epoch(1):
        if len(batch):  # else none of its images can be read
            watched.add(batch)
    return list(watched.tracks())


@dataclass
class _Seen:
    """What was seen of one dimension, batch by batch."""

    features: dict[Site, list[Floats]] = field(default_factory=dict)
    overlaps: list[Floats] = field(default_factory=list)


class _Watched:
    """A network that is shown images."""

    def __init__(self, model: DCANet) -> None:
        self._model = model
        self._nodes = dict(zip(model.names, model.network.nodes, strict=True))
        ports = {d: port for node in model.network.nodes for d, port in node.ports.items()}
        self._sites = {d: [(n, d) for n, node in self._nodes.items() if d in node.ports] for d in sorted(ports)}
        self._has_planes = {
            d: all(self._nodes[n].ports[d].planes for n, _ in sites) for d, sites in self._sites.items()
        }
        self._seen = {d: _Seen() for d in self._sites}
        self._maps: list[Floats] = []
        """Overlaps of Grad-CAM, batch by batch."""

    def add(self, batch: Tensor) -> None:
        """Look at some images."""
        with observing(self._model) as seen, torch.no_grad():
            self._model(batch)
            transformed = dict(seen.transformed)
        for dimension, sites in self._sites.items():
            looks = {site: _look(transformed[site], self._has_planes[dimension]) for site in sites}
            for site, look in looks.items():
                self._seen[dimension].features.setdefault(site, []).append(_numbers(look.flatten(1)))
            if self._has_planes[dimension]:
                self._seen[dimension].overlaps.append(_successive(_common(list(looks.values()))))
        maps = grad_cam(self._model, batch)
        self._maps.append(_successive([_numbers(enlarge(map_Bhw, batch.shape[-2:])) for map_Bhw in maps.values()]))

    def tracks(self) -> Iterator[Track]:
        """Yield what was found."""
        stages = tuple(Spot(stage.name, n + 1) for n, stage in enumerate(self._model.stages))
        yield from _overlaps("overlap of Grad-CAM", stages, self._maps)
        for dimension, sites in self._sites.items():
            spots = tuple(Spot(self._nodes[n].name, self._nodes[n].layout.stage + 1) for n, _ in sites)
            seen = self._seen[dimension]
            if self._has_planes[dimension]:
                yield from _overlaps(f"overlap of {dimension} attention", spots, seen.overlaps)
            yield from _similarities(dimension, spots, seen.features)


def _look(transformed: Tensor, planes: bool) -> Tensor:
    """Return what is compared of T: of planes their mean (B, H, W), of channels their mean over positions."""
    if transformed.dim() < 4:
        return transformed
    return transformed.mean(1) if planes else transformed.mean((2, 3))


def _common(maps: Sequence[Tensor]) -> list[Floats]:
    """Return maps at the size of the largest of them."""
    size = max((tuple(map_BHW.shape[-2:]) for map_BHW in maps), key=lambda size: size[0] * size[1])
    return [_numbers(enlarge(map_BHW, size)) for map_BHW in maps]


def _numbers(values: Tensor) -> Floats:
    return values.double().cpu().numpy()


def _successive(maps: Sequence[Floats]) -> Floats:
    """Return the overlap of the focus of each two successive maps, shape (B, maps - 1)."""
    masks = [focus(map_BHW) for map_BHW in maps]
    steps = [overlap(first, second) for first, second in itertools.pairwise(masks)]
    return np.stack(steps, 1) if steps else np.empty((len(maps[0]), 0))


def _overlaps(measure: str, spots: tuple[Spot, ...], batches: Sequence[Floats]) -> Iterator[Track]:
    if len(spots) < 2 or not batches:
        return
    values_NS = np.concatenate(batches)
    left_out = tuple(int(count) for count in (~np.isfinite(values_NS)).sum(0))
    yield Track(measure=measure, spots=spots, steps=bootstrap(values_NS), images=len(values_NS), left_out=left_out)


def _similarities(
    dimension: Dimension, spots: tuple[Spot, ...], features: Mapping[Site, Sequence[Floats]]
) -> Iterator[Track]:
    whole = [np.concatenate(batches) for batches in features.values()]
    images = len(whole[0]) if whole else 0
    if len(spots) < 2 or images < LEAST_IMAGES:
        return
    constant = [is_constant(features_NF) for features_NF in whole]
    products = [None if same else gram(features_NF) for same, features_NF in zip(constant, whole, strict=True)]

    def successive(chosen: NDArray[np.int64]) -> Floats:
        some = [None if product is None else product[np.ix_(chosen, chosen)] for product in products]
        pairs = itertools.pairwise(some)
        return np.array([np.nan if a is None or b is None else cka(a, b) for a, b in pairs])

    yield Track(
        measure=f"CKA of {dimension} attention",
        spots=spots,
        steps=jackknife(images, successive),
        images=images,
        constant=tuple(spot.name for spot, same in zip(spots, constant, strict=True) if same),
    )
