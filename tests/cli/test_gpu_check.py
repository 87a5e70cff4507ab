"""`dcasearch gpu-check`: what it prints, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.gpu_check import Finding, running
from dcasearch.gpu_check.checks import Bench, Check, judged
from dcasearch.store import Store
from tests.cli.conftest import Command


def checks(monkeypatch: pytest.MonkeyPatch, *, passes: bool) -> None:
    def run(bench: Bench) -> Iterator[Finding]:
        yield judged("a check", passes, "error at most 1e-4", error=0.5)

    monkeypatch.setattr(running, "checks_of", lambda part: (Check(name="a check", run=run),))


def test_findings_are_printed_with_their_numbers_and_counted_in_a_table(
    dcasearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(monkeypatch, passes=True)
    done = dcasearch("gpu-check", "--part", "models", "--device", "cpu", "--out", "found")
    assert done.code == 0, done.err
    assert "passed    a check  error 0.5  (error at most 1e-4)" in done.out
    assert "cpu (tiny sizes: it says nothing of a GPU)" in done.out
    assert Path("found/cpu.json").exists()


def test_a_failed_check_is_exit_1_and_named(dcasearch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    checks(monkeypatch, passes=False)
    done = dcasearch("gpu-check", "--part", "models", "--device", "cpu", "--out", "found")
    assert done.code == 1
    assert "failed: models: a check" in done.err


def test_an_unknown_part_is_exit_2_and_names_the_known_ones(dcasearch: Command) -> None:
    done = dcasearch("gpu-check", "--part", "model", "--device", "cpu")
    assert done.code == 2
    assert "'model' is not a part; did you mean 'models'?" in done.err


def test_what_was_found_can_be_kept_in_a_database(dcasearch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    checks(monkeypatch, passes=True)
    url = "sqlite:///kept.db"
    done = dcasearch("gpu-check", "--part", "models", "--device", "cpu", "--out", "found", "--storage", url)
    assert done.code == 0, done.err
    with Store.open(url) as store:
        assert list(store.devices()) == ["cpu"]
