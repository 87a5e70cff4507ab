from __future__ import annotations

import pytest
import torch

from dcasearch.errors import UserError
from dcasearch.full_training import joined
from dcasearch.full_training.processes import _own_device


def test_a_process_that_was_started_alone_is_alone() -> None:
    with joined("cuda:1", {}) as (ranks, device):
        assert (ranks.world, device) == (1, "cuda:1")


def test_each_process_has_the_gpu_of_its_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [_own_device(name, 1) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(UserError, match="local rank 2 has no GPU of its own, there are 2"):
        _own_device("auto", 2)
    with pytest.raises(UserError, match="each process has its own GPU"):
        _own_device("cuda:0", 0)


def test_without_a_gpu_processes_share_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert _own_device("auto", 1) == "cpu"
