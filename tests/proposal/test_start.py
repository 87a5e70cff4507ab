"""A study that starts from a trained network: what `init` writes, and from where it takes the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dcasearch.config import load_recipe
from dcasearch.errors import UserError
from dcasearch.models import build_model
from dcasearch.models.probe import ask
from dcasearch.proposal.start import start_from, start_in_cache
from dcasearch.proposal.template import Rung, space_text
from dcasearch.space import load_study
from tests.models.traced.support import needs_timm
from tests.models.weights import safe, torched, values_of
from tests.proposal.test_plan import looked, planned
from tests.proposal.test_proposing import proposed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A network's weights, and a probe that says which network it is."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(safe(values_of({"name": "mobilenet_v2"}, classes=7)))
    probe = ask(build_model({"backbone": {"name": "mobilenet_v2"}}, 7, seed=5), 32).model_dump()
    said = {**probe, "resolution": 32, "network": "mobilenet_v2", "preprocessing": {"interpolation": "bicubic"}}
    path.with_name("w.safetensors.probe.json").write_text(json.dumps(said))
    return path


@pytest.mark.slow
def test_every_training_of_the_proposed_study_starts_from_the_named_weights(
    photos: Path, tmp_path: Path, file: Path
) -> None:
    proposal = proposed(photos, tmp_path / "animals", weights=str(file))
    loaded = load_study(proposal.study)
    starts = {fidelity.initialize.weights for fidelity in loaded.study.fidelities}
    assert starts == {str(file)}
    assert loaded.study.data.preprocessing is not None
    assert loaded.study.data.preprocessing.interpolation == "bicubic"
    assert {one.architecture.backbone.name for one in loaded.space.baselines()} == {"mobilenet_v2"}
    assert "the classifier is drawn: 7 classes in the file, 2 in the data" in proposal.start
    text = " ".join(proposal.study.read_text().replace("#", " ").split())
    assert f"Networks start from trained weights ({file}, as you named it)" in text
    assert "docs/evidence.md has what such a start was worth" in text
    assert "Networks are trained from scratch" not in text


def test_a_trained_network_keeps_its_width_and_is_trained_for_a_short_time(file: Path) -> None:
    start = start_from(str(file), None)
    plan = planned(100, seen=looked(), start=start, backbone=start.backbone)
    assert (plan.rung.width, plan.rung.stem) == (1.0, "imagenet")
    assert plan.epochs == 15
    assert planned(0.01, start=start, backbone=start.backbone).rung.resolution == 128
    small = planned(100, seen=looked(side=28), start=start, backbone=start.backbone).rung
    assert (small.stem, small.resolution) == ("imagenet", 128)


@pytest.mark.slow
def test_the_recipe_is_that_of_fine_tuning(photos: Path, tmp_path: Path, file: Path) -> None:
    proposal = proposed(photos, tmp_path / "animals", weights=str(file))
    assert proposal.plan.epochs == load_recipe("finetune").epochs
    text = proposal.study.read_text()
    assert "      base: finetune\n" in text
    assert "lr:" not in text


def test_attention_starts_as_the_identity() -> None:
    rung = Rung("resnet18", 1.0, "imagenet", 64)
    assert "\nattention_init: identity " in space_text(rung, trained=True)
    assert "attention_init" not in space_text(rung)


def test_nobody_says_which_network_a_bare_file_is_of(file: Path) -> None:
    file.with_name("w.safetensors.probe.json").unlink()
    with pytest.raises(UserError, match=r"nobody says which network .* is of; add --backbone NAME"):
        start_from(str(file), None)
    assert start_from(str(file), "mobilenet_v2").backbone == "mobilenet_v2"


def test_weights_of_another_network_or_none_at_all_leave_no_file(photos: Path, tmp_path: Path, file: Path) -> None:
    with pytest.raises(UserError, match="is another network's"):
        proposed(photos, tmp_path / "animals", weights=str(file), backbone="resnet18")
    with pytest.raises(UserError, match="there is no file"):
        proposed(photos, tmp_path / "animals", weights=str(tmp_path / "none.pth"), backbone="resnet18")
    assert not (tmp_path / "animals.yaml").exists()


def test_weights_in_the_librarys_cache_are_proposed_by_themselves(photos: Path, tmp_path: Path, no_cache: Path) -> None:
    assert start_in_cache("resnet18") is None
    no_cache.mkdir(parents=True)
    (no_cache / "resnet18-f37072fd.pth").write_bytes(torched(values_of({"name": "resnet18"}, classes=1000)))
    proposal = proposed(photos, tmp_path / "animals")
    loaded = load_study(proposal.study)
    assert loaded.study.fidelities[0].initialize.weights == "torchvision/resnet18"
    assert "found in the library's cache" in proposal.study.read_text()
    scratch = load_study(proposed(photos, tmp_path / "scratch", weights="scratch").study)
    assert scratch.study.fidelities[0].initialize.name == "scratch"


@needs_timm
def test_a_network_of_a_library_may_be_named(photos: Path, tmp_path: Path) -> None:
    loaded = load_study(proposed(photos, tmp_path / "animals", backbone="timm/test_byobnet").study)
    assert loaded.study.fidelities[0].initialize.weights is None
    assert {baseline.architecture.backbone.name for baseline in loaded.space.baselines()} == {"timm/test_byobnet"}


def test_an_unknown_network_is_told_with_the_libraries_names() -> None:
    with pytest.raises(UserError, match=r"did you mean 'resnet50'.*Networks of libraries are timm/<model>"):
        planned(1, backbone="resnet5O")
