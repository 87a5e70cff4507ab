from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dcasearch.interpretation import drift as drift_room
from dcasearch.interpretation.drift import Spot, Track, tracks_of
from dcasearch.interpretation.drift_comparison import Watched, differences, mean_of
from dcasearch.interpretation.drift_reading import draw_figure, reading_of
from dcasearch.interpretation.images import images_of, sample
from dcasearch.interpretation.intervals import Estimate, Floats, bootstrap
from dcasearch.interpretation.similarity import LEAST_IMAGES
from dcasearch.interpretation.subjects import load_subjects
from dcasearch.interpretation.untrained import untrained
from dcasearch.models import DCANet
from tests.interpretation.samples import tiny, write_spec
from tests.interpretation.test_contributions import Batches
from tests.models.samples import images

pytest.importorskip("captum")
CPU = torch.device("cpu")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Tell CKA of as many images as the tests' batches have."""
    monkeypatch.setattr(drift_room, "LEAST_IMAGES", 64)
    return 64


def batch(count: int = 64) -> Tensor:
    return images(count, 16)


def by_measure(tracks: list[Track]) -> dict[str, Track]:
    return {track.measure: track for track in tracks}


def test_every_measure_goes_from_each_spot_to_the_next(few: int) -> None:
    found = by_measure(tracks_of(tiny("cbam"), Batches(batch()[:40], batch()[40:])))
    assert list(found) == [
        "overlap of Grad-CAM",
        "CKA of channel attention",
        "overlap of spatial attention",
        "CKA of spatial attention",
    ]
    assert [spot.name for spot in found["overlap of Grad-CAM"].spots] == ["stage1", "stage2", "stage3", "stage4"]
    spatial = found["overlap of spatial attention"]
    assert [spot.name for spot in spatial.spots[:3]] == ["layer1.0", "layer1.1", "layer2.0"]
    assert spatial.borders.tolist() == [False, True, False, True, False, True, False]
    assert all(track.images == few for track in found.values())
    for track in found.values():
        for step in track.steps.estimates():
            assert step is not None
            assert step.low <= step.value <= step.high <= 1.0001


@pytest.mark.slow
def test_batches_make_no_difference(few: int) -> None:
    model = tiny("cbam")
    whole, halves = tracks_of(model, Batches(batch())), tracks_of(model, Batches(batch()[:31], batch()[31:]))
    for first, second in zip(whole, halves, strict=True):
        np.testing.assert_allclose(first.steps.rows, second.steps.rows, atol=1e-3)


def test_a_network_without_attention_has_grad_cam_alone(few: int) -> None:
    assert [track.measure for track in tracks_of(tiny("none"), Batches(batch(8)))] == ["overlap of Grad-CAM"]


def test_without_256_images_there_is_no_cka() -> None:
    assert LEAST_IMAGES == 256
    assert "CKA of channel attention" not in by_measure(tracks_of(tiny("se"), Batches(batch(8))))


def test_the_same_attention_in_every_block_has_cka_one_and_a_full_overlap(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("cbam")
    pattern = torch.rand(few, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    for name in model.names:
        block: Any = model.attention[name]
        monkeypatch.setattr(block.spatial, "transform", lambda extraction: pattern)
        monkeypatch.setattr(block.spatial, "fuse", lambda features, transformed: features)
    found = by_measure(tracks_of(model, Batches(batch())))
    for measure in ("CKA of spatial attention", "overlap of spatial attention"):
        np.testing.assert_allclose(found[measure].steps.rows[0], 1.0)


def test_attention_that_is_the_same_for_all_images_is_named_and_has_no_cka(few: int) -> None:
    model = tiny("gc")
    last: Any = model.attention["layer2_0"].channel.fc2
    torch.nn.init.zeros_(last.weight)
    track = by_measure(tracks_of(model, Batches(batch())))["CKA of channel attention"]
    assert track.constant == ("layer2.0",)
    assert [step is None for step in track.steps.estimates()] == [False, True, True, False, False, False, False]
    assert mean_of(Watched(name="a", variant="trained", tracks=(track,)), track).steps is not None


def test_an_image_without_a_focus_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(0))
    empty = maps.clone()
    empty[2] = 0.0
    stages = {"stage1": maps, "stage2": empty, "stage3": maps, "stage4": maps}
    monkeypatch.setattr(drift_room, "grad_cam", lambda model, batch: stages)
    [track] = tracks_of(tiny("none"), Batches(batch(4)))
    assert track.left_out == (1, 1, 0)
    np.testing.assert_array_equal(track.steps.rows[0], 1.0)


def track_of(values: Floats, *stages: int, measure: str = "overlap of Grad-CAM") -> Track:
    spots = tuple(Spot(f"block{n}", stage) for n, stage in enumerate(stages))
    return Track(measure=measure, spots=spots, steps=bootstrap(values), images=len(values), left_out=(0, 0))


def watched(name: str, values: Floats, variant: Any = "trained") -> Watched:
    return Watched(name=name, variant=variant, tracks=(track_of(values, 1, 1, 2),))


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def test_means_are_over_all_steps_and_over_those_between_stages() -> None:
    network = watched("a", np.array([[0.2, 0.6], [0.4, 0.8]]))
    mean = mean_of(network, network.tracks[0])
    assert known(mean.steps).value == pytest.approx(0.5)
    assert known(mean.borders).value == pytest.approx(0.7)


def test_networks_are_compared_image_by_image_with_each_other_and_with_the_untrained() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (300, 2))
    networks = [
        watched("a", noise + 0.5),
        watched("a", noise + 0.3, "untrained"),
        watched("b", noise + 0.1),
        watched("b", noise, "untrained"),
    ]
    found = {mean.label: known(mean.steps) for mean in differences(networks)}
    assert {label: round(estimate.value, 6) for label, estimate in found.items()} == {
        "a − untrained": 0.2,
        "b − untrained": 0.1,
        "a − b": 0.4,
        "a − b, each beyond its untrained network": 0.1,
    }
    assert all(estimate.high - estimate.low < 1e-9 for estimate in found.values())  # the noise is common


