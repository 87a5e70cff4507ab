from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import optuna
import pytest

from dcasearch.analysis.importance import DRAWS, Importance, importance_of, pearson
from dcasearch.analysis.networks import Records
from dcasearch.analysis.standing import FidelityStanding
from dcasearch.architecture import Architecture
from dcasearch.trial import State, Trial, Value
from tests.analysis.test_hypervolume import at

NOTHING = Records(roles=(), evaluations={}, networks={}, costs={})


def made(count: int, seed: int = 0) -> list[tuple[dict[str, Value], float]]:
    """Trials in which one axis matters much, one a little, and one that is asked only with `cbam` not at all."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        params: dict[str, Value] = {
            "attention.name": draw.choice(["se", "cbam"]),
            "connections.channel.stage3": draw.choice([True, False]),
            "connections.function": draw.choice(["direct", "weighted", "softmax"]),
        }
        if params["attention.name"] == "cbam":
            params["connections.spatial.stage3"] = draw.choice([True, False])
        value = 70 + 3 * bool(params["connections.channel.stage3"]) + (params["connections.function"] == "direct")
        found.append((params, value + draw.gauss(0, 1)))
    return found


def fidelity(trials: Sequence[tuple[Mapping[str, Value], float | None]]) -> FidelityStanding:
    rows = at(*((value or 0.0, 1.0) for _, value in trials)).trials
    known = [
        replace(row, params=params, state=State.PRUNED if value is None else State.COMPLETE)
        for row, (params, value) in zip(rows, trials, strict=True)
    ]
    return replace(at(), trials=tuple(replace(t, values=None if t.state is State.PRUNED else t.values) for t in known))


def by_optuna(trials: Sequence[tuple[Mapping[str, Value], float]], best: int) -> dict[str, float]:
    options: dict[str, list[str]] = {}
    for params, _ in trials:
        for name, value in params.items():
            if str(value) not in options.setdefault(name, []):
                options[name].append(str(value))
    domains = {name: optuna.distributions.CategoricalDistribution(words) for name, words in options.items()}
    study = optuna.create_study(direction="maximize")
    for params, value in trials:
        words = {name: str(v) for name, v in params.items()}
        own = {name: domains[name] for name in params}
        study.add_trial(optuna.trial.create_trial(value=value, params=words, distributions=own))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best / len(trials))
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def shares(found: Importance) -> dict[str, float]:
    return {axis.name: axis.share for axis in found.axes}


@pytest.mark.slow  # Optuna's importances import scikit-learn
def test_it_equals_optunas_ped_anova_conditional_axes_included() -> None:
    trials = made(60)
    found = importance_of(fidelity(trials), NOTHING)
    assert (found.trials, found.best, found.metric) == (60, 6, "top1")
    assert shares(found) == pytest.approx(by_optuna(trials, 6), rel=1e-9)


def test_the_divergence_of_a_case_computed_by_hand() -> None:
    # All: 2 and 2 of two options; kernels 4/3 and 1/3 over 5/3, so each has density 1/2. The best: 2 and 0; one kernel
    # of two, with 3/2 and 1/2 over 2: (2 · 3/4 + 1/2) / 3 = 2/3, and 1/3. Divergence: 2 · (1/2) · (1/3)² = 1/9.
    assert pearson(np.array([2, 2]), np.array([[2, 0], [0, 0]])) == pytest.approx([1 / 9, 0])


def test_an_axis_that_matters_is_above_its_dummies_and_one_that_does_not_is_among_them() -> None:
    found = importance_of(fidelity(made(300)), NOTHING)
    first = found.axes[0]
    assert (first.name, first.above_chance) == ("connections.channel.stage3", True)
    assert first.share > 3 * first.chance.high > first.chance.mean > first.chance.low >= 0
    assert sum(shares(found).values()) == pytest.approx(1)


def test_one_axis_in_twenty_that_cannot_matter_is_above_chance() -> None:
    draw = random.Random(1)
    above = 0
    for _ in range(10):
        trials = [({f"x{n}": draw.choice([1, 2, 3]) for n in range(20)}, draw.random()) for _ in range(80)]
        above += sum(axis.above_chance for axis in importance_of(fidelity(trials), NOTHING).axes)
    assert 2 <= above <= 20  # of 200; the test is the same each time
    assert DRAWS >= 200


def test_a_pruned_trial_is_worse_than_every_complete_one() -> None:
    trials = [(params, value if value > 72 else None) for params, value in made(60)]
    complete = [(params, value if value is not None else 0.0) for params, value in trials]
    assert shares(importance_of(fidelity(trials), NOTHING)) == shares(importance_of(fidelity(complete), NOTHING))


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        (made(19), "Fidelity proxy has 19 trials, 19 of them complete; the importance of axes is told from 20"),
        ([({"a": n % 2}, None) for n in range(30)], "30 trials, 0 of them complete"),
        ([({"architecture": f"row {n}"}, 1.0 * n) for n in range(30)], "differ in no axis of the space"),
        ([], "differ in no axis of the space"),
    ],
)
def test_what_cannot_be_told_is_said_in_a_sentence(
    trials: Sequence[tuple[Mapping[str, Value], float | None]], why: str
) -> None:
    found = importance_of(fidelity(trials), NOTHING)
    assert found.axes == ()
    assert why in found.why_not


def test_axes_of_stages_and_blocks_are_added_up_by_place() -> None:
    found = importance_of(fidelity(made(60)), NOTHING)
    assert [(place.what, place.stage, place.name) for place in found.places] == [
        ("channel", 3, "channel, stage 3"),
        ("spatial", 3, "spatial, stage 3"),
    ]
    assert found.places[0].share == shares(found)["connections.channel.stage3"]
    network = Architecture.parse({"backbone": {"name": "resnet18"}}).network  # two blocks a stage
    draw = random.Random(0)
    trials = [
        ({f"connections.channel.block{n:02}": draw.choice([0, 1]) for n in (2, 3, 4)}, draw.random()) for _ in "x" * 40
    ]
    blocks = importance_of(fidelity(trials), replace(NOTHING, networks={"a": network}))
    assert [place.name for place in blocks.places] == ["channel, stage 1", "channel, stage 2"]
    of_blocks = shares(blocks)
    assert blocks.places[1].share == pytest.approx(
        of_blocks["connections.channel.block03"] + of_blocks["connections.channel.block04"]
    )
    assert importance_of(fidelity(trials), NOTHING).places == ()  # which block is in which stage is not known


def test_a_fidelity_of_scores_is_told_by_its_score() -> None:
    scored = replace(fidelity(made(60)), objectives={"macs": "minimize", "score": "maximize"})
    rows: list[Trial] = [replace(t, values=(1.0, (t.values or (0.0,))[0])) for t in scored.trials]
    found = importance_of(replace(scored, trials=tuple(rows)), NOTHING)
    assert found.metric == "score"
    assert shares(found) == shares(importance_of(fidelity(made(60)), NOTHING))
