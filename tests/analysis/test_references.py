from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.comparison import compare_networks
from dcasearch.analysis.references import alphas_of, input_of, is_reference, places_of, resolve
from dcasearch.errors import UserError
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("compared")
    study = make_study(artifacts=str(folder), baselines=True, final={"seeds": [100, 101, 102]})
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as opened:
        study_room.run(LoadedStudy(study, read_space(study.space), folder, frozenset()), opened, Simulated())
        yield opened


def test_a_trial_is_named_by_study_fidelity_and_number(store: Store) -> None:
    found = resolve(store, "tiny/proxy/2")
    trial = store.trial("tiny", "proxy", 2)
    assert trial is not None
    assert found.architecture.id == trial.architecture_id
    assert found.evaluations == {trial.seed: trial.evaluation}


def test_a_baseline_is_named_by_its_words(store: Store) -> None:
    found = resolve(store, "tiny/proxy/vanilla se")
    assert not found.architecture.network.edges
    assert list(found.evaluations) == [0]


def test_the_beginning_of_an_id_is_enough_where_one_network_has_it(store: Store) -> None:
    ids = store.architecture_ids()
    assert resolve(store, ids[0]).architecture.id == ids[0]
    assert resolve(store, ids[0][:8]).architecture.id == ids[0]
    assert store.architecture_ids("%") == []


def test_an_ambiguous_beginning_is_refused_with_its_candidates(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    both = store.architecture_ids()[:2]
    monkeypatch.setattr(store, "architecture_ids", lambda beginning: both)
    with pytest.raises(UserError, match="2 networks have ids that begin with abcd") as refused:
        resolve(store, "abcd")
    assert all(id in str(refused.value) for id in both)
    assert "in all stages" in str(refused.value)


def test_a_final_training_is_named_by_its_role(store: Store) -> None:
    chosen = resolve(store, "tiny/final/chosen")
    final = next(role for role in store.roles("tiny") if (role.role, role.name) == ("final", "winner"))
    assert (chosen.architecture.id, chosen.fidelity, chosen.role) == (final.architecture_id, "final", "winner")
    assert set(chosen.evaluations) == {100, 101, 102}
    assert resolve(store, "tiny/final/winner").evaluations == chosen.evaluations


def test_where_a_network_was_trained_is_told_with_the_best_known_place_last(store: Store) -> None:
    chosen = resolve(store, "tiny/final/chosen").architecture.id
    places = places_of(store, chosen)
    assert [place.fidelity for place in places] == ["proxy", "final"]
    assert all(place.architecture.id == chosen for place in places)


def test_the_input_of_a_network_is_that_of_its_study(store: Store) -> None:
    trial = resolve(store, "tiny/proxy/0")
    assert input_of(store, trial) == (16, 10)
    assert input_of(store, resolve(store, resolve(store, "tiny/final/chosen").architecture.id)) == (16, 10)


def test_coefficients_are_the_mean_over_the_seeds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = resolve(store, "tiny/final/chosen")
    records = store.evaluations(chosen.evaluations.values())
    assert len(records) == 3
    assert alphas_of(store, chosen) is None, "an older version recorded none"
    for n, (id, record) in enumerate(records.items()):
        last = replace(record.last, alphas={"channel 1→2": float(n)})
        records[id] = replace(record, history=(*record.history[:-1], last))
    monkeypatch.setattr(store, "evaluations", lambda ids: {id: records[id] for id in ids if id in records})
    assert alphas_of(store, chosen) == {"channel 1→2": 1.0}
    assert alphas_of(store, resolve(store, chosen.architecture.id)) == {"channel 1→2": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tiny/final/1", "tiny/final has no '1'; it has chosen, plain"),
        ("tinny/proxy/1", "holds no study 'tinny'"),
        ("tiny/prox/1", "has no fidelity 'prox'; did you mean 'proxy'"),
        ("tiny/proxy/99", r"tiny/proxy has no '99'; it has trials 0 to \d+ and plain"),
        ("tiny/proxy/vanilla", "has no 'vanilla'; it has trials"),
        ("0123456789abcdef", "holds no network whose id begins with 0123456789abcdef"),
        ("tiny", "'tiny' names no network; write STUDY/FIDELITY/NUMBER"),
    ],
)
def test_what_names_no_network_is_told(store: Store, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(store, text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a/b/3", True),
        ("a/b/vanilla se", True),
        ("97b5", True),
        ("a/b/c.yaml", False),
        ("best.yaml", False),
        ("a", False),
    ],
)
def test_a_reference_is_told_from_a_file(text: str, is_one: bool) -> None:
    assert is_reference(text) is is_one


def test_networks_are_compared_with_the_first(store: Store) -> None:
    names = ["tiny/proxy/vanilla se", "tiny/proxy/plain", "tiny/proxy/0"]
    first, plain, trial = compare_networks(store, [resolve(store, name) for name in names])
    assert first.against_first == ""
    assert first.difference is None
    assert plain.against_first == "no attention, not SE r=8 in all stages"
    assert plain.difference is not None
    assert first.mean is not None
    assert plain.mean is not None
    assert plain.difference.value == pytest.approx(first.mean - plain.mean)
    assert not plain.difference.resolved  # one seed each
    assert trial.sentence.startswith("resnet18, small stem: SE r=")


def test_networks_without_trainings_are_compared_in_words_alone(store: Store) -> None:
    first, other = (resolve(store, id) for id in store.architecture_ids()[:2])
    found = compare_networks(store, [first, other])
    assert [one.mean for one in found] == [None, None]
    assert found[1].difference is None
    assert found[1].against_first
