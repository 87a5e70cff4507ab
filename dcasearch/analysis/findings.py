"""What figures and tables of a report show beyond the standing: once, from few queries. Reads, never writes."""

from __future__ import annotations

from dataclasses import dataclass

from dcasearch.analysis.connecting import ConnectingAt, connecting_of
from dcasearch.analysis.curves import Alphas, LearningCurves, alphas_of, curves_of
from dcasearch.analysis.fronts import Front, front_of
from dcasearch.analysis.hypervolume import Growth, growth_of
from dcasearch.analysis.importance import Importance, importance_of
from dcasearch.analysis.networks import TrainedNetworks, networks_of, records_of
from dcasearch.analysis.spending import Spending, spending_of
from dcasearch.analysis.standing import Standing
from dcasearch.store import Store


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a study found, in numbers. Tuples are by fidelity, in the study's order."""

    networks: tuple[TrainedNetworks, ...]
    """Every network that was trained, with its values, costs and name."""
    fronts: tuple[Front, ...]
    """Of fidelities with two networks or more; empty with one objective."""
    growths: tuple[Growth, ...]
    """How the hypervolume grew; empty with one objective."""
    importance: Importance
    """Of the axes of the space, at the fidelity that trained the most trials."""
    connecting: tuple[ConnectingAt, ...]
    """What connecting is worth by stage and dimension, of fidelities where some networks connect and some do not."""
    curves: tuple[LearningCurves, ...]
    alphas: Alphas
    spending: Spending


def findings_of(store: Store, standing: Standing) -> Findings:
    """Return everything that the figures of a study show beyond its standing."""
    records = records_of(store, standing)
    networks = networks_of(standing, records)
    powers = {fidelity.name: fidelity.power for fidelity in standing.fidelities}
    connecting = (connecting_of(trained, powers[trained.fidelity]) for trained in networks)
    trained = [fidelity for fidelity in standing.fidelities if fidelity.score is None]
    most = max(trained or standing.fidelities, key=lambda fidelity: len(fidelity.trials))
    return Findings(
        networks=networks,
        fronts=tuple(front for f in standing.fidelities if (front := front_of(f)) is not None),
        growths=tuple(growth for f in standing.fidelities if (growth := growth_of(f)) is not None),
        importance=importance_of(most, records),
        connecting=tuple(at for at in connecting if at.places),
        curves=curves_of(standing, records),
        alphas=alphas_of(standing, records),
        spending=spending_of(store, standing, records),
    )
