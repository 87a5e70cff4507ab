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
    monkeypatch.setattr(room.dcasearch, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "__init__.py").write_text("")

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
    (tmp_path / "__init__.py").write_text("changed")
    assert commit() == f"{head}-dirty"


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None
    assert "commit" not in provenance(threads=1)


def test_the_cpu_is_named() -> None:
    assert device_name(torch.device("cpu")) == "cpu"
