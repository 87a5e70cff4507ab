from __future__ import annotations

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.proposal import machine
from dcasearch.proposal.machine import Machine, this_machine, throughput


def test_this_machine_is_described() -> None:
    found = this_machine()
    assert found.cores >= 1
    assert found.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found.concurrent >= 1


def test_one_training_runs_on_each_gpu_or_core() -> None:
    assert Machine(0, "", 4).concurrent == 4
    assert Machine(2, "NVIDIA X", 16).concurrent == 2
    assert Machine(0, "", 1).words == "1 core, no GPU"
    assert Machine(2, "NVIDIA X", 16).words == "2 × NVIDIA X"


def test_the_speed_is_that_of_one_thread_and_threads_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_SECONDS", 0.01)
    threads = torch.get_num_threads()
    network = Architecture.parse({"backbone": {"name": "resnet18", "width": 0.1, "stem": "small"}})
    assert throughput(network, 16, 3, 4, "cpu") > 1e6
    assert torch.get_num_threads() == threads
