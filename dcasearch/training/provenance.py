"""What a result was made with: versions, commit, device, threads."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

import dcasearch
from dcasearch.architecture import Network
from dcasearch.models.traced.libraries import version_of

STARTED_FROM = "started_from_sha256"
"""Of the weights that a network began with; only where there were any."""
STARTED_FROM_NAME, CLASSIFIER = "started_from", "started_classifier"
"""Of a weights file: its name, and what became of its classifier (`kept` or `drawn`)."""


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
    """Return the commit of the repository that holds the package, else of the current directory's, else None.

    `-dirty` follows where tracked files differ from it.
    """
    for folder in (Path(dcasearch.__file__).parent, Path.cwd()):
        command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            continue  # no git, or no repository
        return found.stdout.strip()
    return None


def device_name(device: torch.device) -> str:
    """Return `cpu`, or the accelerator's model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
