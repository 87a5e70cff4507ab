from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config import load_architecture, load_recipe, recipe_names
from dcasearch.config import recipe as recipe_module
from dcasearch.config.recipe import Augmentation, Recipe
from dcasearch.config.study_files import shipped_recipes
from dcasearch.errors import ConfigError, UserError
from tests.config.support import FIRST, LATER, good, mistakes, places, write


def recipe(written: object) -> Recipe:
    start = {"name": "vanilla", "recipe": "small"}  # which one of the shipped recipes needs
    return good(fidelities=[{**FIRST, "recipe": written, "initialize": start}]).fidelities[0].recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_a_recipe(name: str) -> None:
    assert Recipe.model_validate(shipped_recipes()[name]) == recipe(name)


def test_the_paper_s_recipes_have_the_paper_s_numbers() -> None:
    resnet, light = recipe("resnet"), recipe("light")
    assert (resnet.lr, resnet.batch_size, resnet.momentum, resnet.nesterov) == (0.1, 256, 0.9, True)
    assert (resnet.weight_decay, resnet.schedule.name, resnet.schedule.every, resnet.decay_exempt) == (
        1e-4,
        "step",
        30,
        (),
    )
    assert (light.batch_size, light.weight_decay, light.schedule.name) == (512, 4e-5, "cosine")
    assert light.decay_exempt == ("bias", "norm", "depthwise")
    assert light.schedule.warmup_epochs == 5
    assert {resnet.augmentation.area, light.augmentation.area} == {(0.1, 1.0)}


@pytest.mark.parametrize(("text", "released"), [("resnet", "resnet_released"), ("light", "light_released")])
def test_the_released_code_ran_other_numbers_than_the_text_says(text: str, released: str) -> None:
    said, ran = recipe(text).model_dump(), recipe(released).model_dump()
    differing = {name for name in said if said[name] != ran[name]}
    assert differing == {"nesterov"} | ({"precision"} if text == "resnet" else set())
    assert (said["nesterov"], ran["nesterov"]) == (True, False)


def test_the_paper_s_recipes_for_detectors_have_the_paper_s_numbers() -> None:
    retinanet, cascade = recipe("retinanet"), recipe("cascade")
    assert cascade == retinanet.model_copy(update={"lr": 0.02})
    assert (retinanet.lr, retinanet.batch_size, retinanet.momentum, retinanet.nesterov) == (0.01, 16, 0.9, False)
    assert (retinanet.weight_decay, retinanet.clip_norm, retinanet.decay_exempt) == (1e-4, 35, ())
    schedule = retinanet.schedule
    assert (schedule.name, schedule.drops, schedule.factor) == ("step", (18, 22), 0.1)
    assert (schedule.warmup_steps, schedule.warmup_start) == (500, 1 / 3)
    assert (retinanet.augmentation.crop, retinanet.augmentation.flip) == ("none", True)
    assert {load_recipe(name).epochs for name in ("retinanet", "cascade")} == {24}


@pytest.mark.parametrize("text", ["retinanet", "cascade"])
def test_the_released_configurations_of_detectors_drop_the_learning_rate_earlier(text: str) -> None:
    said, ran = recipe(text), recipe(f"{text}_released")
    assert ran.schedule.drops == (16, 22)
    assert ran == said.model_copy(update={"schedule": ran.schedule})
    assert ran.schedule == said.schedule.model_copy(update={"drops": (16, 22)})
    assert load_recipe(f"{text}_released").epochs == 24


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_s_head_says_what_it_costs_and_what_to_expect(name: str) -> None:
    text = (Path(recipe_module.__file__).parent / "recipes" / f"{name}.yaml").read_text()
    head = text.split("\nepochs:")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert "Costs: " in head
    assert "Expected: " in head


@pytest.mark.parametrize("name", recipe_names())
def test_every_number_of_a_shipped_recipe_for_imagenet_or_coco_is_in_its_file(name: str) -> None:
    if name != "small":
        said = {"lr", "batch_size", "momentum", "nesterov", "weight_decay", "decay_exempt", "schedule", "precision"}
        assert said < shipped_recipes()[name].keys()
        augmentation = shipped_recipes()[name]["augmentation"]
        unused = {"area", "aspect"} if augmentation["crop"] == "none" else set()
        assert augmentation.keys() == Augmentation.model_fields.keys() - unused


def test_a_recipe_is_loaded_with_its_length(tmp_path: Path) -> None:
    assert load_recipe("resnet").epochs == 100
    assert load_recipe("light").recipe == recipe("light")
    file = write(tmp_path, "base: light\nlr: 0.05\n")
    assert load_recipe(str(file)).epochs == 150
    assert load_recipe(str(file)).recipe == recipe({"base": "light", "lr": 0.05})
    assert load_recipe(str(write(tmp_path, "lr: 0.05\nepochs: 7\n"))).epochs == 7
    assert load_recipe(str(write(tmp_path, "lr: 0.05\n"))).epochs is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: light\nepochs: none\n", ":2:9: epochs: must be a number of epochs, at least 1; got none"),
        ("base: ligth\n", ":1:7: base: 'ligth' is not a recipe; did you mean 'light'?"),
        ("lrr: 0.1\n", ":1:1: lrr: 'lrr' is not a known key"),
        ("cuda_graphs: true\n", "cuda_graphs needs compile: true"),
        ("{compile: true, cuda_graphs: true, accumulate: 2}\n", "cannot keep the gradients of several micro-batches"),
    ],
)
def test_what_is_wrong_in_a_recipe_file_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(write(tmp_path, text)))
    assert message in str(caught.value)


