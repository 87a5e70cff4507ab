from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dcasearch.analysis.curves import alphas_of, curves_of
from dcasearch.analysis.networks import Records
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing
from dcasearch.architecture import Architecture
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.metrics import METRICS
from dcasearch.search.winner import Winner
from dcasearch.trial import Role, State, Trial
from tests.support import make_study

SPEC: dict[str, Any] = {"backbone": {"name": "resnet18"}, "attention": {"name": "se", "reduction": 16}}
CONNECTED = Architecture.parse({**SPEC, "connections": {"topology": "chain"}})
VANILLA = Architecture.parse(SPEC)
PRUNER = {"name": "successive_halving", "min_epochs": 1, "reduction_factor": 2}


def record(
    id: str, values: Sequence[float], alphas: Sequence[Mapping[str, float]] = (), seed: int = 0, reused: float = 0.0
) -> Evaluation:
    told = [{}] * (len(values) - len(alphas)) + list(alphas)
    history = tuple(
        Epoch(epoch=n, train_loss=1.0, values={"top1": value}, seconds=10.0, alphas=of_epoch)
        for n, (value, of_epoch) in enumerate(zip(values, told, strict=True), start=1)
    )
    key = EvaluationKey(architecture_id=id, fidelity="f", data="d", protocol="search", seed=seed)
    seconds = 10.0 * len(values)
    return Evaluation(key=key, history=history, seconds=seconds, images=1, device="cpu", reused_seconds=reused)


def trial(number: int, id: str, evaluation: str | None, epochs: int, state: State = State.COMPLETE) -> Trial:
    return Trial(
        study="tiny",
        fidelity="proxy",
        number=number,
        state=state,
        origin="sampled",
        params={},
        architecture_id=id,
        seed=0,
        evaluation=evaluation,
        values=(1.0,) if state is State.COMPLETE else None,
        epochs=epochs,
    )


def role(name: str, kind: Any, id: str, evaluation: str | None, seed: int = 0) -> Role:
    return Role(
        study="tiny",
        fidelity="proxy",
        role=kind,
        name=name,
        architecture_id=id,
        seed=seed,
        evaluation=evaluation,
    )


def standing_of(trials: Sequence[Trial], chosen: Architecture | None = None, leader: str | None = None) -> Standing:
    fidelity = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4, "pruner": PRUNER}
    led = Compared(name="leader", architecture_id=leader or "", seeds=(0,), headline=METRICS["top1"], values={})
    told = FidelityStanding(
        name="proxy",
        trials=tuple(trials),
        counts={},
        leader=led if leader else None,
        baselines=(),
        suspended=(),
        objectives={"top1": "maximize"},
    )
    mine = [t for t in trials if chosen is not None and t.architecture_id == chosen.id]
    winner = None if chosen is None else Winner(chosen, tuple(mine), (1.0,))
    return Standing(study=make_study(fidelities=[fidelity]), fidelities=(told,), finals=(), winner=winner, seconds=0.0)


def records_of(evaluations: Mapping[str, Evaluation], roles: Sequence[Role] = ()) -> Records:
    networks = {a.id: a.network for a in (CONNECTED, VANILLA)}
    return Records(roles=tuple(roles), evaluations=evaluations, networks=networks, costs={})


def test_a_curve_ends_where_its_trial_was_pruned_though_another_study_went_on() -> None:
    evaluations = {"a": record("a", [1, 2, 3, 4]), "b": record("b", [1, 2, 3, 4]), "p": record("p", [5, 6, 7, 8])}
    trials = [
        trial(0, "a", "a", 4),
        trial(1, "b", "b", 2, State.PRUNED),
        trial(2, "a", "a", 4, State.DUPLICATE),
        trial(3, "c", None, 0, State.FAILED),
    ]
    roles = [role("resnet18 plain", "baseline", "p", "p"), role("vanilla se", "baseline", "v", None)]
    [curves] = curves_of(standing_of(trials, leader="a"), records_of(evaluations, roles))
    assert [(c.name, c.pruned, c.values) for c in curves.trials] == [
        ("trial 0", False, (1, 2, 3, 4)),
        ("trial 1", True, (1, 2)),
    ]
    assert (curves.metric, curves.epochs, curves.rungs) == ("top1", 4, (1, 2))
    assert (curves.pruned_after(1), curves.pruned_after(2), curves.pruned_after(4)) == (0, 1, 0)
    assert curves.leader is not None
    assert curves.leader.values == (1, 2, 3, 4)
    assert curves.plain is not None
    assert (curves.plain.name, curves.plain.values) == ("resnet18 plain", (5, 6, 7, 8))


def test_the_coefficients_are_those_of_the_final_training_and_else_of_the_last_fidelity() -> None:
    id = CONNECTED.id
    searched = record(id, [1, 2], [{"channel 1→2": 1.0}, {"channel 1→2": 0.5}])
    final = record(id, [1, 2], [{"channel 1→2": 1.0}, {"channel 1→2": 0.1}], seed=1000)
    standing = standing_of([trial(0, id, "s", 2)], chosen=CONNECTED)
    roles = [role("winner", "final", id, "f", 1000), role("plain", "final", "x", "s", 1000)]
    told = alphas_of(standing, records_of({"s": searched, "f": final}, roles))
    assert (told.where, told.seed, told.curves, told.why_not) == ("final", 1000, {"channel 1→2": (1.0, 0.1)}, "")
    told = alphas_of(standing, records_of({"s": searched}, roles))
    assert (told.where, told.seed, told.curves) == ("proxy", 0, {"channel 1→2": (1.0, 0.5)})


def test_a_training_that_an_older_version_began_has_the_coefficients_of_its_last_epochs() -> None:
    id = CONNECTED.id
    half = record(id, [1, 2, 3], [{"channel 1→2": 0.4}])
    told = alphas_of(standing_of([trial(0, id, "s", 3)], chosen=CONNECTED), records_of({"s": half}))
    assert (told.first_epoch, told.curves) == (3, {"channel 1→2": (0.4,)})


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (None, "No trial of the last fidelity is complete yet."),
        (VANILLA, "The chosen network has no connections, so it has no α."),
        (CONNECTED, "hold no α: an older version recorded none"),
    ],
)
def test_why_there_are_no_coefficients_is_said_in_a_sentence(chosen: Architecture | None, why: str) -> None:
    trials = [] if chosen is None else [trial(0, chosen.id, "s", 2)]
    told = alphas_of(standing_of(trials, chosen=chosen), records_of({"s": record("a", [1, 2])}))
    assert told.curves == {}
    assert why in told.why_not
