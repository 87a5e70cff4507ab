"""What a training's exceptions mean to its study."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dcasearch.errors import DcasearchError, TrialFailure

logger = logging.getLogger(__name__)


@contextmanager
def as_trial_failures() -> Iterator[None]:
    """Turn out-of-memory into TrialFailure `oom`, a killed loader process into `lost`, the unexpected into `bug`.

    What dcasearch raises on purpose (data that is missing, a full disk) passes: it is not this trial's fault.
    """
    try:
        yield
    except DcasearchError:
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            raise TrialFailure("oom", _in_one_line(error)) from error
        if str(error).startswith("DataLoader worker"):  # torch's words for a loader process that was killed
            raise TrialFailure("lost", _in_one_line(error)) from error
        logger.exception("a training failed")
        raise TrialFailure("bug", f"{type(error).__name__}: {_in_one_line(error)}") from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU allocator has no exception of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
