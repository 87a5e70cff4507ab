from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcasearch.analysis.naming import Sentences
from dcasearch.analysis.power import LEGEND, Difference
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing, standing_of
from dcasearch.analysis.story import story_of
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.dashboard.networks import Networks
from dcasearch.dashboard.notes import StudyNotes, TrialNotes, leaders
from dcasearch.metrics import METRICS
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.dashboard.support import run_study
from tests.search.test_racing import Field

PAGES = {"proxy": 1, "full": 2}


def compared(name: str, *top1: float) -> Compared:
    values = {"top1": top1, "top5": top1} if top1 else {}
    return Compared(
        name=name,
        architecture_id=f"{name}-id",
        seeds=tuple(range(len(top1))),
        headline=METRICS["top1"],
        values=values,
        failure="" if top1 else "oom: 9 GB",
    )


def standing_at(name: str, counts: dict[State, int], leader: Compared, **more: Any) -> FidelityStanding:
    return FidelityStanding(
        name=name, trials=(), counts=counts, leader=leader, suspended=(), **{"baselines": (), **more}
    )


# Leaders


def test_leaders_are_a_table_with_the_lead_over_each_baseline_that_was_trained() -> None:
    told = Difference(2.0, 3.1, seeds_known=True, images_known=True)
    baselines = (replace(compared("plain", 88.0, 89.0), behind=told), compared("vanilla se"))
    standing = standing_at("proxy", {State.COMPLETE: 3}, compared("trial 4", 90.5), baselines=baselines)
    assert leaders(standing).splitlines() == [
        "|  | &emsp;top-1 % | &emsp;seeds | &emsp;leader's lead | &emsp;does it count? | &emsp;architecture |",
        "|---|--:|--:|--:|---|---|",
        "| trial 4 | &emsp;90.50 | &emsp;0 | &emsp; | &emsp; | &emsp;`trial 4-id` |",
        "| plain | &emsp;88.50 ± 0.71 | &emsp;0, 1 | &emsp;+2.00 ± 3.1 | &emsp;no | &emsp;`plain-id` |",
        "",
        LEGEND,
    ]


def test_leaders_are_said_in_words_the_leader_first() -> None:
    standing = standing_at(
        "proxy", {State.COMPLETE: 3}, compared("trial 4", 90.5), baselines=(compared("plain", 88.0),)
    )
    words = {"plain-id": "no attention", "trial 4-id": "SE r=16 in all stages; not connected", "other": "another"}
    said = leaders(standing, Sentences("resnet18", words)).split("Networks, each on resnet18:")[1].split("\n")
    assert [line for line in said if line] == [
        "- trial 4: SE r=16 in all stages; not connected",
        "- plain: no attention",
    ]


def test_leaders_say_how_far_a_race_is() -> None:
    race = Field().seeds(1, 90.0, 20.0).race()
    standing = standing_at("full", {State.COMPLETE: 2}, compared("trial 0", 90.5), race=race)
    assert leaders(standing).splitlines()[-1] == (
        "race (confidence 95%, up to 6 seeds): 2 of 2 are in it; the next look is at 2 seeds"
    )


# Trials


class Notes:
    """Notes of a study's trials, which may be changed before they are written."""

    def __init__(self, store: Store) -> None:
        self.standing = standing_of(store, "tiny")
        self.trials = {(t.fidelity, t.number): t for f in self.standing.fidelities for t in f.trials}
        ids = {t.architecture_id for t in self.trials.values()}
        self.networks = Networks(store)
        self.networks.read(ids)
        self.costs = store.costs(ids, 16, 10)

    def first(self, state: State, fidelity: str = "proxy") -> Trial:
        return next(t for (of, _), t in self.trials.items() if of == fidelity and t.state is state)

    def of(self, trial: Trial, *changed: Trial) -> str:
        standing = self.standing
        for new in changed:
            key = (new.fidelity, new.number)
            levels = (
                replace(level, trials=tuple(new if (t.fidelity, t.number) == key else t for t in level.trials))
                for level in standing.fidelities
            )
            standing = replace(standing, fidelities=tuple(levels))
        return TrialNotes(standing, self.networks, self.costs, PAGES).of(trial)


@pytest.fixture(scope="module")
def notes(ended: Store) -> Notes:
    return Notes(ended)


def test_a_note_begins_with_the_network_in_words_and_has_its_id_costs_and_drawing(notes: Notes) -> None:
    trial = notes.first(State.PRUNED)
    id = trial.architecture_id
    lines = notes.of(trial).splitlines()
    assert lines[:3] == ["### Network", "", f"**{notes.networks.sentence(id)}**"]
    assert f"- id: `{id}`" in lines
    assert f"- parameters: {notes.costs[id]['params']:,}" in lines
    assert f"- multiply-adds: {notes.costs[id]['macs']:,}" in lines
    assert lines[-1] == f"[![drawing of the network](/drawings/{id}.svg)](/drawings/{id}.svg)"


def state_of(note: str) -> str:
    [line] = [line for line in note.splitlines() if line.startswith("- state: ")]
    return line.removeprefix("- state: ")


