from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcasearch.architecture import Architecture
from dcasearch.models import DCANet, build_model
from dcasearch.models.transfer import Misfit, head_of, outputs_of, take_backbone
from dcasearch.models.weight_files import WeightsFile
from tests.models.traced.support import needs_timm
from tests.models.weights import SMALL, values_of

CONNECTED = {"backbone": SMALL, "attention": {"name": "cbam"}, "connections": {}}
HEAD = ("classifier.1.weight", "classifier.1.bias")


def file(values: dict[str, Tensor]) -> WeightsFile:
    return WeightsFile("w", values, None, ())


def model(classes: int = 20, seed: int = 0) -> DCANet:
    return build_model(CONNECTED, classes, seed=seed)


def test_the_backbone_is_loaded_and_attention_and_connections_stay_as_drawn() -> None:
    values, network, drawn = values_of(), model(), model().state_dict()
    found = take_backbone(network, file(values), keep_head=True)
    assert (set(found.loaded), found.drawn, found.left) == (set(values), (), ())
    for name, value in network.state_dict().items():
        library = name.removeprefix("backbone.")
        assert torch.equal(value, values[library] if library != name else drawn[name]), name
    assert not torch.equal(network.state_dict()["backbone.features.0.0.weight"], drawn["backbone.features.0.0.weight"])


def test_sk_keeps_the_files_convolution_as_its_first_branch() -> None:
    values = values_of()
    network = build_model({"backbone": SMALL, "attention": {"name": "sk"}}, 20)
    assert set(take_backbone(network, file(values), keep_head=True).loaded) == set(values)


@pytest.mark.parametrize(("classes", "keep"), [(8, True), (20, False)], ids=["another number", "other names"])
def test_a_classifier_of_other_classes_is_drawn(classes: int, keep: bool) -> None:
    network, drawn = model(classes), model(classes).state_dict()
    found = take_backbone(network, file(values_of()), keep_head=keep)
    assert set(found.drawn) == set(found.left) == set(HEAD)
    weight, bias = (network.state_dict()[f"backbone.{name}"] for name in HEAD)
    before = drawn[f"backbone.{HEAD[0]}"]
    torch.testing.assert_close(weight / weight.std(), before / before.std())
    assert bias.abs().max() == 0


@needs_timm
def test_a_drawn_classifier_starts_small_on_trained_layers() -> None:
    """timm draws it from 1/√classes, which on trained features is a first loss of several times log(classes)."""
    said = {"backbone": {"name": "timm/test_byobnet"}}
    network, trained = build_model(said, 5), build_model(said, 8).backbone.state_dict()
    take_backbone(network, file(dict(trained)), keep_head=True)
    (weight,) = (value for value in network.backbone.parameters() if value.shape[:1] == (5,) and value.dim() > 1)
    assert weight.std().item() == pytest.approx(0.01)


def test_a_file_without_a_classifier_leaves_it_drawn() -> None:
    values = {name: value for name, value in values_of().items() if name not in HEAD}
    found = take_backbone(model(), file(values), keep_head=True)
    assert (set(found.drawn), found.left) == (set(HEAD), ())
    assert outputs_of(model().network, file(values)) is None


def test_counters_that_old_files_lack_stay_zero() -> None:
    values = {name: value for name, value in values_of().items() if not name.endswith("num_batches_tracked")}
    found = take_backbone(model(), file(values), keep_head=True)
    assert found.drawn
    assert all(name.endswith("num_batches_tracked") for name in found.drawn)


def test_what_is_missing_left_over_or_of_another_shape_is_named_and_counted() -> None:
    values = values_of()
    for name in [name for name in values if name.startswith("features.3.")]:
        values[f"other.{name}"] = values.pop(name)
    values["features.0.0.weight"] = torch.zeros(8, 3, 5, 5)
    network = model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(Misfit) as refused:
        take_backbone(network, file(values), keep_head=True)
    said = str(refused.value)
    assert "w is another network's: 15 tensors are missing: features.3.conv.0.0.weight, " in said
    assert " and 10 more; 18 tensors are left over: other.features.3." in said
    assert "; 1 tensor is of another shape: features.0.0.weight (8, 3, 5, 5), wanted (8, 3, 3, 3)" in said
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_classifier_that_differs_in_more_than_its_classes_is_another_networks() -> None:
    values = values_of()
    values["classifier.1.weight"] = torch.zeros(1000, 7)
    with pytest.raises(Misfit, match=r"classifier.1.weight is \(1000, 7\), and \(20, 1280\) is wanted"):
        take_backbone(model(), file(values), keep_head=True)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("resnet18", {"fc.weight", "fc.bias"}),
        ("mnasnet0_5", set(HEAD)),
        ("torchvision/squeezenet1_1", set(HEAD)),
        pytest.param("timm/test_byobnet", {"head.fc.weight", "head.fc.bias"}, marks=needs_timm),
    ],
)
def test_the_classifier_is_what_depends_on_the_number_of_classes(name: str, head: set[str]) -> None:
    assert set(head_of(Architecture.parse({"backbone": {"name": name}}).network)) == head


@needs_timm
def test_own_attention_that_is_taken_out_is_left_over() -> None:
    backbone = {"name": "timm/regnety_002"}
    values = values_of(backbone, classes=4)
    network = build_model({"backbone": {**backbone, "own_attention": "remove"}}, 4)
    found = take_backbone(network, file(values), keep_head=True)
    assert found.drawn == ()
    assert found.left
    assert all(".se." in name for name in found.left)
