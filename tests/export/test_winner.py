from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.references import resolve
from dcasearch.errors import UserError
from dcasearch.export import Spec, export_referred, export_winner
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.training import evaluate
from tests.support import SPACE, Simulated, make_study

WARM: dict[str, Any] = {
    "name": "proxy",
    "trials": 2,
    "resolution": 8,
    "train_fraction": 0.1,
    "epochs": 1,
    "recipe": {"batch_size": 32, "bn_momentum": 0.1},
    "initialize": {"name": "vanilla", "epochs": 2},
}
SMALL: dict[str, Any] = {
    "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
    "attention": {"name": "se"},
    "connections": {**SPACE["connections"], "function": "direct"},
}


class Trains(Simulated):
    """As `Simulated`, but the trainings are real."""

    def __init__(self, artifacts: Path) -> None:
        super().__init__()
        self.artifacts = artifacts

    def _train(self, work: Any, job: Job) -> None:
        done = evaluate(
            job.assignment, artifacts=self.artifacts, report=lambda epoch: work.report(job, epoch), threads=1
        )
        work.finish(job, done)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The database of a study whose networks have started from their vanilla parents."""
    folder = tmp_path_factory.mktemp("warm")
    study = make_study(space=SMALL, artifacts=str(folder), fidelities=[WARM], baselines=True, keep_weights=2)
    opened = Store.open(f"sqlite:///{folder}/study.db", create=True)
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    study_room.run(loaded, opened, Trains(folder), lambda event: None)
    return opened


@pytest.fixture(scope="module")
def spec(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return export_winner(store, "tiny", tmp_path_factory.mktemp("spec") / "best.yaml")


def test_it_is_compared_with_the_baselines_and_not_with_what_they_started_from(store: Store, spec: Spec) -> None:
    """A parent has the name of a baseline and was trained longer, on the same images."""
    roles = store.roles("tiny")
    assert {"plain", "vanilla se"} <= {role.name for role in roles if role.role == "parent"}
    expected = {r.name: store.evaluation(r.evaluation or "") for r in roles if r.role == "baseline"}
    assert {baseline.name: (baseline.seeds, baseline.mean) for baseline in spec.baselines} == {
        name: ((evaluation.key.seed,), evaluation.last.values["top1"]) for name, evaluation in expected.items()
    }
    assert [metric.epochs for metric in spec.metrics] == [1]


def test_a_trial_of_the_users_choice_is_exported_with_where_it_comes_from(store: Store, tmp_path: Path) -> None:
    for number in (0, 1):
        chosen = export_winner(store, "tiny", tmp_path / f"{number}.yaml", trial=number)
        trial = store.trial("tiny", "proxy", number)
        assert trial is not None
        assert chosen.id == trial.architecture_id
        assert chosen.provenance["trial"] == f"proxy {number}"


def test_a_trial_that_is_not_there_is_a_user_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trial 7 of fidelity 'proxy' does not exist or is not complete"):
        export_winner(store, "tiny", tmp_path / "best.yaml", trial=7)
    assert list(tmp_path.iterdir()) == []


def test_a_row_of_a_list_is_exported_with_its_label(tmp_path: Path) -> None:
    rows = [
        {"label": "plain", "backbone": SMALL["backbone"]},
        {"label": "SE (ours)", "backbone": SMALL["backbone"], "attention": SMALL["attention"]},
    ]
    fidelity = {name: value for name, value in WARM.items() if name not in ("trials", "initialize")}
    study = make_study(
        space={"architectures": rows},
        artifacts=str(tmp_path),
        sampler={"name": "grid"},
        fidelities=[fidelity],
        baselines=False,
    )
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    loaded = LoadedStudy(study, read_space(study.space), tmp_path / "study.yaml", frozenset())
    study_room.run(loaded, store, Trains(tmp_path), lambda event: None)
    labels = [export_winner(store, "tiny", tmp_path / "best.yaml", trial=n).provenance["label"] for n in (0, 1)]
    assert sorted(labels) == ["SE (ours)", "plain"]


@pytest.mark.parametrize("name", ["tiny/proxy/1", "tiny/proxy/vanilla se", "tiny/proxy/plain"])
def test_a_network_that_a_short_form_names_is_exported_with_its_weights(
    store: Store, tmp_path: Path, name: str
) -> None:
    referred = resolve(store, name)
    spec = export_referred(store, referred, tmp_path / "named.yaml")
    assert spec.id == referred.architecture.id
    assert spec.evaluation in referred.evaluations.values()
    assert spec.provenance["training"] == name.removeprefix("tiny/")
    assert name.rpartition("/")[2] not in {baseline.name for baseline in spec.baselines}
    assert (tmp_path / "named.safetensors").is_file()


def test_a_network_that_its_id_names_is_exported_from_its_best_known_training(store: Store, tmp_path: Path) -> None:
    id = resolve(store, "tiny/proxy/0").architecture.id
    assert export_referred(store, resolve(store, id[:10]), tmp_path / "named.yaml").id == id


def test_a_network_without_a_complete_training_has_no_weights(store: Store, tmp_path: Path) -> None:
    untrained = dataclasses.replace(resolve(store, "tiny/proxy/0"), evaluations={})
    with pytest.raises(UserError, match="tiny/proxy/0 has no complete training, so there are no weights"):
        export_referred(store, untrained, tmp_path / "named.yaml")


def test_a_network_of_several_studies_is_refused_with_its_trainings(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = resolve(store, "tiny/proxy/0")
    other = dataclasses.replace(place, study="other", name="other/proxy/3")
    monkeypatch.setattr("dcasearch.export.winner.places_of", lambda store, id: [place, other])
    with pytest.raises(UserError, match="trained by several studies; name one training:\n  tiny/proxy/0\n  other/pro"):
        export_referred(store, resolve(store, place.architecture.id), tmp_path / "named.yaml")
