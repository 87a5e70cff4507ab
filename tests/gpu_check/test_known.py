from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.gpu_check.findings import DeviceReport, as_json
from dcasearch.gpu_check.known import keep, known_devices
from dcasearch.store import Store
from tests.gpu_check.support import NAME, part, rate, report


def test_a_database_keeps_reports_and_the_latest_counts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    keep(url, report())
    keep(url, report(speed=part(rate("resnet50", 224, 1e12))))
    with Store.open(url) as store:
        assert list(store.devices()) == [NAME]
        assert set(known_devices(store)[NAME].parts) == {"speed"}


def test_the_packages_reports_are_those_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shipped" / "gpu"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(as_json(report()))
    stand_in = DeviceReport(device={"name": "cpu", "kind": "cpu"}, software={}, parts={})
    (folder / "cpu.json").write_text(as_json(stand_in))
    (folder / "README.md").write_text("no report")
    monkeypatch.setattr("dcasearch.gpu_check.known.files", lambda package: tmp_path)
    assert list(known_devices(None)) == [NAME]


def test_a_package_without_reports_knows_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.gpu_check.known.files", lambda package: tmp_path)
    assert known_devices(None) == {}


def test_no_report_of_a_cpu_is_committed() -> None:
    assert all(device.device["kind"] != "cpu" for device in known_devices(None).values())