def test_neither_a_recipe_nor_a_file_says_so() -> None:
    with pytest.raises(UserError, match="'ligth' is not a recipe; did you mean 'light'"):
        load_recipe("ligth")


def test_a_base_is_changed_where_something_is_said() -> None:
    changed = recipe({"base": "light", "lr": 0.05, "bn_momentum": 0.1})
    assert changed == recipe("light").model_copy(update={"lr": 0.05, "bn_momentum": 0.1})


def test_nested_parts_of_a_base_are_changed_part_by_part() -> None:
    changed, base = recipe({"base": "resnet", "schedule": {"every": 6}}), recipe("resnet")
    assert changed.schedule == base.schedule.model_copy(update={"every": 6})
    assert changed.augmentation == base.augmentation


def test_a_change_leaves_the_shipped_recipe_as_it_is() -> None:
    before = recipe("light")
    recipe({"base": "light", "schedule": {"warmup_epochs": 0}, "lr": 1})
    assert recipe("light") == before


def test_a_recipe_may_be_written_whole() -> None:
    assert recipe({"lr": 0.3}) == Recipe(lr=0.3)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "ligth",
            "fidelities.1.recipe: 'ligth' is not a recipe; did you mean 'light'? Known: cascade, cascade_rel",
        ),
        ({"base": "resnett"}, "fidelities.1.recipe.base: 'resnett' is not a recipe; did you mean 'resnet'?"),
        (["light"], "fidelities.1.recipe: '['light']' is not a recipe"),
        ({"base": "light", "learning_rate": 1}, "'learning_rate' is not a known key"),
        ({"base": "light", "lr": -1}, "fidelities.1.recipe.lr: input should be greater than 0; got -1"),
    ],
)
def test_what_is_no_recipe_says_so(written: object, message: str) -> None:
    [said] = mistakes(fidelities=[FIRST, {**LATER, "recipe": written}])
    assert message in said


ARCHITECTURE = """\
backbone: {name: resnet18}
attention: {name: se, reduction: 8}
connections:
  function: softmax
"""


def test_an_architecture_is_read_from_its_file(tmp_path: Path) -> None:
    expected = Architecture.parse(
        {
            "backbone": {"name": "resnet18"},
            "attention": {"name": "se", "reduction": 8},
            "connections": {"function": "softmax"},
        }
    )
    assert load_architecture(write(tmp_path, ARCHITECTURE)) == expected


def test_an_architecture_is_read_out_of_an_exported_spec(tmp_path: Path) -> None:
    indented = "".join(f"  {line}\n" for line in ARCHITECTURE.splitlines())
    spec = load_architecture(write(tmp_path, f"schema: 1\narchitecture:\n{indented}metrics: {{}}\n"))
    assert spec == load_architecture(write(tmp_path, ARCHITECTURE))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "backbone: {name: resnet18}\nattention:\n  nam: se\nconections: {}\n",
            [
                (3, 3, "attention.nam: 'nam' is not a known key; did you mean 'name'?"),
                (4, 1, "did you mean 'connections'"),
            ],
        ),
        ("backbone: {name: mnasnet0_5, width: 2.0}\n", [(1, 37, "backbone.width: mnasnet0_5 takes no width")]),
        (
            "backbone: {name: resnet18}\nattention: {name: se}\nconnections: {dimensions: {spatial: true}}\n",
            [(3, 37, "no attention block of this network has the spatial dimension")],
        ),
        (
            "architecture:\n  backbone: {name: resnet18}\n  attention: {name: see}\n",
            [(3, 21, "architecture.attention.name: 'see' is not an attention block; did you mean 'se' or 'sge'?")],
        ),
        ("backbone: {name: resnet18}\nbackbone: {name: resnet18}\n", [(2, 1, "backbone: stands twice")]),
        ("architecture: 3\n", [(1, 15, "architecture: input should be a mapping; got 3")]),
    ],
)
def test_mistakes_in_an_architecture_have_their_places(
    tmp_path: Path, text: str, expected: list[tuple[int, int, str]]
) -> None:
    with pytest.raises(ConfigError) as error:
        load_architecture(write(tmp_path, text))
    found = places(error.value)
    assert [(line, column) for line, column, _ in found] == [(line, column) for line, column, _ in expected]
    for (*_, said), (*_, message) in zip(found, expected, strict=True):
        assert message in said


def test_an_architecture_that_is_not_there_is_a_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_architecture(tmp_path / "none.yaml")
