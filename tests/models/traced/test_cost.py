"""Costs of networks of libraries: the sum over components is the whole network's count."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.architecture import KINDS, Architecture
from dcasearch.evaluation import Cost
from dcasearch.models import build_model, cost
from dcasearch.models.cost import measure
from tests.models.traced.support import needs_timm

pytestmark = needs_timm
DENSE = {"topology": "dense", "spatial_matching": "conv"}
ROWS = [
    *(("timm/test_byobnet", kind, 64) for kind in KINDS if kind != "none"),
    *(("timm/test_mambaout", kind, 100) for kind in ("cbam", "sk", "bam")),
    ("timm/vgg11", "cbam", 75),
    pytest.param("timm/inception_v4", "cbam", 107, marks=pytest.mark.slow),
    *(
        pytest.param(name, kind, 128 if "hrnet" in name else 107, marks=pytest.mark.slow)
        for name in (
            "timm/inception_v3",
            "timm/densenet121",
            "timm/hrnet_w18_small",
            "torchvision/googlenet",
        )
        for kind in ("cbam", "sk", "se", "ge_theta")
    ),
]


@pytest.mark.parametrize(("name", "kind", "resolution"), ROWS)
def test_the_sum_over_components_equals_the_whole_network(name: str, kind: str, resolution: int) -> None:
    connections = DENSE if KINDS[kind].dimensions else None
    written: dict[str, Any] = {"backbone": {"name": name}, "attention": {"name": kind}, "connections": connections}
    with torch.device("meta"):
        whole = measure(build_model(written, 10), torch.empty(1, 3, resolution, resolution))
    assert cost(Architecture.parse(written), resolution, 10) == whole


@pytest.mark.parametrize("own", ["remove", "replace"])
def test_what_is_taken_out_costs_nothing(own: str) -> None:
    def plain(**backbone: Any) -> Cost:
        return cost(Architecture.parse({"backbone": {"name": "timm/test_byobnet", **backbone}}), 64, 10)

    assert plain(own_attention=own).params < plain().params
