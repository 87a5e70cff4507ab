from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dcasearch.models import build_model
from dcasearch.models.coefficients import MOST_CONNECTIONS, coefficients_of

SE: dict[str, Any] = {"backbone": {"name": "resnet18", "width": 0.25}, "attention": {"name": "se"}}


def test_each_connection_has_its_alpha_by_its_name() -> None:
    model = build_model({**SE, "connections": {"alpha": {"init": 0.5}}}, 10)
    model.connections["layer1_1"]["channel"].branches[0].edges["layer1_0"].alpha.data.fill_(0.25)  # type: ignore[index, union-attr]
    found = coefficients_of(model)
    assert list(found) == [f"channel {n}→{n + 1}" for n in range(1, 8)]
    assert found["channel 1→2"] == 0.25
    assert set(found.values()) == {0.25, 0.5}


def test_a_learned_function_gives_its_weight() -> None:
    model = build_model({**SE, "connections": {"function": "learned"}}, 10)
    assert len(coefficients_of(model)) == 7


def test_a_connection_with_a_coefficient_per_channel_has_their_mean() -> None:
    model = build_model({**SE, "connections": {"alpha": {"shape": "channel"}}}, 10)
    alpha = model.connections["layer1_1"]["channel"].branches[0].edges["layer1_0"].alpha  # type: ignore[index, union-attr]
    alpha.data.copy_(torch.arange(16.0))  # type: ignore[union-attr, operator]
    assert coefficients_of(model)["channel 1→2"] == 7.5


def test_a_network_that_is_part_of_another_model_is_found() -> None:
    model = build_model({**SE, "connections": {}}, 10)
    assert coefficients_of(nn.Sequential(nn.Identity(), model)) == coefficients_of(model)


@pytest.mark.parametrize("model", [nn.Linear(2, 2), build_model(SE, 10)], ids=["foreign", "vanilla"])
def test_without_connections_there_are_none(model: nn.Module) -> None:
    assert coefficients_of(model) == {}


def test_very_many_connections_have_one_mean_for_each_receiver() -> None:
    dense = {**SE, "backbone": {"name": "resnet101", "width": 0.125}, "connections": {"topology": "dense"}}
    model = build_model({**dense, "attention": {"name": "se"}}, 10)
    assert len(model.network.edges) > MOST_CONNECTIONS
    found = coefficients_of(model)
    assert len(found) == 32
    assert "channel →33" in found