def test_a_step_that_one_network_lacks_is_in_no_difference() -> None:
    first, second = np.array([[0.5, 0.9]] * 4), np.array([[0.3, np.nan]] * 4)
    [difference] = differences([watched("a", first), watched("b", second)])
    assert known(difference.steps).value == pytest.approx(0.2)
    assert difference.borders is None


def test_networks_with_other_blocks_are_not_compared() -> None:
    other = Watched(name="b", variant="trained", tracks=(track_of(np.ones((4, 2)), 1, 2, 3),))
    assert list(differences([watched("a", np.ones((4, 2))), other])) == []


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("specs")
    return [write_spec(folder, "connected", "cbam", function="learned"), write_spec(folder, "vanilla", "cbam")]


def test_an_untrained_network_keeps_the_coefficients_alone_if_that_is_asked(specs: list[Path]) -> None:
    subject = load_subjects(specs[:1])[0]
    loader = sample(images_of([subject], None), subject, 16, CPU)
    drawn, kept = (untrained(subject, loader, seed=3, with_coefficients=keep) for keep in (False, True))

    def same(first: DCANet, second: DCANet, ending: str) -> set[bool]:
        tensors = second.state_dict()
        return {torch.equal(v, tensors[n]) for n, v in first.state_dict().items() if n.endswith(ending)}

    for ending in (".layer1_0.weight", ".channel.branches.0.function.weight"):
        assert same(subject.model, kept, ending) == {True}
        assert same(subject.model, drawn, ending) == {False}
    for ending in ("fc1.weight", "conv2.weight", "fc.weight"):
        assert True not in same(subject.model, kept, ending)
        assert same(drawn, kept, ending) == {True}


def test_an_untrained_network_is_normalised_by_the_images(specs: list[Path]) -> None:
    subject = load_subjects(specs[1:])[0]
    loader = sample(images_of([subject], None), subject, 48, CPU)
    model = untrained(subject, loader, seed=0, with_coefficients=False)
    assert not model.training
    seen: list[Tensor] = []
    layer: Any = model.backbone.get_submodule("layer4.1.bn2")
    layer.register_forward_hook(lambda module, arguments, out: seen.append(out))
    with torch.no_grad():
        for shown, _ in loader.epoch(1):
            model(shown)
    normalised = torch.cat(seen).double()
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(64).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(normalised.std((0, 2, 3)), torch.ones(64).double(), atol=0.05, rtol=0)
    assert layer.momentum == 0.1


def test_the_reading_says_what_it_is_worth_and_holds_every_number() -> None:
    values = np.random.default_rng(1).random((30, 2))
    networks = [watched("a", values), watched("a", values / 2, "untrained")]
    reading = reading_of(networks, "30 of noise", {"torch": "2"}, "<svg/>")
    said = "\n".join(reading.says)
    assert "or another draw of an untrained one, may differ by more" in said
    assert "a: no CKA is told of 30 images; it needs 256." in said
    assert "1 of 1 differences have an interval that excludes 0." in said
    assert [row[0] for row in reading.rows] == ["a", "a, untrained", "a − untrained"]
    [trained, _] = reading.numbers["networks"]
    assert [step["between_stages"] for step in trained["steps"]] == [False, True]
    json.dumps(reading.numbers, allow_nan=False)


def test_the_figure_has_a_panel_for_each_measure_and_a_line_for_each_network() -> None:
    values = np.random.default_rng(1).random((30, 2))
    blocks = track_of(values, 1, 1, 2, measure="overlap of spatial attention")
    stages = track_of(values, 1, 2, 3)
    networks = [
        Watched(name="a", variant="trained", tracks=(stages, blocks)),
        Watched(name="a", variant="untrained", tracks=(stages, blocks)),
    ]
    svg = draw_figure(networks).svg
    words = ("overlap of Grad-CAM", "overlap of spatial attention", "1 → 2", "a, untrained", "two unrelated maps")
    assert all(word in svg for word in words)
