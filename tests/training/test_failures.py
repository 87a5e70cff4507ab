import errno
import logging

import pytest
import torch

from dcasearch.errors import DataError, MachineError, TrialFailure
from dcasearch.training.failures import as_trial_failures


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom", "CUDA out of memory"),
        (MemoryError(), "oom", "MemoryError"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom", "can't allocate"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "lost", "pid 7"),
        (RuntimeError("Gloo connectFullMesh failed with [peer.cc:55] Connection closed"), "lost", "connectFullMesh"),
        (RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"), "oom", "out of memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "oom", "CUBLAS"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "lost", "ECC"),
        (RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), "lost", "busy"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "lost", "Cannot allocate memory"),
        (OSError(errno.EIO, "Input/output error"), "lost", "Input/output"),
        (OSError(errno.ESTALE, "Stale file handle"), "lost", "Stale"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "lost", "reset"),
        (RuntimeError("CUDA error: uncorrectable NVLink error detected during the execution"), "lost", "NVLink"),
        (RuntimeError("CUDA error: the launch timed out and was terminated"), "lost", "timed out"),
        (RuntimeError("CUDA error: initialization error"), "lost", "initialization"),
        (RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment"), "lost", "unknown"),
        (RuntimeError("No CUDA GPUs are available"), "lost", "No CUDA GPUs"),
        (RuntimeError("HIP out of memory. Tried to allocate 2 GiB"), "oom", "HIP"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), "oom", "MPS"),
        (RuntimeError("DataLoader worker (pid(s) 12, 13) exited unexpectedly"), "lost", "12, 13"),
        (RuntimeError("Pin memory thread exited unexpectedly"), "lost", "Pin memory"),
        (EOFError(), "lost", "EOFError"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "lost", "timed out"),
        (OSError(errno.EHOSTDOWN, "Host is down"), "lost", "Host is down"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "lost", "unreachable"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "bug", "illegal"),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), "bug", "kernel image"),
        (RuntimeError("CUDA error: device-side assert triggered"), "bug", "assert"),
        (RuntimeError("out of resource: shared memory, Required: 163840, Hardware limit: 101376"), "bug", "resource"),
        (
            ValueError("Caught ValueError in DataLoader worker process 0.\nOriginal Traceback:\nValueError: odd"),
            "bug",
            "ValueError: odd",
        ),
        (ZeroDivisionError("division by zero"), "bug", "ZeroDivisionError: division by zero"),
        (RuntimeError("shapes differ\nat line 2"), "bug", "RuntimeError: shapes differ"),
    ],
)
def test_an_exception_becomes_the_failure_that_it_means(error: Exception, kind: str, message: str) -> None:
    with pytest.raises(TrialFailure) as failure, as_trial_failures():
        raise error
    assert failure.value.kind == kind
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)
    assert failure.value.__cause__ is error


def test_the_cpu_running_out_of_memory_is_recognised() -> None:
    with pytest.raises(TrialFailure) as failure, as_trial_failures():
        torch.empty(2**60, dtype=torch.uint8)
    assert failure.value.kind == "oom"


def test_a_bugs_traceback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(TrialFailure), as_trial_failures():
        raise ZeroDivisionError
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("error", [DataError("no data"), TrialFailure("nan", "diverged"), KeyboardInterrupt()])
def test_what_is_raised_on_purpose_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, as_trial_failures():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RuntimeError("unable to allocate shared memory(shm) for file </torch_12_34_0>: Success (0)"), "--shm-size"),
        (RuntimeError("unable to mmap 128 bytes from file </torch_1_2>: Cannot allocate memory (12)"), "--shm-size"),
        (RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"), "data.workers"),
        (
            RuntimeError(
                "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers "
                "are out of shared memory. Please try to raise your shared memory limit."
            ),
            "--shm-size",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (RuntimeError("received 0 items of ancdata"), "ulimit -n"),
        (
            RuntimeError("unable to open shared memory object </torch_1> in read-write mode: Too many open files (24)"),
            "ulimit -n",
        ),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (
            OSError(
                "Caught OSError in DataLoader worker process 1.\nOriginal Traceback (most recent call last):\n"
                "OSError: [Errno 28] No space left on device: '/tmp/x'"
            ),
            "disk",
        ),
    ],
)
def test_what_every_training_of_a_machine_would_meet_fails_no_trial_and_says_what_to_do(
    error: Exception, advice: str
) -> None:
    with pytest.raises(MachineError, match="then run the same command") as raised, as_trial_failures():
        raise error
    assert advice in str(raised.value)
    assert "\n" not in str(raised.value)
