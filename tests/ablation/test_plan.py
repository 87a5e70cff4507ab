"""The study that trains the variants of a chosen network."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dcasearch.ablation import Plan, Protocol, fitted, plan, variants_of
from dcasearch.ablation.plan import study_name
from dcasearch.errors import UserError
from dcasearch.export.spec import Spec
from dcasearch.space import ListedSpace, load_study
from tests.ablation.support import make_spec


def made(spec: Spec | None = None, **changes: object) -> Plan:
    spec = spec or make_spec()
    protocol = Protocol(**changes)  # type: ignore[arg-type]  # a test's keywords
    return plan(spec, "parts", variants_of(spec.build(), ("dimensions", "attention")), protocol)


def test_it_is_a_sound_study_of_the_variants_under_their_labels(tmp_path: Path) -> None:
    planned = made(storage="sqlite:///x.db")
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(planned.study))
    loaded = load_study(file)
    assert isinstance(loaded.space, ListedSpace)
    assert [(row.label, row.architecture.id) for row in loaded.space.rows] == [
        (v.label, v.architecture.id) for v in planned.variants
    ]
    assert {row.against for row in loaded.space.rows[1:]} == {"chosen"}
    assert planned.trainings == 3 * 5


def test_it_trains_as_the_spec_s_network_was_trained_with_seeds_that_did_not_choose_it() -> None:
    spec = make_spec()
    [level] = made(spec).study["fidelities"]
    assert spec.training is not None
    assert level["recipe"] == spec.training.recipe.model_dump(mode="json")
    assert (level["epochs"], level["train_fraction"], level["resolution"]) == (2, 0.5, 8)
    assert level["seeds"] == [4, 5, 6, 7, 8]
    assert made(spec, epochs=9).study["fidelities"][0]["epochs"] == 9


def test_variants_start_from_the_very_weights_that_the_chosen_network_began_with() -> None:
    start = {"started_from": "w.pth", "started_from_sha256": "ab" * 32}
    spec = make_spec()
    begun = spec.model_copy(update={"provenance": {**spec.provenance, **start}})
    [level] = made(begun, weights="w.pth").study["fidelities"]
    assert level["initialize"] == {"weights": str(Path("w.pth").absolute()), "sha256": "ab" * 32}
    with pytest.raises(UserError, match=r"began with trained weights, w\.pth: add --weights FILE"):
        made(begun)
    with pytest.raises(UserError, match="began with random values"):
        made(spec, weights="w.pth")
    assert "initialize" not in made(spec).study["fidelities"][0]


def test_a_budget_pays_for_whole_seeds_of_all_networks() -> None:
    assert fitted(1800, 5, 2.1) == 4
    assert fitted(1800, 5, 10) == 5
    assert fitted(3600, 5, 0.5) == 0
    assert made(hours=2.0).study["stop"] == {"wall_hours": 2.0}


@pytest.mark.parametrize(
    ("stem", "name"), [("best", "best_ablation"), ("my best.v2", "my_best_v2_ablation"), ("2nd", "spec_2nd_ablation")]
)
def test_the_study_is_named_after_the_spec_s_file(stem: str, name: str) -> None:
    assert study_name(stem) == name


def test_what_cannot_be_planned_says_why() -> None:
    with pytest.raises(UserError, match="does not say how and on which data"):
        made(make_spec(training=None))
    tuned = {**make_spec().model_dump(mode="json")["training"], "recipe": {"batchnorm": "kept"}}
    with pytest.raises(UserError, match="the network was fine-tuned, and an ablation trains from scratch"):
        made(make_spec(training=tuned))
    with pytest.raises(UserError, match="give at least 3"):
        made(seeds=2)
    spec = make_spec(architecture={"backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"}})
    with pytest.raises(UserError, match="neither attention nor connections"):
        made(spec)
