import logging

import pytest
import torch

from dcasearch.errors import DataError, TrialFailure
from dcasearch.training.failures import as_trial_failures


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom", "CUDA out of memory"),
        (MemoryError(), "oom", "MemoryError"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom", "can't allocate"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "lost", "pid 7"),
        (RuntimeError("Gloo connectFullMesh failed with [peer.cc:55] Connection closed"), "lost", "connectFullMesh"),
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
