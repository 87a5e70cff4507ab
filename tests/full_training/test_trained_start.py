"""`dcasearch train --weights`: one network trained from a weights file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.config.data_set import DataPreprocessing
from dcasearch.errors import UserError
from dcasearch.export import load_spec
from dcasearch.full_training import Wishes, plan
from tests.full_training.support import planned, run, values
from tests.models.weights import safe, values_of

HALF: dict[str, Any] = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    path.write_bytes(safe(values_of()))
    return path


def test_a_network_is_trained_from_a_weights_file_and_its_spec_again(tmp_path: Path, file: Path) -> None:
    wanted = planned(tmp_path, weights=str(file), epochs=1)
    assert wanted.assignment.key != planned(tmp_path, epochs=1).assignment.key
    trained = run(wanted, tmp_path / "out")
    spec = tmp_path / "out" / "model.yaml"
    said = load_spec(spec).provenance
    assert said["started_from_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (said["started_from"], said["started_classifier"]) == ("w.safetensors", "drawn")
    with pytest.raises(UserError, match=r"began with trained weights, w.safetensors .*: add --weights FILE"):
        plan(spec, Wishes())
    again = plan(spec, Wishes(weights=str(file)))
    assert again.assignment.key == wanted.assignment.key
    assert values(run(again, tmp_path / "again").record) == values(trained.record)
    file.write_bytes(safe(values_of(seed=6)))
    with pytest.raises(UserError, match="is another file than the network began with"):
        plan(spec, Wishes(weights=str(file)))


def test_images_are_prepared_as_the_weights_want_them(tmp_path: Path, file: Path) -> None:
    exported = tmp_path / "parent.yaml"
    steps = [{"resize": [8, 8], "interpolation": "bicubic"}]
    parent = {
        "id": "0123456789abcdef",
        "weights": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "preprocessing": {"steps": steps, **HALF},
        "probe": {"seed": 0, "images": 1, "logits": [[1.0]], "norms": [1.0]},
    }
    exported.write_text(yaml.safe_dump(parent))
    data = planned(tmp_path, weights=str(exported)).assignment.data
    assert data.preprocessing == DataPreprocessing.model_validate({**HALF, "interpolation": "bicubic"})


def test_a_file_that_is_missing_or_another_networks_is_an_error(tmp_path: Path, file: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        planned(tmp_path, weights=str(tmp_path / "none.pth"))
    file.write_bytes(safe(values_of({"name": "resnet18", "width": 0.125})))
    with pytest.raises(UserError, match="is another network's"):
        planned(tmp_path, weights=str(file))
