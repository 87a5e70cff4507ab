"""What a GPU check found: findings in parts, in one JSON file for each device."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from dcasearch.errors import UserError
from dcasearch.files import locked, write_whole

FORMAT = 1
RATES, LOADERS = "rates", "loaders"
"""The checks whose findings (`rates: …`, `loaders: …`) `dcasearch check` makes its forecast from."""
Outcome: TypeAlias = Literal["passed", "failed", "measured", "not run"]
"""`measured` is a number without an aim; `not run` always says why."""
Value: TypeAlias = float | int | str | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check says of one thing."""

    name: str
    """Unique in its part."""
    outcome: Outcome
    says: str = ""
    """One sentence: what was compared and to which tolerance, or why it failed or was not run."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """Numbers, each with its unit in its name."""


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """One part's findings."""

    seconds: float
    date: str
    """ISO, UTC, of the last visit."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class DeviceReport:
    """Everything that is known of one device."""

    device: Mapping[str, Value]
    """Its name, kind (`cuda` or `cpu`), number, memory and capability."""
    software: Mapping[str, Value]
    """Versions."""
    parts: Mapping[str, PartReport]

    @property
    def name(self) -> str:
        """The device's model."""
        return str(self.device["name"])

    @property
    def failures(self) -> list[str]:
        """`part: name` of every finding that failed."""
        return [
            f"{part}: {finding.name}"
            for part, report in self.parts.items()
            for finding in report.findings
            if finding.outcome == "failed"
        ]

    def finding(self, part: str, name: str) -> Finding | None:
        """Return a finding, None where the part or the finding is not there."""
        report = self.parts.get(part)
        return next((f for f in report.findings if f.name == name), None) if report else None


def file_name(device: str) -> str:
    """Return the file's name for a device's model, e.g. `nvidia-h100-80gb-hbm3.json`."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") + ".json"


def parse_report(text: str, where: str) -> DeviceReport:
    """Return the report that a JSON text holds.

    Raises:
        UserError: it is no report, or of a newer format.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        if content["format"] > FORMAT:
            raise UserError(f"{where} is of format {content['format']}, this version reads up to {FORMAT}")
        return DeviceReport(
            device=content["device"],
            software=content["software"],
            parts={
                name: PartReport(
                    seconds=part["seconds"],
                    date=part["date"],
                    findings=tuple(Finding(**finding) for finding in part["findings"]),
                )
                for name, part in content["parts"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where} is not the report of a GPU check: {error!r}") from error


def read_report(path: Path) -> DeviceReport | None:
    """Return a file's report, None where there is no file.

    Raises:
        UserError: it is no report.
    """
    return parse_report(path.read_text(), str(path)) if path.exists() else None


def as_json(report: DeviceReport) -> str:
    """Return a report as JSON text."""
    return json.dumps({"format": FORMAT, **asdict(report)}, indent=1, ensure_ascii=False) + "\n"


def belongs(finding: str, check: str) -> bool:
    """Tell whether a finding of that name is a check's: its only one, or one of several (`check: …`)."""
    return finding == check or finding.startswith(f"{check}: ")


def merge(path: Path, part: str, check: str, found: PartReport, about: DeviceReport) -> DeviceReport:
    """Put what one check found in place of what it found before; everything else in the file stays.

    Args:
        path: of the device's file, which is made where it is missing.
        part: the check's.
        check: whose findings these are.
        found: its findings, with the part's time so far.
        about: the device and the software of this visit; its parts are not looked at.

    Raises:
        UserError: the file is no report.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), wait=True):
        before = read_report(path)
        parts = dict(before.parts) if before else {}
        kept = [f for f in (parts[part].findings if part in parts else ()) if not belongs(f.name, check)]
        parts[part] = replace(found, findings=(*kept, *found.findings))
        report = replace(about, parts=parts)
        write_whole(path, as_json(report).encode())
    return report
