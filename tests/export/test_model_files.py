from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from dcasearch.errors import UserError
from dcasearch.export import model_files
from dcasearch.export.model_files import load_weights
from dcasearch.models import build_model
from tests.export.conftest import ARCHITECTURE, Exporter, Trained


def test_a_file_that_was_cut_off_is_no_safetensors_file(trained: Trained, tmp_path: Path) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes((trained.artifacts / "weights/x.safetensors").read_bytes()[:-10])
    with pytest.raises(UserError, match=r"cut\.safetensors is no safetensors file"):
        load_weights(build_model(ARCHITECTURE, 10), file)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_finite_numbers_are_refused(trained: Trained, tmp_path: Path, value: float) -> None:
    tensors = load_file(trained.artifacts / "weights/x.safetensors")
    name = next(name for name, tensor in sorted(tensors.items()) if tensor.is_floating_point())
    save_file({**tensors, name: tensors[name] * value}, tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match="no finite numbers"):
        load_weights(build_model(ARCHITECTURE, 10), tmp_path / "bad.safetensors")


def test_weights_of_another_type_are_refused(trained: Trained, tmp_path: Path) -> None:
    tensors = load_file(trained.artifacts / "weights/x.safetensors")
    save_file({name: tensor.double() for name, tensor in tensors.items()}, tmp_path / "double.safetensors")
    with pytest.raises(UserError, match=r"is torch\.float64, expected torch\."):
        load_weights(build_model(ARCHITECTURE, 10), tmp_path / "double.safetensors")


def test_a_network_of_more_parameters_than_a_machine_holds_is_refused_before_it_is_built(
    exported: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = exported()
    monkeypatch.setenv("DCASEARCH_MAX_PARAMS", "1k")
    with pytest.raises(UserError, match=r"parameters; at most 1,000 are built. --max-params allows more"):
        model_files.build_network(spec)
