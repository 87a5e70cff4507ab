from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.gpu_check import DeviceReport, Finding, read_report, run_part, running
from dcasearch.gpu_check.checks import Bench, Check, judged


def good(bench: Bench) -> Iterator[Finding]:
    yield judged("good", True, "", resolution=bench.sizes.resolution)


def broken(bench: Bench) -> Iterator[Finding]:
    yield judged("broken: half", True, "")
    raise RuntimeError("no kernel\nand more")


def killed(bench: Bench) -> Iterator[Finding]:
    raise KeyboardInterrupt
    yield


GOOD, BROKEN = Check(name="good", run=good), Check(name="broken", run=broken)
KILLED, ON_GPU = Check(name="killed", run=killed), Check(name="on a gpu", run=good, needs="a GPU")


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *checks: Check, seconds: float = 60) -> list[str]:
    """Run a part of these checks; return the names that were looked at, in order."""
    monkeypatch.setattr(running, "checks_of", lambda part: checks)
    seen: list[str] = []
    run_part("models", out=out, device="cpu", seconds=seconds, observe=lambda finding: seen.append(finding.name))
    return seen


def stored(out: Path) -> DeviceReport:
    found = read_report(out / "cpu.json")
    assert found is not None
    return found


def outcomes(out: Path) -> dict[str, str]:
    return {finding.name: finding.outcome for finding in stored(out).parts["models"].findings}


def test_a_check_that_raises_has_failed_and_the_next_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, tmp_path, BROKEN, GOOD)
    assert outcomes(tmp_path) == {"broken: half": "passed", "broken": "failed", "good": "passed"}
    finding = stored(tmp_path).finding("models", "broken")
    assert finding is not None
    assert finding.says == "RuntimeError: no kernel"


def test_a_process_that_dies_in_a_check_leaves_word_of_it_and_the_findings_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, tmp_path, GOOD, KILLED)
    assert outcomes(tmp_path) == {"good": "passed", "killed": "failed"}
    finding = stored(tmp_path).finding("models", "killed")
    assert finding is not None
    assert finding.says == running.DIED


def test_what_needs_a_gpu_says_so_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, tmp_path, ON_GPU)
    finding = stored(tmp_path).finding("models", "on a gpu")
    assert finding is not None
    assert (finding.outcome, finding.says) == ("not run", "needs a GPU, there is none")


def test_a_part_that_ran_out_of_time_begins_with_what_is_missing_and_loses_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, tmp_path, GOOD)
    run(monkeypatch, tmp_path, GOOD, BROKEN, seconds=0)
    assert outcomes(tmp_path) == {"good": "passed", "broken": "not run"}
    assert run(monkeypatch, tmp_path, GOOD, BROKEN) == ["broken: half", "broken", "good"]


def test_the_report_names_the_device_and_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, tmp_path, GOOD)
    assert stored(tmp_path).device == {"name": "cpu", "kind": "cpu"}
    assert {"torch", "python", "dcasearch", "commit"} <= set(stored(tmp_path).software)
