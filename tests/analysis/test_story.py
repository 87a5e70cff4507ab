"""What a study has found, and what to do next, by the state that it is in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.next_step import images_for, missing_of, next_step, seeds_for
from dcasearch.analysis.power import Difference, Measurement, Power, power
from dcasearch.analysis.standing import Standing, standing_of
from dcasearch.analysis.story import Story, duration, reference_of, story_of
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.metrics import METRICS
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import DriverDied, Simulated, make_study

PROXY: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 1}


def run(folder: Path, executor: Simulated | None = None, **changes: Any) -> Store:
    written = {"fidelities": [PROXY, FULL], "baselines": True, "final": {"seeds": [1000]}, **changes}
    study = make_study(artifacts=str(folder), **written)
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    study_room.run(loaded, store, executor or Simulated())
    return store


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A study at its end, with one seed of its final trainings; it is only read."""
    return run(tmp_path_factory.mktemp("ended"))


def with_lead(standing: Standing, value: float, margin: float, *, seeds_known: bool = True) -> Standing:
    """The standing with this lead of the chosen network over every baseline."""
    told = Difference(value, margin, seeds_known=seeds_known, images_known=True)
    winner, *others = standing.finals
    return replace(standing, finals=(winner, *(replace(other, behind=told) for other in others)))


def story(store: Store, standing: Standing, **more: Any) -> Story:
    return story_of(store, standing, **more)


