"""Every part on the CPU, at tiny sizes, as a stand-in; what needs a GPU is marked so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcasearch.architecture import Architecture
from dcasearch.gpu_check import PARTS, read_report, run_part
from dcasearch.gpu_check.networks import networks
from dcasearch.gpu_check.running import checks_of
from dcasearch.gpu_check.timing import other_network
from dcasearch.models import cost

ROOT = Path(__file__).parents[2]


def test_a_network_is_exported_on_this_machine(tmp_path: Path) -> None:
    stored = read_report(run_part("models", out=tmp_path, device="cpu", only="export"))
    assert stored is not None
    assert [(f.name, f.outcome) for f in stored.parts["models"].findings] == [("export", "passed")]


def test_every_measured_network_can_be_built_and_a_yardstick_has_its_parameters() -> None:
    for row in networks().rows:
        assert (row.vanilla is None) != (row.yardstick is None)
        ours = cost(Architecture.parse(row.ours), 224, 1000).params
        if row.yardstick is not None and row.yardstick["library"] == "torchvision":
            assert sum(p.numel() for p in other_network(row.yardstick).parameters()) == ours
        if row.vanilla is not None:
            assert cost(Architecture.parse(row.vanilla), 224, 1000).params < ours
    for spec in (*networks().rated, networks().vanilla, networks().connected, networks().small):
        Architecture.parse(spec)


def test_every_check_has_a_name_of_its_own() -> None:
    for part in PARTS:
        names = [check.name for check in checks_of(part)]
        assert len(set(names)) == len(names)


def gpu_check(part: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dcasearch", "gpu-check", "--part", part, "--out", str(out), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(out / "state")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_runs_on_the_cpu_and_nothing_in_it_fails(tmp_path: Path, part: str) -> None:
    done = gpu_check(part, tmp_path, "--device", "cpu", "--seconds", "900")
    assert done.returncode == 0, done.stdout + done.stderr
    stored = read_report(tmp_path / "cpu.json")
    assert stored is not None
    findings = stored.parts[part].findings
    assert {finding.outcome for finding in findings} <= {"passed", "measured", "not run"}
    ran = [finding for finding in findings if finding.outcome != "not run"]
    assert ran
    for finding in findings:
        if finding.outcome == "not run":
            assert "needs a GPU" in finding.says


@pytest.mark.slow
def test_without_ray_the_study_runs_and_says_what_was_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = tmp_path / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    monkeypatch.setenv("PYTHONPATH", f"{without}{os.pathsep}{ROOT}")
    command = [sys.executable, "-m", "dcasearch", "gpu-check", "--part", "study", "--out", str(tmp_path)]
    done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not run   Ray  (Ray is not installed here" in done.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("part", PARTS)
def test_every_part_passes_on_a_gpu(tmp_path: Path, part: str) -> None:
    done = gpu_check(part, tmp_path, "--device", "cuda")
    assert done.returncode == 0, done.stdout + done.stderr
