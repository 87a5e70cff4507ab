"""Bad surroundings end in a sentence and an exit code: no home, damaged files, a narrow terminal, a full output."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dcasearch.cli import commands, terminal, unforeseen
from dcasearch.cli.storage import named_storage, remember
from dcasearch.errors import StorageError
from dcasearch.files import private_folder, refuse_special, state_folder, write_whole
from dcasearch.processes import child_environment
from dcasearch.store import Store
from tests.cli.conftest import Command
from tests.store.samples import STUDY, trial, with_study

LEVEL = {"name": "proxy", "trials": 3, "resolution": 16, "epochs": 2}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with a study that is too small to be run."""
    found = f"sqlite:///{tmp_path}/study.db"
    with Store.open(found, create=True) as store:
        with_study(store).put_trial(trial(0))
    return found


def run(*arguments: str, stdout: str | None = None, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process, its output into a file if one is named."""
    command = [sys.executable, "-m", "dcasearch", *arguments]
    environment = child_environment(**variables)
    if stdout is None:
        return subprocess.run(command, capture_output=True, env=environment)
    with Path(stdout).open("wb") as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.PIPE, env=environment)


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize(
    ("name", "value"), [("XDG_STATE_HOME", "/proc"), ("XDG_STATE_HOME", "/dev/null"), ("HOME", "/dev/null")]
)
def test_a_study_runs_where_nothing_can_be_remembered(
    name: str,
    value: str,
    dcasearch: Command,
    write_study: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv(name, value)
    study = write_study(fidelities=[LEVEL])
    done = dcasearch("run", study)
    assert done.code == 0, done.err
    assert dcasearch("status", study).code == 0
    doctor = dcasearch("doctor", study, "--json")
    assert doctor.code == 0
    assert "cannot be written" in doctor.out or value == "/proc"  # its mode forbids root nothing
    assert caplog.text.count("is not remembered") <= 1  # said once in a process


def test_without_a_home_there_is_no_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert state_folder() is None
    remember("tiny", "sqlite:////a.db")
    assert named_storage("tiny", None) == "sqlite:///dcasearch.db"


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", "null", '{"tiny": 3}', "[" * 100_000, "\udcff\udcfe"])
@pytest.mark.parametrize("name", ["studies.json", "runs.json"])
def test_a_damaged_file_of_what_is_remembered_is_left_out(
    name: str, content: str, tmp_path: Path, dcasearch: Command, url: str
) -> None:
    folder = tmp_path / "state" / "dcasearch"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content.encode(errors="surrogateescape"))
    assert dcasearch("status", STUDY).code == 2  # not found: a sentence
    assert named_storage("tiny", None) == "sqlite:///dcasearch.db"
    remember("tiny", url)
    assert named_storage("tiny", None) == url


def test_a_folder_in_the_place_of_what_is_remembered_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "state" / "dcasearch" / "studies.json").mkdir(parents=True)
    remember("tiny", "sqlite:////a.db")
    assert named_storage("tiny", None) == "sqlite:///dcasearch.db"


def test_what_is_remembered_lies_in_a_private_folder(tmp_path: Path) -> None:
    remember("tiny", "sqlite:////a.db")
    assert stat.S_IMODE((tmp_path / "state" / "dcasearch").stat().st_mode) == 0o700


def test_a_private_folder_is_never_a_link_or_another_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(PermissionError, match="own"):
            private_folder(tmp_path / name)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="own"):
        private_folder(tmp_path / "theirs")


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="device"):
        write_whole(pipe, b"x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    refuse_special(tmp_path / "new")
    refuse_special(tmp_path)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_no_character_ends_a_command(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    terminal.speak_plainly()
    print("3 × 4 ± 1 … → · – ≈ τ ρ θ⁻ 字 \udcff")
    sys.stdout.flush()
    said = written.getvalue().decode(encoding)
    assert said.startswith("3 ")
    if encoding == "ascii":
        assert said.startswith("3 x 4 +- 1 ... -> * - ~ tau rho theta- \\u5b57")


@pytest.mark.slow
@pytest.mark.usefixtures("simulated")
def test_every_table_is_shown_on_a_narrow_terminal(
    dcasearch: Command, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study, storage = write_study(fidelities=[LEVEL]), f"sqlite:///{tmp_path}/run.db"
    assert dcasearch("run", study, "--storage", storage).code == 0
    commands = (("status", "tiny", "--detail"), ("trials", "tiny"), ("check", str(study)), ("kinds",), ("--help",))
    for encoding in ("ascii", "latin-1"):
        for command in commands:
            done = run(*command, PYTHONIOENCODING=encoding, DCASEARCH_STORAGE=storage)
            assert (done.returncode, done.stderr) == (0, b"")
            done.stdout.decode(encoding)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
@pytest.mark.parametrize("command", [("list",), ("--version",)])
def test_an_output_that_is_full_is_a_sentence(command: tuple[str, ...], url: str) -> None:
    done = run(*command, stdout="/dev/full", DCASEARCH_STORAGE=url)
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_closed_output_is_no_error(url: str) -> None:
    command = f"{sys.executable} -m dcasearch list >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=child_environment(DCASEARCH_STORAGE=url))
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_output_that_nobody_reads_is_no_traceback(url: str) -> None:
    command = f"{sys.executable} -m dcasearch schema | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=child_environment())
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_an_error_of_the_system_is_a_sentence_that_names_the_file(
    dcasearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "/data/x")

    monkeypatch.setattr(commands, "app", lambda prog_name: refuse())
    done = dcasearch("list")
    assert done.code == 2
    assert done.err == "/data/x: Permission denied; name a place that this user may use\n"


def test_an_unforeseen_error_is_a_sentence_and_hides_nothing(
    dcasearch: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail() -> None:
        raise KeyError("postgresql://ann:S3CRET@h/d")

    monkeypatch.setattr(commands, "app", lambda prog_name: fail())
    done = dcasearch("list")
    assert done.code == unforeseen.UNFORESEEN
    (file,) = tmp_path.glob("dcasearch-error-*.txt")
    assert str(file) in done.err
    assert "KeyError" in done.err
    assert "Traceback" not in done.err
    text = file.read_text()
    assert "in fail" in text
    assert "S3CRET" not in text + done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["no database at all", "SQLite format 3\x00" + "x" * 5000])
def test_a_file_that_is_no_database_is_a_sentence(text: str, tmp_path: Path, dcasearch: Command) -> None:
    (tmp_path / "x.db").write_text(text)
    done = dcasearch("list", "--storage", "sqlite:///x.db")
    assert done.code == 2
    assert "x.db" in done.err


def test_a_database_that_may_only_be_read_is_read(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by root, no mode forbids anything, so the system's answer is given here."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(tmp_path / "study.db", folder / "study.db")
    before = sorted(folder.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with Store.open(f"sqlite:///{folder}/study.db") as store:
        assert [t.number for t in store.trials(STUDY)] == [0]
        with pytest.raises(StorageError, match="readonly database; let this user write the file and its folder"):
            store.put_trial(trial(1))
    assert sorted(folder.iterdir()) == before


def test_a_study_of_a_newer_version_says_so(url: str, dcasearch: Command) -> None:
    with Store.open(url) as store:
        store.put_study(STUDY, {}, '{"name": "digits", "hologram": 1}')
    done = dcasearch("status", STUDY, "--storage", url)
    assert done.code == 2
    assert "newer dcasearch" in done.err
    assert "hologram" in done.err
    assert "pip install --upgrade dcasearch" in done.err
    assert dcasearch("list", "--storage", url).code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("init", "new", "--data", "~nosuchuser/x"),
        ("init", "new", "--data", ".", "--backbone", "resnet18", "--weights", "~nosuchuser/x.pt"),
        ("data", "prepare", "~nosuchuser/x", "--out", "out"),
        ("data", "prepare", ".", "--out", "~nosuchuser/out"),
        ("data", "verify", "~nosuchuser/x"),
        ("train", "spec.yaml", "--data", "~nosuchuser/x", "--out", "out"),
        ("check", "~nosuchuser/study.yaml"),
        ("run", "~nosuchuser/study.yaml"),
    ],
    ids=" ".join,
)
def test_a_home_folder_that_nobody_knows_is_said_in_a_sentence(command: tuple[str, ...], dcasearch: Command) -> None:
    Path("spec.yaml").write_text("format: 1\n")
    done = dcasearch(*command)
    assert done.code == 2, done.err
    assert done.err
    assert "did not foresee" not in done.err


@pytest.mark.parametrize(("key", "lost"), [("weights", "~nosuchuser/x.pt"), ("probe", "~nosuchuser/x.json")])
def test_a_start_below_a_home_folder_that_nobody_knows_is_told_where_it_stands(
    key: str, lost: str, dcasearch: Command, write_study: Callable[..., Path]
) -> None:
    study = write_study(fidelities=[LEVEL | {"initialize": {"name": "weights", "weights": "x.pt"} | {key: lost}}])
    done = dcasearch("check", study)
    assert done.code == 2, done.err
    assert "study.yaml:" in done.err
    assert "no home folder is known for ~nosuchuser" in done.err