def test_the_network_is_told_in_words_with_its_value_its_images_and_its_seeds(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    told = story_of(ended, standing)
    chosen = standing.finals[0]
    assert told.chosen is chosen
    assert told.found.startswith("resnet18, small stem with SE r=")
    assert told.found.endswith(f"It reaches top-1 {chosen.mean:.2f}% on the test images (one seed).")
    assert [question for question, _ in told.lines][1] == "How does it differ from vanilla se?"


def test_the_reference_is_the_same_attention_without_connections_and_else_the_highest_mean(ended: Store) -> None:
    chosen, *others = standing_of(ended, "tiny").finals
    found = reference_of(ended, chosen, others)
    assert found is not None
    assert found.name == "vanilla se"
    rest = [other for other in others if other is not found]
    assert reference_of(ended, chosen, rest) is max(rest, key=lambda baseline: baseline.mean)
    assert reference_of(ended, chosen, [chosen]) is None
    assert next(one.name for one in story_of(ended, standing_of(ended, "tiny")).against) == "vanilla se"


@pytest.mark.parametrize(
    ("value", "margin", "seeds_known", "verdict", "said"),
    [
        (2.0, 1.5, True, "yes", "Yes: it is 2.00 points ahead of vanilla se, more than the margin of ± 1.50 points."),
        (1.0, 1.5, True, "no", "No: it is 1.00 points ahead of vanilla se, within the margin of ± 1.50 points."),
        (-1.0, 1.5, True, "no", "No: it is 1.00 points behind vanilla se, within the margin of ± 1.50 points."),
        (-2.0, 1.5, True, "no", "No, it is worse: 2.00 points behind vanilla se, more than the margin of ± 1.50"),
        (40.0, 1.5, False, "needs 3 seeds", "Not known yet: it is 40.00 points ahead of vanilla se, but one seed each"),
    ],
)
def test_better_begins_with_a_word(
    ended: Store, value: float, margin: float, seeds_known: bool, verdict: str, said: str
) -> None:
    standing = with_lead(standing_of(ended, "tiny"), value, margin, seeds_known=seeds_known)
    told = story(ended, standing)
    assert told.verdict == verdict
    assert told.better.startswith(said)


def test_sure_has_the_interval_the_seeds_and_the_images(ended: Store) -> None:
    told = story(ended, with_lead(standing_of(ended, "tiny"), 2.0, 1.5, seeds_known=False))
    assert (
        "+0.50 to +3.50 points: the 95% interval of the lead by the images alone; the noise between seeds" in told.sure
    )
    assert "On 359 images a lead below" in told.sure


def test_cost_is_the_study_s_and_the_network_s_beside_its_reference(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    assert "7 trials of all fidelities, 7 of them trained." in story_of(ended, standing).cost
    assert "vanilla se" not in story_of(ended, standing).cost  # nobody has counted it
    counted = story_of(ended, standing, count=True).cost
    assert " than vanilla se), " in counted
    assert "for images of 16 × 16 pixels." in counted


def test_a_baseline_of_a_higher_mean_is_named_beside_the_reference(ended: Store) -> None:
    winner, *others = with_lead(standing_of(ended, "tiny"), 2.0, 1.5).finals
    best = max((other for other in others if other.name != "vanilla se"), key=lambda other: other.mean)
    others = [replace(o, values={**o.values, "top1": (1.0,)}) if o.name == "vanilla se" else o for o in others]
    told = story(ended, replace(standing_of(ended, "tiny"), finals=(winner, *others)))
    assert f"Against the baseline with the highest mean: yes: it is 2.00 points ahead of {best.name}" in told.better


# What next


def step(store: Store, standing: Standing, trust: tuple[Trust, ...] = ()) -> str:
    return story_of(store, standing, trust).next


def test_too_few_seeds_ask_for_three(ended: Store) -> None:
    said = step(ended, standing_of(ended, "tiny"))
    assert "`final: {seeds: [1000, 1001, 1002]}`" in said
    assert "`dcasearch run STUDY.yaml`" in said


def test_a_lead_that_the_images_hide_asks_for_more_images_and_three_seeds_ask_alone_where_they_do_not(
    ended: Store,
) -> None:
    standing = standing_of(ended, "tiny")
    hidden = step(ended, with_lead(standing, 0.2, 3.0, seeds_known=False))
    assert re.search(r"needs about [\d,]+ images, since 359 cannot show so small a lead", hidden)
    assert hidden.endswith("and 3 seeds.")
    told = story(ended, with_lead(standing, 0.2, 3.0, seeds_known=False)).better
    assert "but 359 images cannot show a lead this small, and one seed each says nothing" in told
    assert step(ended, with_lead(standing, 40.0, 3.0, seeds_known=False)).startswith("Train 3 seeds: write `final: ")


def test_a_lead_that_counts_is_exported_and_a_loss_is_not(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    assert "`dcasearch export tiny --out best.yaml`" in step(ended, with_lead(standing, 2.0, 1.0))
    assert "Keep the baseline" in step(ended, with_lead(standing, -2.0, 1.0))


def test_a_proxy_that_predicts_nothing_comes_before_more_seeds_and_not_before_a_lead(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    trust = (Trust("proxy", "full", "value", 12, Correlation(0.1, (-0.3, 0.5), 0.1, (-0.3, 0.5))),)
    assert "Do not trust proxy yet" in step(ended, with_lead(standing, 0.5, 1.0), trust)
    assert "Do not trust" not in step(ended, with_lead(standing, 2.0, 1.0), trust)
    sure = (replace(trust[0], correlation=Correlation(0.6, (0.3, 0.8), 0.6, (0.3, 0.8))),)
    assert "Do not trust" not in step(ended, with_lead(standing, 0.5, 1.0), sure)


def test_what_failed_is_taken_up_again_first(ended: Store) -> None:
    standing = standing_of(ended, "tiny")
    failed = [
        replace(o, values={}, seeds=(), failure="oom: 9 GB") if o.name == "vanilla se" else o for o in standing.finals
    ]
    said = step(ended, replace(standing, finals=tuple(failed)))
    assert said.startswith("Take up again what failed: `dcasearch retry tiny`, then `dcasearch run STUDY.yaml`")
    assert "vanilla se" in said


def test_an_interrupted_study_goes_on_and_one_that_runs_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(DriverDied):
        run(tmp_path, Simulated(die_at=20))
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    standing = standing_of(store, "tiny")
    assert step(store, standing).startswith("Go on: `dcasearch run STUDY.yaml`, since ")
    with store.lease("tiny"):
        assert step(store, standing).startswith("Wait: the study still runs. `dcasearch status tiny`")


def test_a_study_without_any_training_says_so_and_has_a_next_step(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study = make_study()
    store.put_study("tiny", {}, study.model_dump_json(exclude={"storage"}))
    told = story_of(store, standing_of(store, "tiny"))
    assert told.found == "No network yet: no trial is complete."
    assert told.verdict == ""
    assert told.next == "Go on: `dcasearch run STUDY.yaml`, since fidelity proxy has no trial yet."


def test_a_study_without_baselines_has_nothing_to_compare_with(tmp_path: Path) -> None:
    store = run(tmp_path, baselines=False, final=None)
    told = story_of(store, standing_of(store, "tiny"))
    assert "No baseline is trained" in told.differs
    assert told.better.startswith("Not known")
    assert "`baselines: true`" in told.next
    assert missing_of(standing_of(store, "tiny")) is None


def test_more_trials_than_were_trained_are_still_to_come(tmp_path: Path) -> None:
    store = run(tmp_path, fidelities=[PROXY], final=None)
    standing = standing_of(store, "tiny")
    assert missing_of(standing) is None
    longer = make_study(fidelities=[{**PROXY, "trials": 7}])
    assert missing_of(replace(standing, study=longer)) == "fidelity proxy has 2 trials to come"


# How many seeds, how many images


def noisy(spread: float, images: int) -> Power:
    pattern = {0: (1, 0, -1), 1: (-1, 1, 0), 2: (0, -1, 1), 3: (0, 0, 0)}  # networks do not share it
    deviations = [(name, seed, one) for name, of_seeds in pattern.items() for seed, one in enumerate(of_seeds)]
    values = [Measurement(str(name), seed, 80.0 + spread * one, None) for name, seed, one in deviations]
    return power("final", values, metric=METRICS["top1"], images=images, seeds=3)


def test_seeds_are_enough_where_images_are_many_and_never_where_they_are_few() -> None:
    many, few = noisy(0.5, 1_000_000), noisy(1.0, 300)
    needed = seeds_for(many, 0.5)
    assert needed is not None
    assert needed > 3
    assert (seeds_for(many, 0.3) or 99) > needed
    assert seeds_for(few, 0.5) is None
    assert seeds_for(many, 0.0) is None


def test_images_are_counted_for_a_lead_that_seeds_cannot_show() -> None:
    needed = images_for(noisy(1.0, 300), 0.5)
    assert needed is not None
    assert needed > 300
    assert images_for(noisy(1.0, 300), 0.25) == pytest.approx(4 * needed, rel=0.1)
    assert images_for(replace(noisy(1.0, 300), images=None), 0.5) is None
    assert images_for(noisy(1.0, 1_000_000), 0.5) is None  # its images are many enough
    assert images_for(noisy(1.0, 300), 1e-5) is None  # nobody has so many


def test_a_small_lead_asks_for_seeds_or_for_images(ended: Store) -> None:
    standing = with_lead(standing_of(ended, "tiny"), 0.5, 1.0)
    lead = standing.finals[1].behind
    assert "train" in next_step(ended, standing, lead, noisy(0.5, 1_000_000))
    assert "evaluation images" in next_step(ended, standing, lead, noisy(1.0, 300))
    assert "lost in noise" in next_step(ended, standing, lead, noisy(9.0, 1_000_000))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 second"), (59, "59 seconds"), (240, "4 minutes"), (9000, "2.5 hours"), (720_000, "200 hours")],
)
def test_durations_are_read_at_a_glance(seconds: float, said: str) -> None:
    assert duration(seconds) == said
