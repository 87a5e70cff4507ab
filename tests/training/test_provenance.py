import os
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import dcasearch
from dcasearch.architecture import Architecture
from dcasearch.training import provenance as room
from dcasearch.training.provenance import commit, device_name, provenance
from tests.models.traced.support import needs_timm


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    commit.cache_clear()
    yield
    commit.cache_clear()


def test_versions_and_threads_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "commit", lambda: None)
    known = provenance(threads=3)
    assert set(known) == {"dcasearch", "torch", "torchvision", "python", "threads"}
    assert (known["dcasearch"], known["torch"], known["threads"]) == (dcasearch.__version__, torch.__version__, "3")


@needs_timm
def test_the_library_of_a_network_is_named_with_its_version() -> None:
    network = Architecture.parse({"backbone": {"name": "timm/test_byobnet"}}).network
    assert provenance(threads=1, network=network)["timm"] == version("timm")
    prepared = Architecture.parse({"backbone": {"name": "resnet18"}}).network
    assert "timm" not in provenance(threads=1, network=prepared)


def test_the_commit_is_that_of_the_repository_with_a_mark_where_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = _checkout(tmp_path, monkeypatch)

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, check=True)
        return done.stdout.decode().strip()

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert provenance(threads=1)["commit"] == head
    commit.cache_clear()
    package.write_text("changed")
    assert commit() == f"{head}-dirty"


def _checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package lie in a folder that is laid out as the project's checkout; return one of its files."""
    package = folder / "dcasearch" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    (folder / "pyproject.toml").write_text('[project]\nname = "dcasearch"\n')
    monkeypatch.setattr(room.dcasearch, "__file__", str(package))
    return package


def _repository(folder: Path, monitor: Path | None = None) -> None:
    """Make a repository of all that a folder holds; its settings run a program that leaves a mark."""
    settings = [] if monitor is None else [("config", "core.fsmonitor", f"touch {monitor}; false")]
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("init",), ("add", "."), (*identity, "commit", "-m", "x"), *settings):
        subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True)


def test_a_strangers_repository_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger, mark = tmp_path / "stranger", tmp_path / "mark"
    installed = stranger / "venv" / "site-packages" / "dcasearch" / "__init__.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    _repository(stranger, mark)
    monkeypatch.chdir(stranger)
    monkeypatch.setattr(room.dcasearch, "__file__", str(installed))
    assert commit() is None
    commit.cache_clear()
    monkeypatch.setenv("GIT_DIR", str(stranger / ".git"))
    _checkout(tmp_path, monkeypatch)
    assert commit() is None
    assert not mark.exists()


def test_the_settings_of_the_own_checkout_run_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path.parent / f"{tmp_path.name}-mark"
    _checkout(tmp_path, monkeypatch)
    _repository(tmp_path, mark)
    assert commit() is not None
    assert not mark.exists()
    subprocess.run(["git", "-C", str(tmp_path), "status"], capture_output=True, check=True)
    assert mark.exists(), "the settings run nothing anyway, so that the test above shows nothing"


def test_a_git_of_the_current_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _checkout(tmp_path, monkeypatch)
    _repository(tmp_path)
    (tmp_path / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    assert commit() is not None
    assert not (tmp_path / "mark").exists()


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None
    assert "commit" not in provenance(threads=1)


def test_the_cpu_is_named() -> None:
    assert device_name(torch.device("cpu")) == "cpu"
