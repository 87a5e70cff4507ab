from __future__ import annotations

import dataclasses
import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from dcasearch.analysis import shared_memory
from dcasearch.analysis.forecast import forecast
from dcasearch.analysis.shared_memory import shared_memory_free, shared_memory_needed, shared_memory_problem
from dcasearch.cli.printing import print_forecast
from dcasearch.data import DataInfo
from dcasearch.space import read_space
from tests.support import make_study

IN_MEMORY = DataInfo(fingerprint="some", classes=10, train_images=900, validation_images=100, test_images=10)
FILES = dataclasses.replace(IN_MEMORY, encoded=1010)
PREPARED = dataclasses.replace(IN_MEMORY, prepared=224)
LEVEL: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 224, "epochs": 1, "recipe": {"batch_size": 256}}
SMALL: dict[str, Any] = {**LEVEL, "name": "small", "resolution": 32}
BATCH = 256 * 3 * 224 * 224


def needed(data: DataInfo | None, workers: int = 2, **changes: Any) -> int:
    study = make_study(**{"fidelities": [LEVEL], "data": {"name": "imagefolder", "workers": workers}, **changes})
    return shared_memory_needed(study, data)


@pytest.mark.parametrize("data", [FILES, PREPARED])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_trial_needs_two_batches_per_loader_process_and_the_one_in_use(data: DataInfo, workers: int) -> None:
    assert needed(data, workers) == (2 * workers + 1) * BATCH


def test_trials_that_run_at_a_time_add_up_and_the_largest_fidelity_counts() -> None:
    promoted = {**LEVEL, "name": "full", "trials": None, "promote": {"top": 1}}
    assert needed(FILES, executor={"max_concurrent": 3}, fidelities=[SMALL, promoted]) == 3 * needed(FILES)
    assert needed(FILES, fidelities=[SMALL]) < needed(FILES)


@pytest.mark.parametrize(("data", "workers"), [(IN_MEMORY, 2), (FILES, 0), (PREPARED, 0), (None, 2)])
def test_nothing_is_needed_without_loader_processes_or_where_the_data_is_not_there(
    data: DataInfo | None, workers: int
) -> None:
    assert needed(data, workers) == 0


def test_the_free_shared_memory_is_this_machines_where_trials_run_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path)
    docker = SimpleNamespace(f_bavail=16_384, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda folder: docker if folder == tmp_path else None)
    assert shared_memory_free(make_study()) == 2**26
    assert shared_memory_free(make_study(executor={"name": "ray"})) == 2**26
    assert shared_memory_free(make_study(executor={"name": "ray", "address": "auto"})) is None
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path / "nowhere")
    assert shared_memory_free(make_study()) is None


def test_too_little_is_a_problem_that_says_what_to_do() -> None:
    assert shared_memory_problem(2**26, 2**26) is None
    assert shared_memory_problem(2**40, None) is None
    problem = shared_memory_problem(192_675_840, 2**26)
    assert problem is not None
    assert "need 193 MB of /dev/shm and 67 MB are free" in problem
    assert "--shm-size" in problem


@pytest.mark.parametrize(("free", "warned"), [(2**26, True), (2**34, False)])
def test_check_warns_of_too_little_shared_memory(free: int, warned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.analysis.forecast.shared_memory_free", lambda study: free)
    study = make_study(fidelities=[LEVEL], data={"name": "imagefolder", "root": "nowhere"})
    seen = forecast(study, read_space(study.space), FILES, None)
    text = io.StringIO()
    print_forecast(Console(file=text, width=400), seen)
    assert ("warning: shared memory: the loader processes need 193 MB" in text.getvalue()) is warned
