from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication
from xml.etree import ElementTree

import optuna
import pytest
from optuna.artifacts import download_artifact, get_all_artifact_meta

from dcasearch.dashboard import application
from dcasearch.dashboard.drawings import Drawings
from dcasearch.dashboard.pages import Pages
from dcasearch.errors import StorageError
from dcasearch.store import Store
from dcasearch.trial import State
from tests.dashboard.support import PORT, ask


@pytest.fixture(scope="module")
def dashboard(ended: Store) -> WSGIApplication:
    return application(ended, "tiny", PORT)


@pytest.fixture(scope="module")
def proxy(dashboard: WSGIApplication) -> dict[str, Any]:
    """What the dashboard says of the first fidelity."""
    told: dict[str, Any] = ask(dashboard, "/api/studies/1").json
    return told


def test_a_study_has_its_note_its_graphs_and_the_names_of_its_objectives(proxy: dict[str, Any]) -> None:
    assert proxy["note"]["body"].startswith("**proxy**: ")
    assert "Which network was chosen?" in proxy["note"]["body"]
    assert proxy["objective_names"] == ["top1", "params"]
    graphs = {graph["id"]: json.loads(graph["graph_object"]) for graph in proxy["plotly_graph_objects"]}
    assert {"pareto-front", "accuracy"} <= graphs.keys()
    assert all(graph["data"] for graph in graphs.values())


def test_every_trial_has_its_note_and_its_drawing(proxy: dict[str, Any], ended: Store) -> None:
    trials = {trial.number: trial for trial in ended.trials("tiny", "proxy")}
    assert {trial.state for trial in trials.values()} == {
        State.COMPLETE,
        State.PRUNED,
        State.INFEASIBLE,
        State.DUPLICATE,
        State.FAILED,
    }
    for shown in (*proxy["trials"], *proxy["best_trials"]):
        trial = trials.pop(shown["number"], None) or ended.trial("tiny", "proxy", shown["number"])
        assert trial is not None
        assert trial.architecture_id in shown["note"]["body"]
        [artifact] = shown["artifacts"]
        assert (artifact["artifact_id"], artifact["mimetype"]) == (trial.architecture_id, "image/svg+xml")
    assert trials == {}


def test_an_infeasible_trial_shows_its_constraints(proxy: dict[str, Any], ended: Store) -> None:
    infeasible = [t.number for t in ended.trials("tiny", "proxy") if t.state is State.INFEASIBLE]
    assert infeasible
    for shown in proxy["trials"]:
        assert any(amount > 0 for amount in shown["constraints"]) is (shown["number"] in infeasible)


