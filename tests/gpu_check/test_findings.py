from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.errors import UserError
from dcasearch.gpu_check import Finding, read_report
from dcasearch.gpu_check.findings import as_json, file_name, merge, parse_report
from tests.gpu_check.support import loader, part, rate, report


def found(name: str, outcome: str = "passed") -> Finding:
    return Finding(name=name, outcome=outcome)  # type: ignore[arg-type]


def test_a_report_is_the_same_after_it_was_written_and_read() -> None:
    whole = report(speed=part(rate("resnet50", 224, 1e12)), data=part(loader("files", 100.0)))
    assert parse_report(as_json(whole), "it") == whole


def test_a_checks_findings_take_the_place_of_its_earlier_ones_and_of_no_others(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    merge(path, "models", "compile", part(found("compile: a", "failed"), found("compile: b")), report())
    merge(path, "models", "compiler", part(found("compiler")), report())
    merge(path, "data", "loaders", part(found("loaders: files")), report())
    merge(path, "models", "compile", part(found("compile")), report())
    stored = read_report(path)
    assert stored is not None
    assert [f.name for f in stored.parts["models"].findings] == ["compiler", "compile"]
    assert [f.name for f in stored.parts["data"].findings] == ["loaders: files"]
    assert stored.failures == []


def test_failures_say_their_part() -> None:
    assert report(models=part(found("export", "failed"), found("compile"))).failures == ["models: export"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "device": {}, "software": {}}'])
def test_what_is_no_report_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"broken\.json"):
        read_report(path)


def test_a_file_is_called_as_its_device() -> None:
    assert file_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3.json"
