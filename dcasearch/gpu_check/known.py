"""What is known of devices by name: reports that come with the package, and those that a database keeps."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from dcasearch.gpu_check.findings import DeviceReport, as_json, parse_report
from dcasearch.store import Store


def known_devices(store: Store | None) -> dict[str, DeviceReport]:
    """Return the reports of GPUs by their names; one of the database takes the place of one of the package.

    Raises:
        UserError: one of them cannot be read.
    """
    shipped = files("dcasearch") / "shipped" / "gpu"
    held = shipped.iterdir() if shipped.is_dir() else ()  # an installed package has the folder only with reports in it
    texts = [(file.name, file.read_text()) for file in held if file.name.endswith(".json")]
    if store is not None:
        texts += [(f"the database's report of {name}", text) for name, text in store.devices().items()]
    return _gpus(parse_report(text, where) for where, text in texts)


def _gpus(reports: Iterable[DeviceReport]) -> dict[str, DeviceReport]:
    return {report.name: report for report in reports if report.device["kind"] != "cpu"}


def keep(storage: str, report: DeviceReport) -> None:
    """Keep a report in a database; it takes the place of an earlier one of the same device.

    Raises:
        StorageError: the database cannot be opened or written.
    """
    with Store.open(storage, create=True) as store:
        store.put_device(report.name, as_json(report))
