"""How fast a study's trainings run on a device that is known by its name: what a GPU check measured on it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dcasearch.architecture import BACKBONES, family_of
from dcasearch.config.study import Study
from dcasearch.data import DataInfo
from dcasearch.errors import UserError, nearest
from dcasearch.gpu_check.findings import LOADERS, RATES, DeviceReport, Finding
from dcasearch.gpu_check.known import known_devices
from dcasearch.store import Store


@dataclass(frozen=True, kw_only=True)
class DeviceSpeed:
    """What one trial does on a device."""

    macs_per_second: float
    """Multiply-adds, forward and backward."""
    loaded_per_second: float | None
    """Images that the study's loader processes give; None where its images are held in memory, or nothing is known."""
    basis: str
    """Where the numbers are from."""


def speed_on(
    name: str | None, study: Study, backbones: Collection[str], data: DataInfo | None, store: Store | None
) -> DeviceSpeed | None:
    """Return the speed of a study's trainings on a device, at its last fidelity; None where nothing is known of it.

    Args:
        name: the device's model; None is this machine's GPU, if it has one.
        study: the study.
        backbones: names of those in its space.
        data: None where the data is not there.
        store: the study's database, where one exists.

    Raises:
        UserError: nothing is known of a device of that name; the message says of which something is.
    """
    wanted = name or _gpu_of_this_machine()
    if wanted is None:
        return None
    devices = known_devices(store)
    if wanted not in devices:
        if name is None:
            return None
        known = nearest(name, devices) if devices else "Nothing is known of any; `dcasearch gpu-check` measures one."
        raise UserError(f"nothing is known of the device '{name}'; {known}")
    return _speed(devices[wanted], study, backbones, data)


def _gpu_of_this_machine() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _speed(device: DeviceReport, study: Study, backbones: Collection[str], data: DataInfo | None) -> DeviceSpeed | None:
    rates = [finding for finding in _findings(device, "speed", f"{RATES}: ") if "macs_per_second" in finding.values]
    if not rates:
        return None
    fidelity = study.fidelities[-1]
    known = (family_of(str(name)) for name in backbones)
    families = {family.family for family in known if family is not None}
    own = [rate for rate in rates if BACKBONES[str(rate.values["backbone"])].family in families] or rates
    nearest_size = min(own, key=lambda rate: abs(math.log(float(rate.values["resolution"] or 1) / fidelity.resolution)))
    resolution = nearest_size.values["resolution"]
    slowest = min(
        (rate for rate in own if rate.values["resolution"] == resolution),
        key=lambda rate: float(rate.values["macs_per_second"] or 0),
    )
    loaded, words = _loaded(device, study, data)
    basis = (
        f"what `gpu-check` measured on {device.name}: {slowest.values['backbone']} at {resolution} pixels, "
        f"{slowest.says}{words}"
    )
    return DeviceSpeed(
        macs_per_second=float(slowest.values["macs_per_second"] or 0), loaded_per_second=loaded, basis=basis
    )


def _loaded(device: DeviceReport, study: Study, data: DataInfo | None) -> tuple[float | None, str]:
    """Return the images per second that a trial's loader processes give, and words about it."""
    if data is None or not (data.encoded or data.prepared):
        return None, ""
    kind = "prepared" if data.prepared else "files"
    found = next(_findings(device, "data", f"{LOADERS}: {kind}"), None)
    if found is None:
        return None, ""
    workers = max(1, study.data.workers)
    rate = float(found.values["images_per_second_of_a_worker"] or 0) * workers
    return rate, f"; its loaders gave {rate:,.0f} images/s for {workers} workers ({kind})"


def _findings(device: DeviceReport, part: str, beginning: str) -> Iterator[Finding]:
    report = device.parts.get(part)
    return (finding for finding in (report.findings if report else ()) if finding.name.startswith(beginning))
