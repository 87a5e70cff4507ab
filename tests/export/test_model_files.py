from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import dcasearch
from dcasearch.errors import UserError
from dcasearch.export import load_model
from dcasearch.export.model_files import load_weights
from dcasearch.models import build_model
from dcasearch.models.probe import ask, difference
from tests.export.conftest import ARCHITECTURE, Exporter, Trained


def test_a_loaded_model_answers_as_the_exported_one_did(exported: Exporter, tmp_path: Path) -> None:
    spec = exported()
    model = dcasearch.load_model(tmp_path / "best.yaml")
    assert not model.training
    assert difference(spec.probe, ask(model, spec.resolution)) == pytest.approx(0, abs=1e-5)


def test_both_files_can_be_moved_together(exported: Exporter, tmp_path: Path) -> None:
    exported()
    (tmp_path / "moved").mkdir()
    for name in ("best.yaml", "best.safetensors"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert load_model(str(tmp_path / "moved" / "best.yaml"))


def test_missing_weights_are_named(exported: Exporter, tmp_path: Path) -> None:
    exported()
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(UserError, match=r"best\.safetensors is missing"):
        load_model(tmp_path / "best.yaml")


def test_changed_weights_are_refused(exported: Exporter, tmp_path: Path) -> None:
    exported()
    tensors = load_file(tmp_path / "best.safetensors")
    changed = {name: tensor + 1 for name, tensor in tensors.items()}
    save_file(changed, tmp_path / "best.safetensors")
    with pytest.raises(UserError, match="its sha256 differs"):
        load_model(tmp_path / "best.yaml")


def test_a_file_that_was_cut_off_is_no_safetensors_file(trained: Trained, tmp_path: Path) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes((trained.artifacts / "weights/x.safetensors").read_bytes()[:-10])
    with pytest.raises(UserError, match=r"cut\.safetensors is no safetensors file"):
        load_weights(build_model(ARCHITECTURE, 10), file)
