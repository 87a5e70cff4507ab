from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest
import torch

from dcasearch.architecture import libraries
from dcasearch.errors import ArchitectureError
from dcasearch.models.traced.libraries import _BUILDERS, build, models_of, version_of
from tests.models.traced.support import library_network, needs_timm


def test_torchvision_s_networks_classify() -> None:
    names = models_of("torchvision")
    assert {"alexnet", "convnext_tiny"} <= set(names)
    assert not any("rcnn" in name or "deeplab" in name for name in names)


def test_a_version_is_the_installed_one() -> None:
    assert version_of("torchvision") == metadata.version("torchvision")


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(ArchitectureError, match=r"no network 'convnext_tinny'; did you mean 'convnext_tiny'\?"):
        build("torchvision", "convnext_tinny", {}, 10)


def test_an_unknown_argument_is_the_user_s_mistake() -> None:
    with pytest.raises(ArchitectureError, match="colour") as caught:
        build("torchvision", "alexnet", {"colour": 1}, 10)
    assert caught.value.path == ("backbone", "arguments")


def test_a_library_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    with pytest.raises(ArchitectureError, match=r"pip install 'dcasearch\[timm\]'"):
        build("timm", "convnext_atto", {}, 10)


def test_a_network_whose_constructor_computes_is_built_on_the_meta_device_too() -> None:
    with torch.device("meta"):
        network = library_network("torchvision/regnet_y_400mf")
    assert {value.device.type for value in network.state_dict().values()} == {"meta"}
    real = library_network("torchvision/regnet_y_400mf").state_dict()
    assert {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in real.items()}


@needs_timm
def test_timm_s_networks_are_built_without_weights() -> None:
    with torch.device("meta"):
        network = build("timm", "test_resnet", {"drop_rate": 0.5}, 7)
    assert network.get_submodule("fc").out_features == 7
    assert "test_resnet" in models_of("timm")


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("wide_resnet50_2", {"norm_layer": "x"}, "'str' object is not callable"),
        ("resnext50_32x4d", {"groups": 5}, "expected value 32 but got 5"),
        ("googlenet", {"dropout": 5.0}, "dropout probability has to be between 0 and 1"),
        ("densenet121", {"bn_size": -1}, "negative dimension"),
    ],
)
def test_arguments_that_a_constructor_cannot_use_are_the_user_s_mistake(
    model: str, arguments: dict[str, Any], message: str
) -> None:
    with torch.device("meta"), pytest.raises(ArchitectureError, match=f"torchvision/{model}: .*{message}") as caught:
        build("torchvision", model, arguments, 10)
    assert caught.value.path == ("backbone", "arguments")


def test_an_error_without_arguments_is_not_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: str, arguments: dict[str, Any], classes: int) -> torch.nn.Module:
        raise IndexError("a bug")

    monkeypatch.setitem(_BUILDERS, "torchvision", broken)
    with torch.device("meta"), pytest.raises(IndexError, match="a bug"):
        build("torchvision", "alexnet", {}, 10)
