from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.chaos.copies import RETRIES, Copy, make_copy, refuse_used
from dcasearch.config.study import Study
from dcasearch.errors import StorageError, UserError
from dcasearch.space import load_study
from dcasearch.store import Store, storage_of
from tests.postgres import PASSWORD, running_server
from tests.support import make_study

ON_A_CLUSTER: dict[str, Any] = {
    "name": "ray",
    "address": "auto",
    "max_concurrent": 32,
    "retries": 0,
    "epoch_seconds": 600,
    "resources": {"proxy": {"cpu": 64, "gpu": 8}},
}


def copied(folder: Path, database: str | None = None, concurrent: int = 1, **changes: Any) -> tuple[Copy, Study]:
    made = make_copy(make_study(**changes), folder / "copy", "local", concurrent, database)
    return made, load_study(made.file).study


def test_a_copy_means_the_same_study(tmp_path: Path) -> None:
    study = make_study(objectives={"top1": "maximize", "macs": "minimize"}, final={"seeds": [7]})
    _, again = copied(tmp_path, objectives={"top1": "maximize", "macs": "minimize"}, final={"seeds": [7]})
    ours = {"executor", "artifacts", "stop", "storage"}
    assert again.model_dump(exclude=ours) == study.model_dump(exclude=ours)


def test_a_copy_reads_and_writes_nothing_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, study = copied(tmp_path, storage="sqlite:////home/me/mine.db", artifacts="/home/me/artifacts")
    monkeypatch.setenv("DCASEARCH_STORAGE", copy.environment["DCASEARCH_STORAGE"])
    for place in (storage_of(study).removeprefix("sqlite:///"), study.artifacts, copy.environment["XDG_STATE_HOME"]):
        assert Path(place).is_relative_to(tmp_path)
    assert "/home/me" not in copy.file.read_text()


def test_a_copy_of_a_clusters_study_fits_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    _, study = copied(tmp_path, concurrent=2, executor=ON_A_CLUSTER)
    assert study.executor.name == "local"
    assert study.executor.address is None
    assert study.executor.max_concurrent == 2
    assert study.executor.epoch_seconds == 600
    assert (study.executor.resources["proxy"].cpu, study.executor.resources["proxy"].gpu) == (4, 0)


def test_no_trial_of_a_copy_fails_of_the_kills(tmp_path: Path) -> None:
    _, study = copied(tmp_path, executor=ON_A_CLUSTER)
    assert study.executor.retries == RETRIES


def test_a_copy_does_not_end_by_the_clock(tmp_path: Path) -> None:
    _, study = copied(tmp_path, stop={"wall_hours": 1, "deadline": "2020-01-01", "no_improvement": 9})
    assert (study.stop.wall_hours, study.stop.deadline, study.stop.no_improvement) == (None, None, 9)


def test_a_password_stands_in_no_file_of_a_copy(tmp_path: Path) -> None:
    copy, _ = copied(tmp_path, database=f"postgresql+psycopg://me:{PASSWORD}@host/empty")
    assert PASSWORD in copy.environment["DCASEARCH_STORAGE"]
    assert not any(PASSWORD in file.read_text() for file in tmp_path.rglob("*") if file.is_file())


def test_a_file_that_exists_is_refused_as_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mine.db"
    refuse_used(url)
    assert not (tmp_path / "mine.db").exists()
    Store.open(url, create=True).close()
    with pytest.raises(UserError, match="is not empty"):
        refuse_used(url)


def test_a_server_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as error:
        refuse_used(f"postgresql+psycopg://me:{PASSWORD}@/empty?host={tmp_path}")
    assert PASSWORD not in str(error.value)


def test_a_database_of_a_server_is_refused_unless_it_is_empty() -> None:
    with running_server() as server:
        url = server.new_database()
        refuse_used(url)
        Store.open(url, create=True).close()
        with pytest.raises(UserError, match="is not empty") as error:
            refuse_used(url)
    assert PASSWORD not in str(error.value)
