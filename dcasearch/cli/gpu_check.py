"""`dcasearch gpu-check`: what is parsed, how findings are shown, and the exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dcasearch.cli.console import make_console
from dcasearch.errors import StudyFailed, UserError, nearest
from dcasearch.processes import child_environment

if TYPE_CHECKING:  # commands import their rooms themselves, so that `--help` is instant
    from dcasearch.gpu_check import DeviceReport, Finding

_GRACE_SECONDS = 60.0
"""What a part's last check may take beyond the part's time."""
_OUTCOMES = {"passed": "green", "failed": "red", "measured": "", "not run": "yellow"}
PART = "models, training, data, study or speed; else all of them, one after another, each in a process of its own."


def gpu_check(
    part: Annotated[str | None, typer.Option(help=PART)] = None,
    out: Annotated[Path, typer.Option(help="Folder of the devices' JSON files.")] = Path("benchmarks/gpu"),
    cifar10: Annotated[Path | None, typer.Option(help="Folder of CIFAR-10; else pictures are made.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    seconds: Annotated[float, typer.Option(min=1, help="Of each part; no check is begun after it.")] = 240.0,
    only: Annotated[str | None, typer.Option(help="Run only the checks whose names begin so.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="Also keep what was found in this database, for `check` to forecast from.")
    ] = None,
) -> None:
    """Check what only a GPU can show, in parts, and write what was found into a JSON file of the device.

    Without a GPU the parts run on the CPU at tiny sizes: that shows that the command works, and nothing of a GPU. A
    part that is run again begins with the checks that have no result yet.
    """
    from dcasearch.gpu_check import PARTS, read_report, run_part
    from dcasearch.gpu_check.known import keep
    from dcasearch.gpu_check.running import file_of

    console = make_console()
    path = file_of(out, device)
    if part is not None:
        if part not in PARTS:
            raise UserError(f"'{part}' is not a part; {nearest(part, PARTS)}")
        run_part(
            part,
            out=out,
            device=device,
            cifar10=cifar10,
            seconds=seconds,
            only=only,
            observe=lambda finding: _print(console, finding),
        )
    else:
        for each in PARTS:
            console.print(f"part {each}")
            _run_apart(console, each, _options(out, cifar10, device, seconds, only), seconds)
    report = read_report(path)
    if report is None:
        raise StudyFailed("no part wrote anything")
    _summarize(console, report, path)
    if storage is not None:
        keep(storage, report)
        console.print("kept in the database")
    if report.failures:
        raise StudyFailed(f"failed: {'; '.join(report.failures)}")


def _options(out: Path, cifar10: Path | None, device: str, seconds: float, only: str | None) -> list[str]:
    given = {"--out": out, "--cifar10": cifar10, "--device": device, "--seconds": seconds, "--only": only}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def _run_apart(console: Console, part: str, options: list[str], seconds: float) -> None:
    """Run a part in a process of its own: one that a fault of the GPU ends takes no other part with it."""
    command = [sys.executable, "-m", "dcasearch", "gpu-check", "--part", part, *options]
    try:
        subprocess.run(command, timeout=seconds + _GRACE_SECONDS, check=False, env=child_environment())
    except subprocess.TimeoutExpired:
        console.print(f"{part}: ended, it took {_GRACE_SECONDS:g} s longer than it may", style="red")


def _print(console: Console, finding: Finding) -> None:
    numbers = "  ".join(f"{name} {_number(value)}" for name, value in finding.values.items())
    line = f"{finding.outcome:9} {finding.name}" + (f"  {numbers}" if numbers else "")
    console.print(line + (f"  ({finding.says})" if finding.says else ""), style=_OUTCOMES[finding.outcome])


def _number(value: float | str | None) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value}"


def _summarize(console: Console, report: DeviceReport, path: Path) -> None:
    from dcasearch.cli.tables import make_table

    table = make_table("part", *_OUTCOMES, "seconds")
    for name, part in report.parts.items():
        counts = [sum(finding.outcome == outcome for finding in part.findings) for outcome in _OUTCOMES]
        table.add_row(name, *map(str, counts), f"{part.seconds:.0f}")
    kind = "" if report.device["kind"] == "cuda" else " (tiny sizes: it says nothing of a GPU)"
    console.print(f"\n{report.name}{kind}, torch {report.software['torch']}: {path}")
    console.print(table)
