from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file, save_file

import dcasearch
from dcasearch.errors import UserError
from dcasearch.export import load_model, verify
from dcasearch.export.verification import check_here
from dcasearch.models.probe import ask, difference
from dcasearch.training import sha256_of
from tests.export.conftest import Exporter
from tests.export.test_spec import rewrite


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


def test_a_spec_whose_id_is_another_network_s_is_refused(exported: Exporter, tmp_path: Path) -> None:
    id = exported().id
    spec = tmp_path / "best.yaml"
    spec.write_text(spec.read_text().replace(id, "f" * 16))
    with pytest.raises(UserError, match=f"but its architecture is {id}"):
        load_model(spec)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("parameters", 12, "parameters"),
        ("macs", 12, "multiply-adds"),
        ("logits", [[7.0] * 10, [7.0] * 10], "logits"),
        ("norms", [1e30, 1.0], "logits"),
    ],
)
def test_what_verify_refuses_is_refused(exported: Exporter, tmp_path: Path, field: str, value: Any, name: str) -> None:
    exported()
    path = tmp_path / "best.yaml"
    probe = yaml.safe_load(path.read_text())["probe"]
    rewrite(path, **({field: value} if field not in probe else {"probe": {**probe, field: value}}))
    assert [check.name for check in check_here(path) if check.ok is False] == [name]
    with pytest.raises(
        UserError, match=rf"best\.yaml: {name}: expected .*, got .*; the spec or its weights were changed"
    ):
        load_model(path)


def test_a_network_whose_answers_are_no_numbers_differs(exported: Exporter, tmp_path: Path) -> None:
    exported()
    path, weights = tmp_path / "best.yaml", tmp_path / "best.safetensors"
    tensors = load_file(weights)
    save_file({name: one * 1e30 if one.is_floating_point() else one for name, one in tensors.items()}, weights)
    rewrite(path, weights={"file": weights.name, "sha256": sha256_of(weights)})
    assert "logits" in [check.name for check in verify(path) if check.ok is False]
    with pytest.raises(UserError, match=r"logits: expected within .* of the largest, got .* no finite numbers"):
        load_model(path)


def test_recorded_answers_are_finite(exported: Exporter, tmp_path: Path) -> None:
    exported()
    path = tmp_path / "best.yaml"
    probe = yaml.safe_load(path.read_text())["probe"]
    rewrite(path, probe={**probe, "norms": [math.nan] * probe["images"]})
    with pytest.raises(UserError, match=r"probe\.norms\.0: Input should be a finite number"):
        load_model(path)
