"""The networks that a study trained: values by seed, costs and names. Reads, never writes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcasearch.analysis.contrasts import BySeed
from dcasearch.analysis.standing import FidelityStanding, Standing
from dcasearch.architecture import Network
from dcasearch.config.study import Study
from dcasearch.evaluation import Evaluation
from dcasearch.metrics import TASKS, Metric
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial

CHOSEN = "chosen"


@dataclass(frozen=True)
class Records:
    """What a study's figures read of its database, each row once."""

    roles: tuple[Role, ...]
    evaluations: Mapping[str, Evaluation]
    """Of all trials and roles, by id."""
    networks: Mapping[str, Network]
    """Of all complete trials and all roles, by architecture id."""
    costs: Mapping[str, Mapping[str, float]]
    """Of the same networks: parameters, multiply-adds."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """One network whose training ended at a fidelity."""

    architecture_id: str
    network: Network
    values: BySeed
    """The headline metric of the last epoch, by seed."""
    costs: Mapping[str, float]
    """Those that the database holds: `params`, `macs`."""
    trial: int | None
    """Number of its first trial at the fidelity; None of a baseline that no trial asked for."""
    baseline: str | None
    """Name of the baseline that it is, e.g. `plain`."""
    chosen: bool
    """Whether the study's selection puts it first."""
    label: str | None = None
    """What a list of architectures calls it."""

    @property
    def mean(self) -> float:
        """Mean of the headline metric over the seeds."""
        return statistics.fmean(self.values.values())

    @property
    def name(self) -> str:
        """What a list calls it, else `chosen`, the baseline's name, or e.g. `trial 12`."""
        return self.label or (CHOSEN if self.chosen else self.baseline or f"trial {self.trial}")


@dataclass(frozen=True)
class TrainedNetworks:
    """All networks of one fidelity that trains."""

    fidelity: str
    metric: Metric
    """The headline metric."""
    networks: tuple[TrainedNetwork, ...]
    """Baselines are among them; whoever was pruned is not."""


def records_of(store: Store, standing: Standing) -> Records:
    """Return everything that the figures of a study read of its database beyond its standing."""
    study = standing.study
    roles = tuple(store.roles(study.name))
    trials = [trial for fidelity in standing.fidelities for trial in fidelity.trials]
    held: list[Trial | Role] = [*trials, *roles]
    shown = {r.architecture_id for r in roles} | {t.architecture_id for t in trials if t.state is State.COMPLETE}
    record = store.get_study(study.name)
    classes = 0 if record is None else int(record.meaning.get("data.classes", 0))
    return Records(
        roles=roles,
        evaluations=store.evaluations(item.evaluation for item in held if item.evaluation is not None),
        networks={id: found.network for id, found in store.architectures(shown).items()},
        costs=_costs(store, study, {role.architecture_id for role in roles}, shown, classes),
    )


def _costs(
    store: Store, study: Study, baselines: Iterable[str], ids: Iterable[str], classes: int
) -> dict[str, Mapping[str, float]]:
    """Return costs by id: those that the database holds, and those of baselines, which it may lack."""
    resolution, width = study.fidelities[-1].resolution, TASKS[study.task].width(classes or 1000)
    found: dict[str, Mapping[str, float]] = {**store.costs(ids, resolution, width)}
    missing = store.architectures(id for id in baselines if id not in found)
    if missing:
        from dcasearch.models import cost  # needs torch

        computed = {id: cost(architecture, resolution, width) for id, architecture in missing.items()}
        found |= {id: {"params": float(of_one.params), "macs": float(of_one.macs)} for id, of_one in computed.items()}
    return found


def networks_of(standing: Standing, records: Records) -> tuple[TrainedNetworks, ...]:
    """Return the networks of each fidelity that trains and has one, in the study's order."""
    chosen = None if standing.winner is None else standing.winner.architecture.id
    metric = standing.study.headline
    found = []
    for fidelity in standing.fidelities:
        networks = [] if fidelity.score is not None else _networks(fidelity, records, metric, chosen)
        if networks:
            found.append(TrainedNetworks(fidelity.name, metric, tuple(networks)))
    return tuple(found)


def complete_trials(fidelity: FidelityStanding) -> list[Trial]:
    """Return the trials of a fidelity that ended with finite values, by number; duplicates are left out."""
    ended = (trial for trial in fidelity.trials if trial.state is State.COMPLETE and trial.values)
    return [trial for trial in ended if all(map(math.isfinite, trial.values or ()))]


def means_of(fidelity: FidelityStanding) -> dict[str, tuple[float, ...]]:
    """Return by id the values of each network, one per objective, over the seeds that most have.

    So no lucky seed makes a front. Whoever left a race early is shown over the seeds it has.
    """
    values: dict[str, list[tuple[float, ...]]] = {}
    for trial in complete_trials(fidelity):
        values.setdefault(trial.architecture_id, []).append(trial.values or ())
    if not values:
        return {}
    needed = max(map(len, values.values())) if fidelity.race is None else max(1, min(2, fidelity.race.looked))
    whole = {id: of_network for id, of_network in values.items() if len(of_network) >= needed}
    return {id: tuple(map(statistics.fmean, zip(*of_one, strict=True))) for id, of_one in whole.items()}


def _networks(fidelity: FidelityStanding, records: Records, metric: Metric, chosen: str | None) -> list[TrainedNetwork]:
    roles = [r for r in records.roles if (r.role, r.fidelity) == ("baseline", fidelity.name)]
    trials = [t for t in fidelity.trials if t.state is State.COMPLETE]
    names, numbers = {r.architecture_id: r.name for r in roles}, {t.architecture_id: t.number for t in reversed(trials)}
    labels = {t.architecture_id: t.label for t in trials}
    values: dict[str, dict[int, float]] = {}
    items: list[Trial | Role] = [*roles, *trials]
    for item in items:
        record = records.evaluations.get(item.evaluation or "")
        if record is not None and math.isfinite(record.last.values.get(metric.name, math.nan)):
            values.setdefault(item.architecture_id, {})[item.seed] = record.last.values[metric.name]
    return [
        TrainedNetwork(
            architecture_id=id,
            network=records.networks[id],
            values=by_seed,
            costs=records.costs.get(id, {}),
            trial=numbers.get(id),
            baseline=names.get(id),
            chosen=id == chosen,
            label=labels.get(id),
        )
        for id, by_seed in values.items()
    ]


def seeds_of(networks: Sequence[TrainedNetwork]) -> int:
    """Return the number of seeds that most of the networks have; 0 of none."""
    counts = [len(network.values) for network in networks]
    return statistics.mode(counts) if counts else 0
