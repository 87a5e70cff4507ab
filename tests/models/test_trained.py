from __future__ import annotations

import pytest
import torch

from dcasearch.architecture.backbone import Backbone
from dcasearch.config.probe import FileProbe
from dcasearch.models import build_model
from dcasearch.models.probe import ask
from dcasearch.models.trained import fit, network_of, off_probe, others_that_answer
from dcasearch.models.weight_files import WeightsFile
from tests.models.traced.support import needs_timm
from tests.models.weights import SMALL, values_of

LITE, TF_LITE = "timm/efficientnet_lite0", "timm/tf_efficientnet_lite0"
SIDE = 33
"""Odd, so that where a convolution pads makes a difference in every stage."""


def test_the_network_of_a_file_has_its_weights_and_its_own_classifier() -> None:
    values = values_of(classes=7)
    network = network_of(Backbone(name="mobilenet_v2", width=0.1), WeightsFile("w", values, None, ()))
    assert network.classes == 7
    assert torch.equal(network.state_dict()["backbone.classifier.1.bias"], values["classifier.1.bias"])
    probe = ask(build_model({"backbone": SMALL}, 7, seed=5), SIDE)
    assert off_probe(network, probe, SIDE) == 0


def test_a_network_that_computes_nothing_is_infinitely_far_off() -> None:
    network = build_model({"backbone": SMALL}, 7)
    probe = ask(network, SIDE)
    torch.nn.init.constant_(network.get_parameter("backbone.classifier.1.bias"), torch.nan)
    assert off_probe(network, probe, SIDE) == float("inf")


@needs_timm
@pytest.mark.slow
def test_of_two_networks_that_take_one_file_the_probe_finds_the_right_one() -> None:
    trained = build_model({"backbone": {"name": TF_LITE}}, 5, seed=3)
    for name, tensor in trained.named_buffers():  # statistics of a trained network, else padding hardly shows
        if name.endswith("running_var"):
            tensor.fill_(0.01)
    file = WeightsFile(
        "w", {name.removeprefix("backbone."): value for name, value in trained.state_dict().items()}, None, ()
    )
    probe = FileProbe.model_validate({**ask(trained, SIDE).model_dump(), "resolution": SIDE})
    right, wrong = Backbone(name=TF_LITE), Backbone(name=LITE)
    assert len(fit(wrong, file).loaded) == len(fit(right, file).loaded) == len(file.values)
    assert off_probe(network_of(right, file), probe, SIDE) == 0
    assert off_probe(network_of(wrong, file), probe, SIDE) > probe.tolerance
    found = list(others_that_answer(wrong, file, probe, resolution=SIDE, tolerance=probe.tolerance))
    assert found == [TF_LITE]
