"""A study's results in Python: `dcasearch.load_results`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import dcasearch
from dcasearch import study as study_room
from dcasearch.errors import StorageError, UserError
from dcasearch.results import Results
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_study


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("results")
    study = make_study(artifacts=str(folder), baselines=True, final={"seeds": [100, 101, 102]})
    url = f"sqlite:///{folder}/study.db"
    with Store.open(url, create=True) as store:
        study_room.run(LoadedStudy(study, read_space(study.space), folder, frozenset()), store, Simulated())
    return url


@pytest.fixture
def results(url: str) -> Iterator[Results]:
    with dcasearch.load_results("tiny", url) as opened:
        yield opened


def test_the_results_of_a_study_hold_its_standing_its_story_and_its_trials(results: Results) -> None:
    assert results.standing.study.name == "tiny"
    chosen = results.story.chosen
    assert chosen is not None
    assert chosen.seeds == (100, 101, 102)
    assert len(results.trials().rows) == len(results.standing.fidelities[0].trials)
    with pytest.raises(UserError, match="has no fidelity 'prox'"):
        results.trials("prox")


def test_in_a_notebook_they_show_the_drawing_and_the_six_answers(results: Results) -> None:
    html = results._repr_html_()
    assert html.count("<dt>") == 6
    assert 'src="data:image/svg+xml;base64,' in html
    assert "Which network was chosen?" in html


def test_the_database_is_that_of_the_environment_where_none_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCASEARCH_STORAGE", url)
    with dcasearch.load_results("tiny") as results:
        assert results.name == "tiny"


def test_an_unknown_study_and_a_missing_database_are_told_at_once(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no study 'other'"):
        dcasearch.load_results("other", url)
    with pytest.raises(StorageError):
        dcasearch.load_results("tiny", f"sqlite:///{tmp_path}/none.db")
