"""A report of a GPU that does not exist."""

from __future__ import annotations

from dcasearch.gpu_check import DeviceReport, Finding, PartReport

NAME = "Imaginary A1"


def part(*findings: Finding) -> PartReport:
    return PartReport(seconds=1.0, date="2026-01-01T00:00:00+00:00", findings=findings)


def rate(backbone: str, resolution: int, macs_per_second: float) -> Finding:
    return Finding(
        name=f"rates: {backbone}, {resolution} pixels",
        outcome="measured",
        says="training, bf16, eager",
        values={"backbone": backbone, "resolution": resolution, "macs_per_second": macs_per_second},
    )


def loader(kind: str, per_worker: float) -> Finding:
    return Finding(
        name=f"loaders: {kind}", outcome="measured", values={"images_per_second_of_a_worker": per_worker, "workers": 4}
    )


def report(**parts: PartReport) -> DeviceReport:
    return DeviceReport(device={"name": NAME, "kind": "cuda"}, software={"torch": "2.11"}, parts=parts)
