from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.analysis.device_speed import speed_on
from dcasearch.config.study import Study
from dcasearch.data import DataInfo
from dcasearch.errors import UserError
from dcasearch.gpu_check.findings import as_json
from dcasearch.store import Store
from tests.gpu_check.support import NAME, loader, part, rate, report
from tests.support import make_study

MEMORY = DataInfo(fingerprint="x", classes=10, train_images=900, validation_images=100, test_images=10)
FILES = DataInfo(fingerprint="x", classes=10, train_images=900, validation_images=100, test_images=10, encoded=1010)
RATES = (
    rate("resnet50", 224, 9e12),
    rate("resnet50", 32, 3e12),
    rate("mnasnet1_0", 224, 2e12),
    rate("mnasnet1_0", 32, 1e12),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'study.db'}", create=True) as opened:
        opened.put_device(NAME, as_json(report(speed=part(*RATES), data=part(loader("files", 50.0)))))
        yield opened


def study(resolution: int = 224) -> Study:
    return make_study(fidelities=[{"name": "proxy", "trials": 5, "resolution": resolution, "epochs": 4}])


@pytest.mark.parametrize(
    ("backbones", "resolution", "wanted"),
    [
        ({"resnet18"}, 224, 9e12),
        ({"resnet18"}, 40, 3e12),
        ({"mnasnet0_5"}, 160, 2e12),
        ({"mnasnet0_5", "resnet50"}, 32, 1e12),
        ({"mobilenet_v2"}, 224, 2e12),
    ],
)
def test_the_rate_is_that_of_the_nearest_size_and_of_the_slowest_family_of_the_space(
    store: Store, backbones: set[str], resolution: int, wanted: float
) -> None:
    found = speed_on(NAME, study(resolution), backbones, MEMORY, store)
    assert found is not None
    assert found.macs_per_second == wanted
    assert NAME in found.basis


def test_loaders_are_a_limit_for_images_in_files_alone(store: Store) -> None:
    of_files = speed_on(NAME, study(), {"resnet18"}, FILES, store)
    in_memory = speed_on(NAME, study(), {"resnet18"}, MEMORY, store)
    assert of_files is not None
    assert in_memory is not None
    assert of_files.loaded_per_second == 100.0  # two workers
    assert "100 images/s for 2 workers (files)" in of_files.basis
    assert in_memory.loaded_per_second is None


def test_a_device_of_which_nothing_is_known_is_an_error_that_names_the_known_ones(store: Store) -> None:
    with pytest.raises(UserError, match=rf"nothing is known of the device 'Imaginary A2'; did you mean '{NAME}'"):
        speed_on("Imaginary A2", study(), {"resnet18"}, MEMORY, store)


def test_without_a_name_and_without_a_gpu_nothing_is_known(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert speed_on(None, study(), {"resnet18"}, MEMORY, store) is None


def test_this_machines_gpu_needs_no_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: NAME)
    assert speed_on(None, study(), {"resnet18"}, MEMORY, store) is not None
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "another")
    assert speed_on(None, study(), {"resnet18"}, MEMORY, store) is None
