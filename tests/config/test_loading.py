from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config import load_architecture, recipe_names
from dcasearch.config.loading import shipped_recipes
from dcasearch.config.recipe import Recipe
from dcasearch.errors import ConfigError, UserError
from tests.config.support import FIRST, LATER, good, mistakes, places, write


def recipe(written: object) -> Recipe:
    return good(fidelities=[{**FIRST, "recipe": written}]).fidelities[0].recipe


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
        ("lite", "fidelities.1.recipe: 'lite' is not a recipe; did you mean 'light'? Known: light, resnet, small."),
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
        ("backbone: {name: resnet18, width: 2.0}\n", [(1, 35, "backbone.width: resnet18 has no width")]),
        (
            "backbone: {name: resnet18}\nattention: {name: se}\nconnections: {dimensions: {spatial: true}}\n",
            [(3, 37, "no attention block of this network has the spatial dimension")],
        ),
        (
            "architecture:\n  backbone: {name: resnet18}\n  attention: {name: see}\n",
            [(3, 21, "architecture.attention.name: 'see' is not an attention block; did you mean 'se'?")],
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