def test_a_note_says_the_state_and_its_reason(notes: Notes) -> None:
    complete, pruned, failed = (notes.first(state) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    infeasible = notes.first(State.INFEASIBLE)
    assert complete.values is not None
    assert state_of(notes.of(complete)) == f"complete, top-1 {complete.values[0]:.2f}% after 4 epochs"
    assert state_of(notes.of(pruned)) == f"pruned after epoch {pruned.epochs} of 4: others were better at that epoch"
    assert state_of(notes.of(failed)) == "failed (nan): `the loss is nan`"
    assert state_of(notes.of(infeasible)) == f"infeasible, so it was never trained: {infeasible.constraint}"
    assert state_of(notes.of(replace(complete, state=State.RUNNING, values=None))) == "running"


def test_a_duplicate_links_its_twin_and_says_what_became_of_it(notes: Notes) -> None:
    duplicate = notes.first(State.DUPLICATE)
    twin = notes.trials["proxy", duplicate.duplicate_of or 0]
    link = f"[trial {twin.number}](/dashboard/studies/1/trials?numbers={twin.number})"
    said = state_of(notes.of(duplicate))
    assert said.startswith(f"duplicate of {link}, the same network and seed")
    assert said.endswith(f"trial {twin.number} is {state_of(notes.of(twin))}")
    waiting = replace(duplicate, state=State.WAITING)
    assert state_of(notes.of(waiting)) == f"waiting for {link}, which trains the same network with the same seed"


def test_a_promoted_trial_and_what_it_became_link_each_other(notes: Notes) -> None:
    promoted = notes.trials["full", 0]
    source = int(str(promoted.attributes["of"]))
    reason = promoted.attributes["reason"]
    assert "- promoted: to [full trial 0](/dashboard/studies/2/trials?numbers=0)" in notes.of(
        notes.trials["proxy", source]
    )
    assert (
        f"- origin: promoted from [proxy trial {source}](/dashboard/studies/1/trials?numbers={source}), {reason}"
        in notes.of(promoted)
    )


def test_a_trial_that_takes_up_a_failed_one_and_that_one_link_each_other(notes: Notes) -> None:
    failed, other = notes.first(State.FAILED), notes.first(State.COMPLETE)
    retry = replace(other, attributes={"retry_of": failed.number})
    assert f"- taken up again: by [trial {retry.number}](" in notes.of(failed, retry)
    assert f"- origin: takes up [trial {failed.number}](" in notes.of(retry, retry)


def test_a_note_says_what_is_different_from_the_leader(notes: Notes) -> None:
    leader = notes.standing.fidelities[0].leader
    assert leader is not None
    of_leader, other = notes.trials["proxy", int(leader.name.split()[1])], notes.first(State.PRUNED)
    assert "- against the leader: this network leads at this fidelity" in notes.of(of_leader)
    assert "- against the leader: " in notes.of(other)
    assert "leads" not in notes.of(other)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("sampled", "suggested by the sampler, random"),
        ("enqueued", "enqueued by the study's YAML"),
        ("random", "drawn at random, since the sampler only suggested what cannot be trained"),
        ("promoted", "promoted (no reason is stored)"),  # by an older version
    ],
)
def test_a_note_says_where_a_trial_comes_from(notes: Notes, origin: Any, said: str) -> None:
    trial = replace(notes.first(State.COMPLETE), origin=origin, attributes={})
    assert f"- origin: {said}" in notes.of(trial).splitlines()


def test_a_message_cannot_end_its_code(notes: Notes) -> None:
    failed = replace(notes.first(State.FAILED), message="`x` is [a](b)", failure="bug")
    assert state_of(notes.of(failed)) == "failed (bug): `'x' is [a](b)`"


# Studies


def study_notes(store: Store, *trust: Trust, why_no_importance: str = "") -> tuple[Standing, StudyNotes]:
    standing = standing_of(store, "tiny")
    return standing, StudyNotes(standing, story_of(store, standing, trust), trust, PAGES, why_no_importance)


def test_the_note_of_a_study_answers_the_six_questions_and_shows_the_leader_and_the_plan(ended: Store) -> None:
    standing, notes = study_notes(ended, why_no_importance="Too few trials.")
    story = story_of(ended, standing)
    note = notes.of(standing.fidelities[0])
    counts = standing.fidelities[0].counts
    assert note.startswith(f"**proxy**: {counts[State.COMPLETE]} complete, {counts[State.PRUNED]} pruned, ")
    assert "Fidelities of tiny: proxy, [full](/dashboard/studies/2)" in note
    for question, answer in story.lines:
        assert f"- **{question}** {answer}" in note
    assert f"### Plan\n{story.asked}" in note
    assert leaders(standing.fidelities[0], standing.networks) in note
    assert "### Importance of the axes\nToo few trials." in note
    assert story.chosen is not None
    assert f"/drawings/{story.chosen.architecture_id}.svg" in note


def test_the_trust_meter_has_a_row_for_each_number_that_predicts_another(ended: Store) -> None:
    found = Trust("proxy", "full", "value", 12, Correlation(0.5, (-0.1, 0.8), 0.6, (0.0, 0.9)))
    standing, notes = study_notes(ended, found, replace(found, predictor="rung 1", correlation=None))
    meter = notes.of(standing.fidelities[1]).split("### Trust meter\n")[1].splitlines()
    assert meter[2] == "| proxy: value | &emsp;full | &emsp;12 | &emsp;+0.50 [-0.10, +0.80] |"
    assert meter[3] == ""
    standing, notes = study_notes(ended)
    assert "No correlation can be told yet" in notes.of(standing.fidelities[0])


def test_a_fidelity_without_a_complete_trial_has_a_note_too(tmp_path: Path) -> None:
    store = run_study(tmp_path, fidelities=[{"name": "proxy", "trials": 1, "resolution": 16, "epochs": 2}])
    standing = standing_of(store, "tiny")
    [fidelity] = standing.fidelities
    empty = replace(fidelity, trials=(), counts={}, leader=None, baselines=())
    begun = replace(standing, fidelities=(empty,), finals=(), winner=None)
    note = StudyNotes(begun, story_of(store, begun), (), {"proxy": 1}).of(empty)
    assert note.startswith("**proxy**: no trial yet")
    assert "No trial is complete yet." in note
