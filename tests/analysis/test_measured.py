from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.measured import expected_of, powers_of
from dcasearch.analysis.paired import least_difference
from dcasearch.analysis.standing import standing_of
from dcasearch.config.study import Study
from dcasearch.data import describe
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_study

PROXY: dict[str, Any] = {"name": "proxy", "trials": 6, "resolution": 16, "epochs": 2}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 3, "seeds": [0, 1]}
STUDY: dict[str, Any] = {"fidelities": [PROXY, FULL], "baselines": True, "final": {"seeds": [1000]}}


def run(folder: Path, **changes: Any) -> tuple[Study, Store]:
    study = make_study(**{"artifacts": str(folder), **STUDY, **changes})
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    study_room.run(LoadedStudy(study, read_space(study.space), folder / "s.yaml", frozenset()), store, Simulated())
    return study, store


def test_noise_is_that_of_trials_and_baselines_with_several_seeds_and_the_finals_take_it(tmp_path: Path) -> None:
    study, store = run(tmp_path)
    found, data = powers_of(study, store), describe(study.data)
    assert list(found) == ["proxy", "full", "final"]
    assert found["proxy"].headline.noise is None
    networks = {t.architecture_id for t in store.trials("tiny", "full")}
    networks |= {r.architecture_id for r in store.roles("tiny") if r.fidelity == "full" and r.role == "baseline"}
    noise, paired = found["full"].headline.noise, found["full"].headline.paired
    assert noise is not None
    assert paired is not None
    assert (noise.df, paired.df) == (len(networks), len(networks) - 1)
    assert found["final"].headline.noise == noise
    assert found["final"].noise_from == "full"
    assert (found["full"].images, found["final"].images) == (data.validation_images, data.test_images)
    proxies = {t.architecture_id for t in store.trials("tiny", "proxy") if str(t.state) in ("complete", "pruned")}
    assert (found["proxy"].candidates, found["final"].candidates) == (len(proxies), 1)


def test_before_anything_is_spent_equal_trainings_of_another_study_are_found(tmp_path: Path) -> None:
    _, store = run(tmp_path)
    other = make_study(**{**STUDY, "name": "other"})
    space, data = read_space(other.space), describe(other.data)
    found = powers_of(other, store, data, space)
    assert found["full"].headline.noise == powers_of(make_study(**STUDY), store)["full"].headline.noise
    longer = make_study(**{**STUDY, "name": "longer", "fidelities": [PROXY, {**FULL, "epochs": 4}]})
    assert powers_of(longer, store, data, space)["full"].trainings == 0


def test_without_a_database_the_images_alone_are_told(tmp_path: Path) -> None:
    study = make_study(**STUDY)
    data = describe(study.data)
    found = powers_of(study, None, data, read_space(study.space))
    assert found["proxy"].headline.at_least == pytest.approx(least_difference(data.validation_images))
    assert found["full"].headline.at_least == pytest.approx(least_difference(data.validation_images, 2))
    assert powers_of(study, None)["full"].headline.at_least is None


def test_a_study_stored_by_an_older_version_still_stands_and_resolves_nothing(tmp_path: Path) -> None:
    _, store = run(tmp_path)
    record = store.get_study("tiny")
    assert record is not None
    old = {path: value for path, value in record.meaning.items() if not path.endswith("_images")}
    store.put_study("tiny", old, record.resolved)
    standing = standing_of(store, "tiny")
    told = [c.behind for c in (*standing.finals, *standing.fidelities[1].baselines) if c.behind is not None]
    assert told
    assert all(not d.images_known and not d.resolved for d in told)
    run(tmp_path)
    assert all(d.images_known for d in (c.behind for c in standing_of(store, "tiny").finals) if d is not None)


def test_scores_and_warm_starts_are_not_taken_for_equal_trainings(tmp_path: Path) -> None:
    zero = {"name": "zero", "kind": "zero_cost", "score": "snip", "trials": 5, "resolution": 16}
    study, store = run(tmp_path, fidelities=[zero, {**FULL, "name": "full"}])
    assert list(powers_of(study, store)) == ["full", "final"]
    warm = make_study(**{**STUDY, "name": "warm", "fidelities": [PROXY, {**FULL, "initialize": "vanilla"}]})
    assert powers_of(warm, store, describe(warm.data), read_space(warm.space))["full"].trainings == 0


def test_what_each_proxy_promotes_says_how_sharply_it_will_be_known() -> None:
    study = make_study(fidelities=[{**PROXY, "trials": 100}, {**FULL, "promote": {"top": 10, "random": 10}}])
    (seen,) = expected_of(study)
    assert (seen.fidelity, seen.against, seen.networks, seen.drawn) == ("proxy", "full", 20, 10)
    assert seen.tau is not None
    assert expected_of(make_study(fidelities=[PROXY])) == ()
