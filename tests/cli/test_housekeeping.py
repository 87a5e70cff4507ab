"""`rename`, `delete` and `clean` on a study that was run, with its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.cli.storage import named_storage, remember
from dcasearch.errors import TrialFailure
from dcasearch.search.retention import Disk
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.training import checkpoint_of, weights_path
from tests.support import Simulated, dead_process

Command = Callable[..., Any]
FIDELITIES: list[dict[str, Any]] = [{"name": "proxy", "trials": 3, "resolution": 16, "epochs": 1}]
OTHERS = [{**FIDELITIES[0], "epochs": 2}]
"""Of trainings that are none of `FIDELITIES`."""


class Ran:
    """A study that was run, and the files of its trainings as a real run leaves them."""

    def __init__(self, folder: Path, write_study: Callable[..., Path]) -> None:
        self._write_study = write_study
        self.url, self.artifacts = f"sqlite:///{folder}/study.db", folder / "artifacts"
        self.store = Store.open(self.url, create=True)
        study_room.run(load_study(self.another("tiny", fidelities=FIDELITIES)), self.store, Simulated())
        remember("tiny", self.url)
        self.ids = sorted({trial.evaluation or "" for trial in self.store.trials("tiny")})
        for id in self.ids:
            self.write(Path(weights_path(self.artifacts, id)))
        self.reading = self.artifacts / "interpretation" / "tiny" / "drift.json"
        self.write(self.reading)

    def another(self, name: str, **changes: Any) -> Path:
        """Write the YAML of a study of this database."""
        path = self._write_study(f"{name}.yaml", storage=self.url, **changes)
        path.write_text(path.read_text().replace("name: tiny", f"name: {name}"))
        return path

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(2_000_000))
        return path

    def files(self) -> set[str]:
        return {str(path.relative_to(self.artifacts)) for path in self.artifacts.rglob("*") if path.is_file()}


@pytest.fixture
def ran(tmp_path: Path, write_study: Callable[..., Path]) -> Iterator[Ran]:
    made = Ran(tmp_path, write_study)
    yield made
    made.store.close()


def test_a_renamed_study_is_found_by_its_new_name_and_goes_on_under_it(dcasearch: Command, ran: Ran) -> None:
    ids = [trial.evaluation for trial in ran.store.trials("tiny")]
    said = dcasearch("rename", "tiny", "large")
    assert (said.code, said.err) == (0, "")
    assert "renamed to 'large': 3 trials" in said.out
    assert "Write `name: large` in its YAML." in said.out
    assert not ran.reading.exists()
    assert (ran.artifacts / "interpretation" / "large" / "drift.json").is_file()
    assert named_storage("large", None) == ran.url
    assert named_storage("tiny", None) != ran.url
    assert "Not running" in dcasearch("status", "large").out
    longer = ran.another("large", fidelities=[{**FIDELITIES[0], "trials": 4}])
    with Store.open(ran.url) as store:  # another process has renamed it, so this one opens the database anew
        study_room.run(load_study(longer), store, Simulated())
    after = [trial.evaluation for trial in ran.store.trials("large")]
    assert after[: len(ids)] == ids
    assert len(after) > len(ids)


def test_a_dry_run_changes_nothing(dcasearch: Command, ran: Ran) -> None:
    files = ran.files()
    assert "would become 'large'" in dcasearch("rename", "tiny", "large", "--dry-run").out
    said = dcasearch("delete", "tiny", "--dry-run").out
    assert "3 trials" in said
    assert f"2.00 MB  {ran.reading}  (reading)" in said
    assert "nothing was deleted" in said
    assert ran.files() == files
    assert [study.name for study in ran.store.studies()] == ["tiny"]
    assert named_storage("tiny", None) == ran.url


@pytest.mark.parametrize("command", [("rename", "tiny", "large"), ("delete", "tiny", "--yes")])
def test_a_running_study_is_refused(dcasearch: Command, ran: Ran, command: tuple[str, ...]) -> None:
    files = ran.files()
    with ran.store.lease("tiny"):
        said = dcasearch(*command)
    assert said.code == 2
    assert "is run by process" in said.err
    assert ran.files() == files
    assert [study.name for study in ran.store.studies()] == ["tiny"]


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("1st", "is no name of a study"),
        ("a.b", "is no name of a study"),
        ("x" * 256, "is no name of a study"),
        ("tiny", "has the name 'tiny' already"),
    ],
)
def test_a_name_that_no_study_can_have_is_refused(dcasearch: Command, ran: Ran, new: str, says: str) -> None:
    said = dcasearch("rename", "tiny", new)
    assert said.code == 2
    assert says in said.err


@pytest.mark.parametrize("command", [("rename", "tinny", "large"), ("delete", "tinny", "--yes")])
def test_a_study_that_is_not_there_is_refused(dcasearch: Command, ran: Ran, command: tuple[str, ...]) -> None:
    said = dcasearch(*command, "--storage", ran.url)
    assert said.code == 2
    assert "holds no study 'tinny'; did you mean 'tiny'?" in said.err


def test_nothing_is_deleted_unasked(dcasearch: Command, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ran.files()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    said = dcasearch("delete", "tiny")
    assert said.code == 2
    assert "needs --yes" in said.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("rich.console.Console.input", lambda self, question: "tin")
    assert "'tiny' was not typed" in dcasearch("delete", "tiny").err
    assert ran.files() == files
    monkeypatch.setattr("rich.console.Console.input", lambda self, question: "tiny")
    assert dcasearch("delete", "tiny").code == 0
    assert ran.store.studies() == []


def test_a_deleted_study_leaves_no_file_and_is_forgotten(dcasearch: Command, ran: Ran) -> None:
    ran.write(Path(checkpoint_of(ran.ids[0], ran.artifacts)))
    start = ran.write(ran.artifacts / "starts" / "abc")
    said = dcasearch("delete", "tiny", "--yes")
    assert (said.code, said.err) == (0, "")
    assert "deleted study tiny" in said.out
    assert ran.files() == {str(start.relative_to(ran.artifacts))}
    assert named_storage("tiny", None) != ran.url


def test_weights_that_another_study_uses_stay(dcasearch: Command, ran: Ran) -> None:
    fewer = ran.another("b", fidelities=[{**FIDELITIES[0], "trials": 1}])
    study_room.run(load_study(fewer), ran.store, Simulated())
    (shared,) = ran.store.trials("b")
    assert shared.evaluation in ran.ids
    said = dcasearch("delete", "tiny", "--yes")
    assert "1 are another study's too and stay" in said.out
    assert ran.files() == {f"weights/{shared.evaluation}.safetensors"}
    assert ran.store.recorded(ran.ids) == {shared.evaluation}
    assert ran.store.evaluation(shared.evaluation).last.epoch == 1


def test_clean_deletes_checkpoints_of_ended_trainings_and_scratch_alone(dcasearch: Command, ran: Ran) -> None:
    files = ran.files()
    ended = ran.write(Path(checkpoint_of(ran.ids[0], ran.artifacts)))
    left = ran.write(ran.artifacts / "weights" / f"x.safetensors.{dead_process()}.tmp")
    foreign = ran.write(Path(weights_path(ran.artifacts, "0" * 16)))
    said = dcasearch("clean", "--storage", ran.url, "--dry-run")
    assert f"{ended}  (checkpoint of a training that has ended)" in said.out
    assert f"{left}  (unfinished file of a dead process)" in said.out
    assert ended.is_file()
    assert left.is_file()
    assert "deleted 2 files, 4.00 MB" in dcasearch("clean", "--storage", ran.url, "--yes").out
    assert ran.files() == files | {str(foreign.relative_to(ran.artifacts))}


def test_clean_keeps_the_checkpoint_of_a_training_that_retry_goes_on_from(dcasearch: Command, ran: Ran) -> None:
    longer = ran.another("tiny", fidelities=[{**FIDELITIES[0], "trials": 4}])
    lost = Simulated(fail=lambda job: TrialFailure("lost", "its node is gone"))
    study_room.run(load_study(longer), ran.store, lost)
    stored = ran.store.get_study("tiny")
    assert stored is not None
    study = load_study(longer).study
    (id,) = Disk(study, ran.store, ran.artifacts, stored.meaning["data"]).unrecorded()
    checkpoint = ran.write(Path(checkpoint_of(id, ran.artifacts)))
    assert dcasearch("clean", "--storage", ran.url, "--yes", "--orphans").code == 0
    assert checkpoint.is_file()
    assert "(checkpoint)" in dcasearch("delete", "tiny", "--yes").out
    assert not checkpoint.exists()


def test_orphans_are_deleted_only_where_that_is_asked_for(dcasearch: Command, ran: Ran) -> None:
    files = ran.files()
    foreign = ran.write(Path(weights_path(ran.artifacts, "0" * 16)))
    said = dcasearch("clean", "--storage", ran.url, "--yes")
    assert "they stay without --orphans" in said.out
    assert str(foreign) in said.out
    assert foreign.is_file()
    assert dcasearch("clean", "--storage", ran.url, "--yes", "--orphans").code == 0
    assert ran.files() == files


def test_clean_leaves_a_running_studys_files_alone(dcasearch: Command, ran: Ran) -> None:
    ran.write(Path(checkpoint_of(ran.ids[0], ran.artifacts)))
    ran.write(Path(checkpoint_of("0" * 16, ran.artifacts)))
    files = ran.files()
    with ran.store.lease("tiny"):
        said = dcasearch("clean", "--storage", ran.url, "--yes", "--orphans")
    assert said.code == 0
    assert "Study 'tiny' runs, so files of no study are left alone." in said.out
    assert ran.files() == files


def test_clean_looks_at_the_folder_of_a_last_study_whose_delete_was_killed(dcasearch: Command, ran: Ran) -> None:
    shared = ran.write(ran.artifacts / "starts" / "start.pt")
    ran.store.delete_study("tiny")
    assert "no files" in dcasearch("clean", "--storage", ran.url, "--yes", "--orphans").out
    command = ("clean", "--storage", ran.url, "--artifacts", ran.artifacts)
    assert "they stay without --orphans" in dcasearch(*command, "--yes").out
    assert dcasearch(*command, "--yes", "--orphans").code == 0
    assert ran.files() == {str(shared.relative_to(ran.artifacts))}


def test_clean_finishes_a_delete_that_was_killed(dcasearch: Command, ran: Ran) -> None:
    other = ran.another("b", sampler={"name": "random", "seed": 9}, fidelities=OTHERS)
    study_room.run(load_study(other), ran.store, Simulated())
    ran.store.delete_study("tiny")
    assert len(ran.files()) > 1
    assert dcasearch("clean", "--storage", ran.url, "--yes", "--orphans").code == 0
    assert ran.files() == set()