def test_drawings_are_served_as_artifacts_of_trials_and_by_their_own_address(
    dashboard: WSGIApplication, proxy: dict[str, Any]
) -> None:
    trial = proxy["trials"][0]
    id = trial["artifacts"][0]["artifact_id"]
    as_artifact = ask(dashboard, f"/artifacts/1/{trial['trial_id']}/{id}")
    assert (as_artifact.status, as_artifact.headers["Content-Type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(as_artifact.body).tag == "{http://www.w3.org/2000/svg}svg"
    assert f"](/drawings/{id}.svg)" in trial["note"]["body"]
    assert ask(dashboard, f"/drawings/{id}.svg") == as_artifact
    assert ask(dashboard, "/drawings/0123456789abcdef.svg").status == 404


def test_a_drawing_is_an_artifact_of_optuna_that_was_attached_before_the_trial_was_told(
    ended: Store, tmp_path: Path
) -> None:
    study = optuna.load_study(study_name="tiny.proxy", storage=ended.optuna)
    for trial in study.trials:
        [meta] = get_all_artifact_meta(trial, storage=ended.optuna)
        assert meta.artifact_id == trial.user_attrs["architecture"]
        file = tmp_path / f"{trial.number}.svg"
        download_artifact(artifact_store=Drawings(ended), file_path=str(file), artifact_id=meta.artifact_id)
        assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_with_a_study_named_the_others_are_not_listed(copied: Store) -> None:
    optuna.create_study(study_name="other.proxy", storage=copied.optuna)

    def listed(name: str | None) -> set[str]:
        summaries = ask(application(copied, name, PORT), "/api/studies").json["study_summaries"]
        return {summary["study_name"] for summary in summaries}

    assert listed("tiny") == {"tiny.proxy", "tiny.full"}
    assert listed(None) == {"tiny.proxy", "tiny.full", "other.proxy"}
    foreign = ask(application(copied, None, PORT), "/api/studies/3").json
    assert (foreign["note"]["body"], foreign["plotly_graph_objects"]) == ("", [])


def test_notes_of_the_user_s_own_are_saved_and_left_alone(copied: Store) -> None:
    dashboard = application(copied, "tiny", PORT)
    trial_id = ask(dashboard, "/api/studies/1").json["trials"][2]["trial_id"]
    for path, body in (("note", "my study"), (f"{trial_id}/note", "my trial")):
        saved = ask(dashboard, f"/api/studies/1/{path}", method="PUT", body={"version": 1, "body": body})
        assert saved.status == 204
    detail = ask(dashboard, "/api/studies/1").json
    assert detail["note"]["body"] == "my study"
    notes = [trial["note"]["body"] for trial in detail["trials"]]
    assert notes[2] == "my trial"
    assert all("**resnet18" in note for n, note in enumerate(notes) if n != 2)


def test_the_note_that_an_older_version_stored_is_replaced(copied: Store) -> None:
    from optuna_dashboard import save_note

    study = optuna.load_study(study_name="tiny.proxy", storage=copied.optuna)
    save_note(study, "**proxy**: 1 complete\n\nan old table")
    detail = ask(application(copied, "tiny", PORT), "/api/studies/1").json
    assert "an old table" not in detail["note"]["body"]
    assert detail["note"]["version"] == 1  # the next save is taken
    assert "Which network was chosen?" in detail["note"]["body"]


def test_trials_of_an_older_version_have_their_drawing_too(copied: Store, proxy: dict[str, Any]) -> None:
    from dcasearch.dashboard.additions import add

    page = Pages(copied).of(1)
    assert page is not None
    trial = {**proxy["trials"][0], "artifacts": []}
    add({**proxy, "plotly_graph_objects": [], "trials": [trial], "best_trials": []}, page)
    assert [artifact["artifact_id"] for artifact in trial["artifacts"]] == [page.trials[0].architecture_id]


def test_a_database_that_is_away_is_a_reason_and_no_traceback(
    dashboard: WSGIApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Pages, id: int) -> None:
        raise StorageError("study.db is locked")

    monkeypatch.setattr(Pages, "of", gone)
    answer = ask(dashboard, "/api/studies/1")
    assert (answer.status, answer.json) == (503, {"reason": "study.db is locked"})


def test_the_page_gets_our_style_and_all_else_passes_as_it_is(dashboard: WSGIApplication) -> None:
    page = ask(dashboard, "/dashboard/studies/1")
    assert page.status == 200
    assert page.body.count(b"prefers-color-scheme: dark") == 1
    assert int(page.headers["Content-Length"]) == len(page.body)
    assert not {"Last-Modified", "ETag"} & page.headers.keys()
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    again = ask(dashboard, "/dashboard/studies/1", headers={"HTTP_IF_MODIFIED_SINCE": later})
    assert (again.status, again.body) == (200, page.body)
    assert ask(dashboard, "/api/meta").json["artifact_is_available"] is True
    assert ask(dashboard, "/api/studies/99").status == 404
    assert (
        len(ask(dashboard, "/api/studies/1?after=3").json["trials"])
        == len(ask(dashboard, "/api/studies/1").json["trials"]) - 3
    )
