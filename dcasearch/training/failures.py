"""What a training's exceptions mean to its study."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from dcasearch.errors import DcasearchError, TrialFailure

logger = logging.getLogger(__name__)


@contextmanager
def as_trial_failures() -> Iterator[None]:
    """Turn out-of-memory into TrialFailure `oom`, a killed loader or rank into `lost`, the unexpected into `bug`.

    What dcasearch raises on purpose (data that is missing, a full disk) passes: it is not this trial's fault.
    """
    try:
        yield
    except DcasearchError:
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise TrialFailure("oom", _in_one_line(error)) from error
        if _is_lost(error):
            raise TrialFailure("lost", _in_one_line(error)) from error
        logger.exception("a training failed")
        raise TrialFailure("bug", f"{type(error).__name__}: {_in_one_line(error)}") from error


@contextmanager
def at_work(threads: int) -> Iterator[None]:
    """Compute with so many threads, and turn what goes wrong into a failure of the trial."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with as_trial_failures():
            yield
    finally:
        torch.set_num_threads(before)


def _is_lost(error: Exception) -> bool:
    """Return whether a process that the training needs has gone: one of its loaders, or another rank."""
    if isinstance(error, dist.DistError):
        return True
    # What torch says where it has no exception of its own.
    return str(error).startswith("DataLoader worker") or "gloo" in str(error).lower()


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU allocator has no exception of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
