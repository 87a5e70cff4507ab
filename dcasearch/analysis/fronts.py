"""The Pareto front of a fidelity with its noise band: who is on it, and who may be on it but for noise. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dcasearch.analysis.networks import complete_trials, means_of
from dcasearch.analysis.paired import Error
from dcasearch.analysis.power import Power, images_part
from dcasearch.analysis.standing import FidelityStanding
from dcasearch.metrics import METRICS, Direction
from dcasearch.search.objectives import losses, pareto_ranks


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """One network by the values of its objectives."""

    architecture_id: str
    values: tuple[float, ...]
    """One per objective, means over the seeds that most networks have."""
    on_front: bool
    in_band: bool
    """Not on the front, but in its first objective within the margin of every network that is on the front and in no
    other objective worse: it may be off the front by noise."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """The networks of a fidelity, those on the front first, by the second objective."""

    fidelity: str
    objectives: Mapping[str, Direction]
    seeds: int
    """That the means are over."""
    points: tuple[FrontPoint, ...]
    margins: tuple[float, ...] | None
    """Of each network on the front: the 95% margin of a difference in the first objective. None: no noise known."""
    seeds_known: bool
    """Whether the margins hold the noise between seeds; else they are the images' part alone."""

    @property
    def front(self) -> tuple[FrontPoint, ...]:
        """Those on the front, by the second objective."""
        return tuple(point for point in self.points if point.on_front)


def front_of(fidelity: FidelityStanding) -> Front | None:
    """Return the front of a fidelity; None with one objective, or with fewer than two networks."""
    values = means_of(fidelity) if len(fidelity.objectives) > 1 else {}
    if len(values) < 2:
        return None
    minimized = {id: losses(fidelity.objectives, of_one) for id, of_one in values.items()}
    ranks = pareto_ranks(list(minimized.values()))
    ids = sorted((id for id, rank in zip(values, ranks, strict=True) if rank == 0), key=lambda id: values[id][1])
    first = next(iter(fidelity.objectives))
    trained = [t.architecture_id for t in complete_trials(fidelity)]
    seeds = max(1, max(trained.count(id) for id in ids)) if fidelity.race is None else 1
    margins = None if fidelity.power is None else _margins(fidelity.power, first, [values[id][0] for id in ids], seeds)
    points = [FrontPoint(architecture_id=id, values=values[id], on_front=True, in_band=False) for id in ids]
    for id, rank in zip(values, ranks, strict=True):
        if rank > 0:
            near = margins is not None and all(
                minimized[id][0] - minimized[best][0] <= margin
                for best, margin in zip(ids, margins, strict=True)
                if all(a <= b for a, b in zip(minimized[best][1:], minimized[id][1:], strict=True))
            )
            points.append(FrontPoint(architecture_id=id, values=values[id], on_front=False, in_band=near))
    return Front(
        fidelity=fidelity.name,
        objectives=fidelity.objectives,
        seeds=seeds,
        points=tuple(points),
        margins=margins,
        seeds_known=fidelity.power is not None and fidelity.power.headline.noise is not None,
    )


def _margins(power: Power, metric: str, values: list[float], seeds: int) -> tuple[float, ...] | None:
    """Return for each value the 95% margin of a difference between two such networks, by seeds and images.

    None where the metric is not the one whose noise is known, or nothing is known of its noise.
    """
    noise = power.headline.paired or power.headline.noise
    if metric != power.metric or (noise is None and (power.images is None or not METRICS[metric].share)):
        return None
    measured, df = (0.0, math.inf) if noise is None else (2 * noise.sd**2 / seeds, noise.df)
    images = [0.0 if power.images is None else images_part(METRICS[metric], v, v, power.images) for v in values]
    return tuple(Error(measured, df, known).margin() for known in images)
