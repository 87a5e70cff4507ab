from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.errors import UserError
from dcasearch.models import build_model
from dcasearch.models.weight_files import parse_weights
from tests.models.weights import SMALL, safe, torched, values_of


def test_safetensors_and_torch_files_hold_the_same() -> None:
    values = values_of()
    for content in (safe(values), torched(values)):
        file = parse_weights(content, "w")
        assert file.notes == ()
        assert file.values.keys() == values.keys()
        assert all(torch.equal(file.values[name], values[name]) for name in values)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "state_dict_ema"])
def test_what_training_scripts_wrap_is_unwrapped_and_said(wrapper: str) -> None:
    values = values_of()
    held: dict[str, Any] = {"epoch": 3, wrapper: {f"module.{name}": value for name, value in values.items()}}
    file = parse_weights(torched(held), "w")
    assert file.values.keys() == values.keys()
    assert file.notes == (f"took what lies under `{wrapper}`", "took `module.` off every name")


def test_the_moving_average_comes_before_the_last_weights() -> None:
    last, average = values_of(seed=1), values_of(seed=2)
    file = parse_weights(torched({"state_dict": last, "state_dict_ema": average}), "w")
    assert torch.equal(file.values["classifier.1.weight"], average["classifier.1.weight"])


def test_of_a_network_of_this_package_the_backbone_is_taken() -> None:
    model = build_model({"backbone": SMALL, "attention": {"name": "se"}, "connections": {}}, 20)
    file = parse_weights(safe(dict(model.state_dict())), "w")
    assert file.values.keys() == values_of().keys()
    assert file.whole is not None
    beside = len(file.whole) - len(file.values)
    assert file.notes == (f"left {beside} tensors of its attention and connections",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a file", "neither a safetensors nor a torch file"),
        (b"\x08\0\0\0\0\0\0\0{broken}", "a broken safetensors file"),
        (torched({"epoch": 3}), "holds no network: expected tensors by name, got epoch"),
        (torched([1, 2]), "holds no network: expected tensors by name, got list"),
        (torched({}), "holds no network: expected tensors by name, got nothing"),
    ],
    ids=["text", "broken", "no tensors", "a list", "empty"],
)
def test_what_is_no_file_of_weights_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_weights(content, "w")


def test_a_file_that_could_run_code_is_refused_and_what_to_do_is_said() -> None:
    with pytest.raises(UserError, match=r"save the network's `state_dict\(\)` alone"):
        parse_weights(torched(build_model({"backbone": SMALL}, 3)), "w")
