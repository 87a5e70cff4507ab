"""Accuracy against parameters: the points of figure 1, from a database's evaluations or from the paper's tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dcasearch.analysis.standing import load_study_of
from dcasearch.architecture import Architecture, Network, vanilla_of
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.words import label_of
from dcasearch.config.study import Study
from dcasearch.errors import UserError, nearest
from dcasearch.evaluation import EvaluationKey
from dcasearch.paper.rows import paper_tables
from dcasearch.store import Store
from dcasearch.trial import State

Form: TypeAlias = Literal["plain", "vanilla", "connected"]
"""Without attention; with attention and without connections; with both."""
FINAL = "final"
"""The name for a study's final trainings, beside those of its fidelities."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network."""

    id: str
    form: Form
    kinds: tuple[str, ...]
    """Its kinds of attention, sorted; none of a plain network."""
    label: str
    params: int
    value: float
    """The headline metric, a mean over the seeds."""
    seeds: int
    vanilla: str | None = None
    """Of a connected network: the id of the same network without connections."""


@dataclass
class Panel:
    """Points that were measured alike."""

    title: str
    axis: str
    """Of the values."""
    points: list[Point] = field(default_factory=list)


def panels_of(store: Store, studies: Sequence[str] = (), fidelity: str | None = None) -> list[Panel]:
    """Return the trained networks of a database, a panel for each way of measuring.

    Args:
        store: the database.
        studies: names; empty for all.
        fidelity: a fidelity's name, or `final`; None for each study's last fidelity.

    Raises:
        UserError: the database has no such study, or none of the studies has such a fidelity.
    """
    names = list(studies) or [study.name for study in store.studies()]
    loaded = [load_study_of(store, name) for name in names]
    _check(loaded, fidelity)
    found: dict[tuple[str, str, str], _Measured] = {}
    for study in loaded:
        for name in {one.name for one in study.fidelities} | {FINAL}:
            if name == (fidelity or study.fidelities[-1].name):
                values = list(_values(store, study, name))
                # Controls and warm starts have keys of their own, but a study compares all of its networks.
                ways = {(key.data, key.fidelity, key.protocol) for key, _ in values}
                measured = next((found[way] for way in ways if way in found), _Measured(study, name))
                found |= dict.fromkeys(ways, measured)
                measured.add(study.name, values, _labels(store, study, name))
    return [panel for measured in dict.fromkeys(found.values()) if (panel := measured.panel(store)).points]


def _labels(store: Store, study: Study, fidelity: str) -> dict[str, str]:
    """Return what a list of architectures calls its networks, by their ids."""
    level = study.fidelities[-1].name if fidelity == FINAL else fidelity
    return {trial.architecture_id: trial.label for trial in store.trials(study.name, level) if trial.label is not None}


def _check(studies: Iterable[Study], fidelity: str | None) -> None:
    known = {one.name for study in studies for one in study.fidelities} | {FINAL}
    if fidelity is not None and fidelity not in known:
        raise UserError(f"'{fidelity}' is not a fidelity of these studies; {nearest(fidelity, known)}")


def _values(store: Store, study: Study, fidelity: str) -> Iterator[tuple[EvaluationKey, float]]:
    """Yield the trainings that ended, with the headline metric."""
    trials = [] if fidelity == FINAL else store.trials(study.name, fidelity)
    ids = {trial.evaluation for trial in trials if trial.state is State.COMPLETE and trial.evaluation}
    for role in store.roles(study.name):
        wanted = role.role == "final" if fidelity == FINAL else (role.role, role.fidelity) == ("baseline", fidelity)
        if wanted and role.evaluation:
            ids.add(role.evaluation)
    headline = study.headline.name
    for key, values in store.measured(ids).items():
        yield key, values[headline]


class _Measured:
    """The values of one way of measuring, before they are points."""

    def __init__(self, study: Study, fidelity: str) -> None:
        self._study, self._fidelity = study, fidelity
        self._names: dict[str, None] = {}
        self._labels: dict[str, str] = {}
        self._values: dict[str, dict[int, float]] = {}

    def add(self, study: str, values: Iterable[tuple[EvaluationKey, float]], labels: Mapping[str, str]) -> None:
        """Take a study's trainings, and what it calls its networks."""
        self._names[study] = None
        self._labels |= labels
        for key, value in values:
            self._values.setdefault(key.architecture_id, {})[key.seed] = value

    def panel(self, store: Store) -> Panel:
        """Return the points, plain networks before vanilla before connected ones."""
        study = self._study
        last = study.fidelities[-1]
        fidelity = next((one for one in study.fidelities if one.name == self._fidelity), last)
        stored = store.get_study(study.name)
        classes = int(stored.meaning["data.classes"]) if stored else 0
        networks = {id: store.get_architecture(id) for id in self._values}
        several = len({one.network.backbone for one in networks.values()}) > 1
        points = [
            _point(
                networks[id],
                values,
                fidelity.resolution,
                classes,
                self._labels.get(id) or _label(networks[id], several),
            )
            for id, values in self._values.items()
        ]
        order: list[Form] = ["plain", "vanilla", "connected"]
        points.sort(key=lambda point: (order.index(point.form), point.params, point.id))
        axis = study.headline.axis
        return Panel(f"{', '.join(self._names)}: {self._fidelity}", axis, points)


def _kinds(network: Network) -> tuple[str, ...]:
    return tuple(sorted({node.kind for node in network.nodes} - {NO_ATTENTION}))


def _label(architecture: Architecture, several: bool) -> str:
    """Return a short name; with several backbones each network's has its own."""
    network, kinds = architecture.network, _kinds(architecture.network)
    name = "+".join(map(label_of, kinds))
    if network.edges:
        name = f"{name} {'/'.join(sorted({edge.function for edge in network.edges}))}"
    messages = {edge.message for edge in network.edges} - {"sender"}
    if messages:
        name = f"{name}, {'/'.join(sorted(messages))} message"
    backbone = network.backbone[0]
    return f"{name} {backbone}" if several and kinds else name or backbone


def _point(architecture: Architecture, values: dict[int, float], resolution: int, classes: int, label: str) -> Point:
    from dcasearch.models import cost

    network, kinds = architecture.network, _kinds(architecture.network)
    form: Form = "connected" if network.edges else "vanilla" if kinds else "plain"
    return Point(
        id=architecture.id,
        form=form,
        kinds=kinds,
        label=label,
        params=cost(architecture, resolution, classes).params,
        value=statistics.fmean(values.values()),
        seeds=len(values),
        vanilla=vanilla_of(architecture).id if network.edges else None,
    )


def printed_panels() -> list[Panel]:
    """Return table 1 as the paper prints it, a panel for each backbone."""
    panels: dict[str, Panel] = {}
    vanilla: dict[tuple[str, ...], str] = {}
    for row in paper_tables()[0].rows:
        network = row.architecture.network
        backbone, kinds = network.backbone[0], _kinds(network)
        label = row.name.rpartition("-")[0] or row.name
        if not network.edges:
            vanilla[backbone, *kinds] = row.id
        form: Form = "connected" if network.edges else "vanilla" if kinds else "plain"
        panels.setdefault(backbone, Panel(f"{backbone}, as printed", "top-1 (%)")).points.append(
            Point(
                id=row.id,
                form=form,
                kinds=kinds,
                label=label,
                params=round(row.printed.params * 1e6),
                value=row.printed.top1,
                seeds=1,
                vanilla=vanilla[backbone, *kinds] if network.edges else None,
            )
        )
    return list(panels.values())
