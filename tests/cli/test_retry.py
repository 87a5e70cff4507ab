from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dcasearch import study as study_room
from dcasearch.errors import TrialFailure
from dcasearch.space import load_study
from dcasearch.store import Store
from tests.support import Simulated

Command = Callable[..., Any]


def test_retry_takes_failed_trials_up_again_by_kind_and_says_what_there_is(
    dcasearch: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = write_study(storage=url, fidelities=[{"name": "proxy", "trials": 3, "resolution": 16, "epochs": 1}])
    failing = Simulated(fail=lambda job: TrialFailure("oom", "too large") if job.number == 1 else None)
    with Store.open(url, create=True) as store:
        study_room.run(load_study(study), store, failing)
    assert dcasearch("retry", str(study), "--failed", "omm").code == 2
    assert "nothing has failed as nan" in dcasearch("retry", str(study), "--failed", "nan").out
    said = dcasearch("retry", str(study))
    assert said.code == 0
    assert "proxy: 1 oom taken up again" in said.out
    assert "nothing has failed" in dcasearch("retry", str(study)).out
    with Store.open(url) as store:
        study_room.run(load_study(study), store, Simulated())
        (again,) = (trial for trial in store.trials("tiny") if "retry_of" in trial.attributes)
    assert dataclasses.asdict(again)["attributes"]["retry_of"] == 1
