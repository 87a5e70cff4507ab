"""The built wheel, installed where no source tree is: it runs, and what it ships is in it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(
    str(path.relative_to(ROOT)) for folder in ("studies", "search_spaces") for path in ROOT.glob(f"{folder}/*.yaml")
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tree, so that the tree stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    subprocess.run(
        ["tar", "--null", "--files-from=-", "--create", "--file", str(folder / "tree.tar")],
        cwd=ROOT, input=listed.encode(), check=True,
    )  # fmt: skip
    (folder / "tree").mkdir()
    subprocess.run(["tar", "--extract", "--file", str(folder / "tree.tar"), "-C", str(folder / "tree")], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "tree")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*command, str(target), str(wheel)], check=True)
    return target


def call(installed: Path, folder: Path, *arguments: str) -> str:
    """Run the installed package's command in another folder."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-m", "dcasearch", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_recipes_migrations_types_licence_and_everything_shipped(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        "dcasearch/py.typed",
        "dcasearch/config/recipes/resnet.yaml",
        "dcasearch/config/recipes/light.yaml",
        "dcasearch/store/migrations/env.py",
        "dcasearch/store/migrations/versions/v0001_first.py",
        *(f"dcasearch/shipped/{file}" for file in SHIPPED),
    }
    assert SHIPPED
    assert expected <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_the_installed_package_shows_its_commands(installed: Path, tmp_path: Path) -> None:
    where = "import dcasearch; print(dcasearch.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(installed))
    assert "Usage: dcasearch" in call(installed, tmp_path, "--help")


def test_the_installed_package_copies_its_studies_and_checks_one(installed: Path, tmp_path: Path) -> None:
    call(installed, tmp_path, "init", ".")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*.yaml")) == SHIPPED
    assert "no mistakes found" in call(installed, tmp_path, "check", "studies/quickstart.yaml")
