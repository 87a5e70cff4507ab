"""Runs one part: every check in turn, its findings written at once, so that nothing else is lost with it."""

from __future__ import annotations

import logging
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import torch

import dcasearch
from dcasearch.gpu_check.checks import FULL, TINY, Bench, Check, not_run
from dcasearch.gpu_check.findings import (
    DeviceReport,
    Finding,
    PartReport,
    Value,
    belongs,
    file_name,
    merge,
    read_report,
)
from dcasearch.training.network import choose_device
from dcasearch.training.provenance import commit, device_name

PARTS = ("models", "training", "data", "study", "speed")
PART_SECONDS = 240.0
"""A part starts no further check after so long."""
DIED = "the process ended before this check did"

logger = logging.getLogger(__name__)


def report_of_this_machine(device: torch.device) -> DeviceReport:
    """Return what is known of the device and the software before any check."""
    about: dict[str, Value] = {"name": device_name(device), "kind": device.type}
    software: dict[str, Value] = {
        "dcasearch": dcasearch.__version__,
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if device.type == "cuda":
        known = torch.cuda.get_device_properties(device)
        about |= {
            "count": torch.cuda.device_count(),
            "memory_bytes": known.total_memory,
            "capability": f"{known.major}.{known.minor}",
        }
        software |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}  # type: ignore[no-untyped-call]  # no types
    return DeviceReport(device=about, software=software, parts={})


def checks_of(part: str) -> tuple[Check, ...]:
    """Return a part's checks."""
    checks: tuple[Check, ...] = import_module(f"dcasearch.gpu_check.{part}").CHECKS
    return checks


def file_of(out: Path, device: str) -> Path:
    """Return the file of a device by its name for torch: `auto`, `cpu`, `cuda:1` …"""
    return out / file_name(device_name(choose_device(device)))


def run_part(
    part: str,
    *,
    out: Path,
    device: str = "auto",
    cifar10: Path | None = None,
    seconds: float = PART_SECONDS,
    only: str | None = None,
    observe: Callable[[Finding], None] = lambda finding: None,
) -> Path:
    """Run one part's checks and merge what they find into the device's file.

    Checks that the file has no result of come first, so that a part which ran out of time goes on where it ended.

    Args:
        part: one of `PARTS`.
        out: folder of the files.
        device: `auto`, `cpu`, `cuda`, `cuda:1` …
        cifar10: folder of CIFAR-10; without it, made pictures take its place.
        seconds: no check is begun after so many.
        only: run only the checks whose names begin so.
        observe: called with every finding.

    Returns:
        The device's file.

    Raises:
        UserError: the file there is no report of a GPU check.
    """
    chosen = _one(choose_device(device))
    path = file_of(out, device)
    about, before, began = report_of_this_machine(chosen), read_report(path), time.monotonic()
    with _scratch() as folder:
        bench = Bench(
            device=chosen,
            sizes=TINY if chosen.type == "cpu" else FULL,
            folder=folder,
            cifar10=cifar10,
            ends=began + seconds,
        )
        for check in _in_order(checks_of(part), part, before):
            if only is not None and not check.name.startswith(only):
                continue
            obstacle = _obstacle(check, bench, seconds)
            if obstacle is None:
                died = Finding(name=check.name, outcome="failed", says=DIED)
                merge(path, part, check.name, _part_report([died], began), about)
            found = _found(check, bench) if obstacle is None else [not_run(check.name, obstacle)]
            if obstacle is None or not _has_result(check, part, before):
                merge(path, part, check.name, _part_report(found, began), about)
            for finding in found:
                observe(finding)
    return path


def _one(device: torch.device) -> torch.device:
    """Return the GPU that is meant by `cuda`, with its number: not all of torch takes it without."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="dcasearch-gpu-check-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a killed training's processes may still write there


def _part_report(findings: Sequence[Finding], began: float) -> PartReport:
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return PartReport(seconds=round(time.monotonic() - began, 1), date=date, findings=tuple(findings))


def _obstacle(check: Check, bench: Bench, seconds: float) -> str | None:
    missing = check.missing(bench)
    if missing is None and bench.seconds_left <= 0:
        return f"the part's {seconds:g} s were over; the same command goes on with it"
    return missing


def _found(check: Check, bench: Bench) -> list[Finding]:
    """Run a check; whatever it raises is what it found, and the other checks go on."""
    found: list[Finding] = []
    try:
        for finding in check.run(bench):
            found.append(finding)
    except Exception as error:
        logger.exception("the check '%s' failed", check.name)
        lines = str(error).strip().splitlines() or [""]
        found.append(Finding(name=check.name, outcome="failed", says=f"{type(error).__name__}: {lines[0]}"))
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
    return found


def _has_result(check: Check, part: str, before: DeviceReport | None) -> bool:
    if before is None or part not in before.parts:
        return False
    mine = [finding for finding in before.parts[part].findings if belongs(finding.name, check.name)]
    return bool(mine) and all(finding.outcome != "not run" for finding in mine)


def _in_order(checks: Sequence[Check], part: str, before: DeviceReport | None) -> list[Check]:
    """Return the checks, those without a result first."""
    return sorted(checks, key=lambda check: _has_result(check, part, before))
