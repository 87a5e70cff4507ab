"""A network of a library is exported, rebuilt and held against its spec; another library's version is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.architecture import Architecture
from dcasearch.data import IMAGENET_MEAN, IMAGENET_STD, Source, preprocessing_of
from dcasearch.errors import UserError
from dcasearch.export import Foreign, export_foreign, load_model, load_spec, verify
from dcasearch.export.verification import check_here
from dcasearch.models import build_model
from dcasearch.training.weights import save_weights
from tests.models.traced.support import needs_timm

pytestmark = needs_timm
ARCHITECTURE = Architecture.parse(
    {"backbone": {"name": "timm/test_byobnet"}, "attention": {"name": "se"}, "connections": {}}
)
IMAGES = Source(class_names=(), mean=IMAGENET_MEAN, std=IMAGENET_STD, size=None, reading="cropped")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    stored = tmp_path / "stored.safetensors"
    save_weights(build_model(ARCHITECTURE, 5), stored)
    path = tmp_path / "best.yaml"
    foreign = Foreign(
        architecture=ARCHITECTURE,
        num_classes=5,
        resolution=64,
        preprocessing=preprocessing_of(IMAGES, 64),
        provenance={"from": "a test"},
    )
    export_foreign(path, foreign, stored)
    return path


def changed(spec: Path, **trace: Any) -> Path:
    written = yaml.safe_load(spec.read_text())
    written["architecture"]["backbone"]["trace"] |= trace
    written["id"] = Architecture.parse(written["architecture"]).id
    spec.write_text(yaml.safe_dump(written))
    return spec


def test_an_exported_network_verifies_and_loads(spec: Path) -> None:
    assert [check.name for check in check_here(spec) if check.ok is False] == []
    assert load_model(spec).network.id == load_spec(spec).id


@pytest.mark.slow
def test_an_exported_network_verifies_in_a_new_process(spec: Path) -> None:
    assert [check.name for check in verify(spec) if check.ok is False] == []


def test_the_spec_says_which_library_and_which_version(spec: Path) -> None:
    backbone = yaml.safe_load(spec.read_text())["architecture"]["backbone"]
    assert backbone["name"] == "timm/test_byobnet"
    assert backbone["trace"]["version"]


def test_another_version_that_builds_the_same_network_is_no_difference(spec: Path) -> None:
    assert [check.name for check in check_here(changed(spec, version="0.1")) if check.ok is False] == []


def test_a_version_that_builds_another_network_is_told_with_the_one_to_install(spec: Path) -> None:
    with pytest.raises(UserError, match=r"is another network than the one of timm 0\.1 .*; pip install timm==0\.1"):
        check_here(changed(spec, version="0.1", graph="0" * 32))
