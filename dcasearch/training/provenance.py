"""What a result was made with: versions, commit, device, threads."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

import dcasearch
from dcasearch.architecture import Network
from dcasearch.models.traced.libraries import version_of
from dcasearch.processes import program

STARTED_FROM = "started_from_sha256"
"""Of the weights that a network began with; only where there were any."""
STARTED_FROM_NAME, CLASSIFIER = "started_from", "started_classifier"
"""Of a weights file: its name, and what became of its classifier (`kept` or `drawn`)."""
_RUN_NOTHING = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""Settings of git that run no program of the repository."""


def provenance(threads: int, network: Network | None = None) -> dict[str, str]:
    """Return what a stored result names beside its values.

    Args:
        threads: of CPU computation.
        network: of the result; where a library builds it, the library's version is named.
    """
    known = {
        "dcasearch": dcasearch.__version__,
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "python": platform.python_version(),
        "threads": str(threads),
    }
    if network is not None and network.library is not None:
        library = network.library.network.library
        known[library] = version_of(library)
    revision = commit()
    return known if revision is None else {**known, "commit": revision}


@cache
def commit() -> str | None:
    """Return the commit of the package's own checkout, `-dirty` after it where tracked files differ; else None.

    No other repository is asked: git runs programs that a repository's settings name. An installed package lies in
    nobody's checkout, even where its environment lies below one.
    """
    checkout, git = Path(dcasearch.__file__).absolute().parents[1], program("git")
    if git is None or not _is_ours(checkout):
        return None
    command = [git, "-C", str(checkout), *_RUN_NOTHING, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    # GIT_DIR and its kind would name another repository, or settings of it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None  # no git that works, or no repository
    return found.stdout.strip()


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder is the top of a checkout of this project."""
    if not (folder / ".git").exists():  # a file in a worktree
        return False
    try:
        return re.search(r'^name = "dcasearch"$', (folder / "pyproject.toml").read_text("utf-8"), re.M) is not None
    except (OSError, UnicodeDecodeError):
        return False


def device_name(device: torch.device) -> str:
    """Return `cpu`, or the accelerator's model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
