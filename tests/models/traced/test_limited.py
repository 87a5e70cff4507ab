"""A library's network that asks for too much ends in a sentence, soon and in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from dcasearch.architecture import Architecture, LibraryNetwork
from dcasearch.errors import ArchitectureError
from dcasearch.models.max_params import VARIABLE
from dcasearch.models.traced import library_network
from dcasearch.models.traced.libraries import build
from dcasearch.models.traced.limited import MAX_MODULES, WithoutMemory, limited
from dcasearch.space import read_space
from tests.models.traced.support import needs_timm

WIDE: list[tuple[str, dict[str, Any]]] = [
    ("torchvision/mobilenet_v3_small", {"width_mult": 1e5}),
    ("torchvision/densenet121", {"bn_size": 10**6}),
    ("torchvision/regnet_y_400mf", {"stem_width": 10**6}),  # its constructor computes with tensors
]


@pytest.fixture
def devices() -> Iterator[set[str]]:
    """The kinds of device on which parameters are made during a test."""
    found: set[str] = set()
    hook = register_module_parameter_registration_hook(lambda _, __, value: found.add(value.device.type))
    yield found
    hook.remove()


@pytest.mark.parametrize(("name", "arguments"), WIDE, ids=[name for name, _ in WIDE])
def test_a_network_of_too_many_parameters_is_refused_and_takes_no_memory(
    name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch, devices: set[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "20M")
    with pytest.raises(ArchitectureError, match="more than 20,000,000 parameters; --max-params or DCASEARCH") as caught:
        Architecture.parse({"backbone": {"name": name, "arguments": arguments}})
    assert caught.value.path == ("backbone", "arguments")
    assert devices == {"meta"}


def test_a_network_whose_constructor_computes_takes_no_memory_under_the_limit_either(devices: set[str]) -> None:
    with torch.device("meta"):
        network = build("torchvision", "regnet_y_400mf", {"stem_width": 10**6}, 10)
    assert sum(value.numel() for value in network.parameters()) > 70_000_000
    assert devices == {"meta"}


@needs_timm
@pytest.mark.parametrize("depths", [[10**6 - 3, 1, 1, 1], [1, 1, 10**4, 1]], ids=str)
def test_a_network_of_too_many_layers_is_refused_while_it_is_built(depths: list[int]) -> None:
    with pytest.raises(ArchitectureError, match="the network has more than 4,000 modules") as caught:
        Architecture.parse({"backbone": {"name": "timm/convnext_atto", "arguments": {"depths": depths}}})
    assert caught.value.path == ("backbone", "arguments")


def test_a_space_tells_a_hostile_argument_at_its_place() -> None:
    written = {"backbone": {"name": "torchvision/mobilenet_v3_small", "arguments": {"width_mult": 1e5}}}
    mistakes: list[tuple[Any, str]] = []
    read_space(written, lambda path, message: mistakes.append((path, message)))
    assert [path for path, _ in mistakes] == [("backbone", "arguments")]
    assert "more than 2,000,000,000 parameters" in mistakes[0][1]


def test_a_stored_network_with_hostile_arguments_is_not_built_either() -> None:
    network = LibraryNetwork("torchvision/mobilenet_v3_small", (("width_mult", 1e5),))
    with torch.device("meta"), pytest.raises(ArchitectureError, match="more than 2,000,000,000 parameters"):
        library_network(network, 10)


def test_what_another_thread_builds_is_not_counted() -> None:
    def deep() -> None:
        nn.Sequential(*(nn.Identity() for _ in range(MAX_MODULES + 1)))

    with limited(1e9):
        other = Thread(target=deep)
        other.start()
        other.join()
        with pytest.raises(ArchitectureError, match="4,000 modules"):
            deep()


def test_nothing_is_counted_afterwards() -> None:
    with pytest.raises(ArchitectureError, match="more than 10 parameters"), limited(10):
        nn.Linear(8, 8)
    assert nn.Linear(8, 8).weight.numel() == 64


def test_only_the_values_of_layers_have_no_memory() -> None:
    with WithoutMemory():
        layer, rates = nn.Linear(8, 8), torch.linspace(0, 0.1, 3).tolist()
        assert torch.zeros(1, device="cpu").device.type == "cpu"
    assert layer.weight.device.type == "meta"
    assert rates == pytest.approx([0, 0.05, 0.1])
