"""Code of the current folder never runs, in no process of a command; and children inherit no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dcasearch.executors import LocalExecutor
from dcasearch.processes import (
    child_environment,
    package_folders,
    program,
    safe_variables,
    secret_variables,
    shielded,
    without_secrets,
)
from tests.executors.support import Listed
from tests.training.support import make_assignment

HOSTILE = ("yaml", "pickle", "torch", "numpy", "sitecustomize", "usercustomize", "multiprocessing", "json", "typing")
"""Modules that a child imports early, or that Python looks for by itself."""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with modules in it that leave a mark; returns the mark."""
    mark = tmp_path / "mark"
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\nraise ImportError\n")
    monkeypatch.chdir(tmp_path)
    return mark


def bare() -> dict[str, str]:
    """The environment of a user's shell: only the package's own folder is on the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return {**environment, "PYTHONPATH": os.pathsep.join(package_folders())}


def test_the_module_runs_no_code_of_the_current_folder(hostile: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "dcasearch", "kinds"], env=bare(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not hostile.exists()


def test_the_hostile_modules_would_run(hostile: Path) -> None:
    subprocess.run([sys.executable, "-c", "import yaml"], env=bare(), capture_output=True)
    assert hostile.read_text()


def test_children_run_no_code_of_the_current_folder(hostile: Path) -> None:
    code = "import yaml, multiprocessing, pickle, json"
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not hostile.exists()


def test_workers_run_no_code_of_the_current_folder_and_see_no_secret(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setenv("DCASEARCH_STORAGE", "postgresql://ann:s3%2Fcret@db/search")
    monkeypatch.setenv("PGPASSWORD", "s3/cret")
    monkeypatch.setenv("ELSEWHERE", "password=s3/cret")
    seen: list[dict[str, str]] = []

    def look(*_: object) -> bool:
        seen.extend(child.environ() for child in psutil.Process().children(recursive=True))
        return True

    work = Listed([make_assignment()], look)
    executor = LocalExecutor(tmp_path / "artifacts", 1, None, "s3/cret")
    with executor.open():
        executor.run(work)
    assert seen
    assert all("s3" not in value for environment in seen for value in environment.values())
    assert all("DCASEARCH_STORAGE" not in environment for environment in seen)
    assert not hostile.exists()
    assert os.environ["DCASEARCH_STORAGE"].endswith("/search")


@pytest.mark.parametrize("path", ["", ":/a", "/a::/b", "/a:"])
def test_an_empty_entry_of_the_path_is_left_out(path: str) -> None:
    entries = safe_variables({"PYTHONPATH": path})["PYTHONPATH"].split(os.pathsep)
    assert [entry for entry in entries if entry] == entries
    assert [entry for entry in entries if entry not in package_folders()] == [part for part in path.split(":") if part]


def test_variables_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCASEARCH_STORAGE", "sqlite:///a.db")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    before = dict(os.environ)
    with shielded(), without_secrets(None):
        assert os.environ["PYTHONSAFEPATH"] == "1"
        assert "DCASEARCH_STORAGE" not in os.environ
    assert dict(os.environ) == before


@pytest.mark.parametrize("spelt", ["s3/c t", "s3%2Fc%20t", "s3/c%20t"])
def test_a_secret_is_found_in_every_spelling(spelt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEWHERE", f"x{spelt}y")
    assert "SOMEWHERE" in secret_variables("s3/c t")
    assert "SOMEWHERE" not in secret_variables(None)


def test_a_program_of_the_current_folder_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".:")
    assert program("git") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program("git") == str(tmp_path / "git")


@pytest.mark.parametrize("content", [b"text.usetex: True\n", b"\xff\xfe\x86", b"nonsense"])
def test_settings_of_matplotlib_in_the_current_folder_are_not_read(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "matplotlibrc").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    code = (
        "from dcasearch.processes import ignore_settings_here\nignore_settings_here()\n"
        "import os, matplotlib\nprint(matplotlib.rcParams['text.usetex'], os.getcwd())"
    )
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True)
    assert done.stdout.split() == ["False", str(tmp_path)]
    assert done.stderr == ""


def test_a_backend_that_nobody_knows_ends_no_command() -> None:
    code = (
        "from dcasearch.processes import ignore_settings_here\nignore_settings_here()\n"
        "import matplotlib\nprint(matplotlib.get_backend())"
    )
    environment = child_environment(MPLBACKEND="bogus")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("agg\n", "")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ray 2.55 leaves a file open
def test_workers_of_ray_look_for_no_module_in_the_drivers_folder(hostile: Path) -> None:
    import ray

    from dcasearch.executors.ray.cluster import connected, remote

    def folders() -> list[str]:
        return sys.path

    with connected(None):
        found: list[str] = ray.get(remote(folders, num_cpus=1).remote())
    assert str(hostile.parent) not in found
    assert "" not in found
    assert not hostile.exists()
