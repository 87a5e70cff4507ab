"""What the package's child processes inherit: no code of the current folder, and no storage URL with its password.

Python looks for modules in the current folder first (`python -m`, `python -c`), so a `yaml.py` beside a stranger's
spec would run in every child. `PYTHONSAFEPATH` ends that for a child and for all that it starts in turn.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from shutil import which
from urllib.parse import quote

_ROOT = str(Path(__file__).parents[1])
_OF_THE_DATABASE = ("DCASEARCH_STORAGE", "PGPASSWORD")
"""Variables that the driver alone needs."""


def safe_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that keep the current folder out of a child's `sys.path`, and this package in it.

    Args:
        environ: of the parent; this process's where it is None.
    """
    known = os.environ if environ is None else environ
    # An empty entry means the current folder.
    entries = [entry for entry in known.get("PYTHONPATH", "").split(os.pathsep) if entry]
    entries += [folder for folder in package_folders() if folder not in entries]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(entries)}


def package_folders() -> tuple[str, ...]:
    """Return where a Python must look to find this package: nowhere else where it is installed, else its checkout."""
    installed = _ROOT in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return () if installed else (_ROOT,)


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment of a Python process that is started with `subprocess`."""
    return {**os.environ, **safe_variables(), **changes}


@contextmanager
def shielded() -> Iterator[None]:
    """Let every process that starts during the block look for no module in the current folder."""
    with _variables(safe_variables()):
        yield


def ignore_settings_here() -> None:
    """Let matplotlib, which several libraries import, not take its settings from the current folder.

    It looks there first, and settings can run programs: `text.usetex` starts LaTeX with a preamble of the file. A
    backend for windows that the environment names is not loaded either: commands draw into files alone.
    """
    os.environ["MPLBACKEND"] = "agg"
    if os.path.lexists("matplotlibrc"):
        with chdir(os.sep):
            import matplotlib  # noqa: F401  # reads its settings once, here


@contextmanager
def without_secrets(secret: str | None) -> Iterator[None]:
    """Let the processes that start during the block inherit neither the storage's URL nor its password.

    Args:
        secret: the storage's password; None where it has none.
    """
    with _variables({**safe_variables(), **dict.fromkeys(secret_variables(secret))}):
        yield


def secret_variables(secret: str | None) -> tuple[str, ...]:
    """Return the names of the environment's variables that hold the storage, or its password in any spelling."""
    words = () if secret is None else spellings(secret)
    return tuple(
        name for name, value in os.environ.items() if name in _OF_THE_DATABASE or any(word in value for word in words)
    )


def spellings(secret: str) -> Collection[str]:
    """Return a secret as it is, and as URLs spell it."""
    return {secret, quote(secret), quote(secret, safe="")}


def program(name: str) -> str | None:
    """Return the path of a program from the absolute folders of PATH, None where there is none.

    A relative or an empty entry of PATH would find a stranger's program in the current folder.
    """
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    return which(name, path=os.pathsep.join(folders)) if folders else None


@contextmanager
def _variables(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables during the block; None leaves one out."""
    before = {name: os.environ.get(name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def _set(wanted: Mapping[str, str | None]) -> None:
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
