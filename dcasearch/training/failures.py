"""What a training's exceptions mean to its study: the machine's fault, the model's, or a bug.

torch has few exception classes of its own, so most errors are known by their words alone. The tables below hold all of
them. An error that no table knows is a `bug`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from dcasearch.errors import DcasearchError, MachineError, TrialFailure
from dcasearch.masking import masked

logger = logging.getLogger(__name__)

EXHAUSTED = {
    # First, since torch says it of shared memory too: each block of it is an open file.
    r"Too many open files|received 0 items of ancdata": "too many files are open: raise the limit (`ulimit -n`)",
    r"unable to \w+( to)? .*(shared memory|</?torch_)|out of shared memory": (
        "shared memory is used up: raise it (Docker: `--shm-size=8g`) or lower `data.workers`"
    ),
    r"No space left on device|Disk quota exceeded": "a disk, or /dev/shm, is full: free some of it",
    r"can't start new thread|Resource temporarily unavailable": (
        "no further process or thread may start: raise the limit (`ulimit -u`; Docker: `--pids-limit`)"
    ),
    r"Read-only file system": "a disk is read-only: mount it for writing",
}
"""What every training on this machine would meet: the run stops, no trial fails, and the same command goes on."""
OUT_OF_MEMORY = (
    r"can't allocate memory",  # the CPU allocator
    r"(CUDA|HIP|XPU|MPS backend)(?: error:)? out of memory",
    r"(CUBLAS|CUDNN|CUSOLVER|CUSPARSE)\w*_ALLOC_FAILED",
    r"std::bad_alloc",
)
"""A network that needs more memory than there is: `oom`."""
LOST = (
    r"DataLoader worker \(pid|DataLoader timed out|Pin memory thread exited",
    r"\bgloo\b",
    r"\bNCCL\b",
    r"Connection (reset|closed|refused|timed out)|Broken pipe",
    r"Host is down|No route to host|Network is unreachable",
    r"Cannot allocate memory",  # the system refuses a process or a mapping; the CPU allocator says "can't"
    r"Input/output error|Stale file handle|Transport endpoint is not connected|Remote I/O error",
    r"CUDA error: .*(ECC|NVLink|hardware|launch failure|launch timed out|unavailable|busy|unknown error|shutting down)",
    r"CUDA error: .*(no CUDA-capable|initialization error|not yet initialized)|CUDA unknown error",
    r"No CUDA GPUs are available|Unexpected error from cudaGetDeviceCount",
    r"GPU is lost|fallen off the bus",
)
"""A process, a device, a disk or a connection that has gone: `lost`, tried again up to `executor.retries` times."""


@contextmanager
def as_trial_failures() -> Iterator[None]:
    """Turn the machine's faults into MachineError or TrialFailure `lost`, the model's into `oom`, all else into `bug`.

    What dcasearch raises on purpose (data that is missing, a full disk) passes: it is not this trial's fault.
    """
    try:
        yield
    except DcasearchError:
        raise
    except Exception as error:
        failure = _meaning(error)
        if isinstance(failure, TrialFailure) and failure.kind == "bug":
            logger.exception("a training failed")
        raise failure from error


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


def _meaning(error: Exception) -> TrialFailure | MachineError:
    words, line = str(error), masked(_in_one_line(error))
    for pattern, advice in EXHAUSTED.items():
        if re.search(pattern, words, re.IGNORECASE):
            return MachineError(f"{advice}; then run the same command ({line})")
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or _known(words, OUT_OF_MEMORY):
        return TrialFailure("oom", line)
    if isinstance(error, dist.DistError | ConnectionError | EOFError) or _known(words, LOST):
        return TrialFailure("lost", line)
    return TrialFailure("bug", f"{type(error).__name__}: {line}")


def _known(words: str, patterns: tuple[str, ...]) -> bool:
    return any(re.search(pattern, words, re.IGNORECASE) for pattern in patterns)


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    # torch puts a loader process's traceback into the message; its last line says what happened.
    return lines[-1] if lines[0].startswith("Caught ") else lines[0]
