"""Properties that hold for any architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcasearch.architecture import BACKBONES, Architecture, dimensions
from dcasearch.architecture import KINDS as DECLARED
from dcasearch.models import build_model, cost
from dcasearch.models.cost import measure
from tests.models.samples import FUNCTIONS, KINDS, MATCHINGS, SMALL, built, images

pytestmark = pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def architectures(draw: st.DrawFn, backbones: list[dict[str, Any]]) -> dict[str, Any]:
    backbone = draw(st.sampled_from(backbones))
    layout = BACKBONES[backbone["name"]](backbone.get("width", 1.0), backbone.get("stem", "imagenet"))
    grain, n = draw(st.sampled_from([("stages", layout.stages), ("blocks", len(layout.blocks))]))
    kinds = [kind for kind in KINDS.values() if grain == "stages" or DECLARED[kind["name"]].place == "block"]
    attention = [draw(st.sampled_from([{"name": "none"}, *kinds])) for _ in range(n)]
    after = [kind for kind in KINDS.values() if not DECLARED[kind["name"]].in_blocks]
    taken = any(kind in after for kind in attention)
    ends = [draw(st.sampled_from([{"name": "none"}, *([] if taken else after)])) for _ in range(layout.stages)]
    placed = {"attention": {grain: attention}, "stage_attention": {"stages": ends}}
    vanilla = Architecture.parse({"backbone": backbone, **placed}).network
    can = any("channel" in node.ports for node in vanilla.nodes)
    flags = [draw(st.booleans()) if can else False for _ in range(n)]
    connections = {
        "dimensions": {"channel": {grain: flags}},
        "topology": draw(st.sampled_from(["chain", "dense", "tree"])),
        "function": draw(st.sampled_from(list(FUNCTIONS.values()))),
        "channel_matching": draw(st.sampled_from(list(MATCHINGS.values()))),
        "spatial_matching": draw(st.sampled_from(["average", "max", "conv"])),
        "alpha": {"shape": draw(st.sampled_from(["scalar", "channel"]))},
    }
    return {"backbone": backbone, **placed, "connections": connections}


EVERY_BACKBONE = [
    {"name": name, "stem": stem} for name in ("resnet18", "resnet50", "mnasnet0_5") for stem in ("imagenet", "small")
]


@pytest.mark.slow  # test_cost.py holds it for every pair of options
@settings(RELAXED, max_examples=15)
@given(architectures([*EVERY_BACKBONE, SMALL]), st.sampled_from([32, 50, 224]))
def test_an_architecture_costs_what_its_network_has(written: dict[str, Any], resolution: int) -> None:
    with torch.device("meta"):
        whole = measure(build_model(written, 10), torch.empty(1, 3, resolution, resolution))
    assert cost(Architecture.parse(written), resolution, 10) == whole


@settings(RELAXED, max_examples=15)
@given(architectures([SMALL]))
def test_an_architecture_gives_finite_logits_and_gradients(written: dict[str, Any]) -> None:
    model = built(written)
    logits = model(images(3))
    logits.square().mean().backward()
    assert torch.isfinite(logits).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@settings(RELAXED, max_examples=15)
@given(architectures([SMALL]))
def test_inert_choices_change_neither_id_nor_network(written: dict[str, Any]) -> None:
    grain, flags = next(iter(written["connections"]["dimensions"]["channel"].items()))
    silent = {"channel": {grain: [False] * len(flags)}} | {d: False for d in dimensions() if d != "channel"}
    vanilla = {key: written[key] for key in ("backbone", "attention")}
    inert = vanilla | {"connections": {**written["connections"], "dimensions": silent}}
    assert Architecture.parse(inert).id == Architecture.parse(vanilla).id
    assert torch.equal(built(inert).eval()(images(2)), built(vanilla).eval()(images(2)))
