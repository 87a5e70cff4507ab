"""Shared memory that the loader processes of a study need on this machine, and how much of it is free.

Loader processes hand their batches over in shared memory (`/dev/shm`). Docker gives a container 64 MB of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from dcasearch.config.study import Fidelity, Study
from dcasearch.data import DataInfo

FOLDER = Path("/dev/shm")
"""Where Linux keeps shared memory; other systems have no such limit."""
_AHEAD = 2
"""Batches that each loader process holds ready: torch's `prefetch_factor`."""
_CHANNELS = 3


def shared_memory_needed(study: Study, data: DataInfo | None) -> int:
    """Return the most bytes of shared memory that trials need at a time; 0 where no loader process is used.

    Args:
        study: the study.
        data: None where the data is not there; nothing is known of its loaders then.
    """
    from_files = data is not None and (data.encoded > 0 or data.prepared is not None)
    if not from_files or study.data.workers == 0:
        return 0
    return study.executor.max_concurrent * max(_of_a_trial(study.data.workers, f) for f in study.fidelities)


def _of_a_trial(workers: int, fidelity: Fidelity) -> int:
    """Return the bytes of the batches that are ready, and of the one that is used; ranks share each batch."""
    batches = workers * _AHEAD + 1
    return batches * fidelity.recipe.batch_size * _CHANNELS * fidelity.resolution**2  # pixels are bytes until then


def shared_memory_free(study: Study) -> int | None:
    """Return the free bytes of shared memory; None where trials run on other machines, or the system has no limit."""
    elsewhere = study.executor.name == "ray" and study.executor.address is not None
    if elsewhere or not FOLDER.is_dir():
        return None
    found = os.statvfs(FOLDER)
    return found.f_bavail * found.f_frsize


def shared_memory_problem(needed: int, free: int | None) -> str | None:
    """Return in a sentence that the free shared memory is too little, if it is."""
    if free is None or needed <= free:
        return None
    return (
        f"shared memory: the loader processes need {needed / 1e6:,.0f} MB of {FOLDER} and {free / 1e6:,.0f} MB are "
        "free: the run would stop; raise it (Docker: `--shm-size=8g`), or lower `data.workers` or "
        "executor.max_concurrent"
    )
