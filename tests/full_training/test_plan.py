from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.data import IMAGENET_MEAN, IMAGENET_STD, Source, preprocessing_of
from dcasearch.errors import ConfigError, DataError, UserError
from dcasearch.export import Foreign, export_foreign
from dcasearch.full_training import Trained, Wishes, plan
from dcasearch.models import build_model
from dcasearch.training.weights import save_weights
from tests.data.support import write_folder
from tests.full_training.support import planned, write
from tests.training.support import CONNECTED


def test_an_architecture_is_trained_as_the_user_says(tmp_path: Path) -> None:
    assignment = planned(tmp_path, seed=3, epochs=5, protocol="test").assignment
    assert (assignment.seed, assignment.protocol, assignment.data.name) == (3, "test", "digits")
    assert (assignment.fidelity.resolution, assignment.fidelity.epochs, assignment.fidelity.train_fraction) == (
        16,
        5,
        0.05,
    )
    assert (assignment.fidelity.recipe.lr, assignment.fidelity.recipe.batch_size) == (0.05, 16)


def test_a_recipe_comes_with_its_epochs_and_a_training_is_whole_unless_said_otherwise(tmp_path: Path) -> None:
    found = planned(tmp_path, recipe="light", train_fraction=None)
    assert (found.assignment.fidelity.epochs, found.assignment.fidelity.train_fraction, found.recipe) == (
        150,
        1.0,
        "light",
    )
    assert (found.assignment.seed, found.assignment.protocol, found.classes) == (0, "search", 10)


def test_everything_that_is_not_said_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a training needs; add --recipe, --resolution, --data$"):
        plan(write(tmp_path), Wishes())
    (tmp_path / "recipe.yaml").write_text("lr: 0.1\n")
    with pytest.raises(UserError, match=r"add --epochs$"):
        planned(tmp_path)


def test_a_recipe_that_fine_tunes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"recipe finetune: freeze, .* add --weights, or train it in a study"):
        planned(tmp_path, recipe="finetune")


def test_where_nothing_is_said_the_spec_says_it(undisturbed: tuple[Trained, Path]) -> None:
    trained, out = undisturbed
    again = plan(out / "model.yaml", Wishes())
    assert again.assignment.key.id == trained.record["evaluation"]
    assert again.recipe == "the spec's"


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ({"resolution": 24}, {"resolution": 24, "epochs": 3}),
        ({"recipe": "resnet"}, {"epochs": 100, "resolution": 16, "train_fraction": 0.05}),
        ({"train_fraction": 1.0, "epochs": 9}, {"train_fraction": 1.0, "epochs": 9}),
    ],
)
def test_what_is_said_outdoes_the_spec(
    undisturbed: tuple[Trained, Path], wishes: dict[str, Any], found: dict[str, Any]
) -> None:
    fidelity = plan(undisturbed[1] / "model.yaml", Wishes(**wishes)).assignment.fidelity
    assert {name: getattr(fidelity, name) for name in found} == found


def test_a_spec_that_does_not_say_its_recipe_needs_one(undisturbed: tuple[Trained, Path], tmp_path: Path) -> None:
    text = (undisturbed[1] / "model.yaml").read_text()
    older = tmp_path / "older.yaml"
    older.write_text(re.sub(r"^training:\n(  .*\n)+", "", text, flags=re.MULTILINE))
    with pytest.raises(UserError, match=r"add --recipe$"):
        plan(older, Wishes())
    assert plan(older, Wishes(recipe="light")).assignment.fidelity.epochs == 150


def test_data_is_a_set_or_the_folder_of_the_specs_own(undisturbed: tuple[Trained, Path], tmp_path: Path) -> None:
    write_folder(tmp_path, images=8)
    spec = undisturbed[1] / "model.yaml"
    named = plan(spec, Wishes(data="imagefolder", root=str(tmp_path), workers=0)).assignment.data
    assert (named.name, named.root, named.workers) == ("imagefolder", str(tmp_path), 0)
    assert plan(spec, Wishes(data=str(tmp_path))).assignment.data.root == str(tmp_path)
    assert plan(spec, Wishes(data=str(tmp_path))).assignment.data.name == "digits"
    with pytest.raises(UserError, match="--data: 'digit' is neither a data set nor a folder; did you mean 'digits'"):
        plan(spec, Wishes(data="digit"))
    with pytest.raises(DataError, match=r"needs a folder that holds .*; --root says where it is"):
        plan(spec, Wishes(data="imagenet"))


def test_the_paper_s_protocol_trains_on_all_of_train(tmp_path: Path) -> None:
    assert planned(tmp_path, protocol="paper").assignment.data.protocol == "paper"
    with pytest.raises(UserError, match="--protocol: 'papr' is not a protocol; did you mean 'paper'"):
        planned(tmp_path, protocol="papr")


def test_what_cannot_be_is_told_by_its_option(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--train-fraction: "):
        planned(tmp_path, train_fraction=2.0)
    (tmp_path / "recipe.yaml").write_text("lrr: 0.1\n")
    with pytest.raises(ConfigError, match=r"recipe\.yaml:1:1: lrr"):
        planned(tmp_path)


def test_an_imported_spec_says_its_resolution_and_the_user_the_rest(tmp_path: Path) -> None:
    source = Source(class_names=(), mean=IMAGENET_MEAN, std=IMAGENET_STD, size=None, reading="cropped")
    architecture = Architecture.parse(CONNECTED)
    save_weights(build_model(architecture, 10), tmp_path / "stored.safetensors")
    network = Foreign(
        architecture=architecture,
        num_classes=10,
        resolution=16,
        preprocessing=preprocessing_of(source, 16),
        provenance={},
    )
    export_foreign(tmp_path / "model.yaml", network, tmp_path / "stored.safetensors")
    with pytest.raises(UserError, match=r"a training needs; add --recipe, --data$"):
        plan(tmp_path / "model.yaml", Wishes())
    found = plan(tmp_path / "model.yaml", Wishes(recipe="light", data="digits")).assignment
    assert (found.seed, found.protocol, found.fidelity.resolution) == (0, "search", 16)
