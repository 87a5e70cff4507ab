import dataclasses
import pickle
from typing import Any

import pytest

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.evaluation import EvaluationKey, fingerprint
from tests.training.support import CONNECTED, VANILLA, make_assignment


def test_a_task_survives_the_way_to_another_process() -> None:
    assignment = make_assignment()
    assert pickle.loads(pickle.dumps(assignment)) == assignment
    assert pickle.loads(pickle.dumps(assignment)).key == assignment.key


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 32},
        {"epochs": 4},
        {"train_fraction": 0.5},
        {"recipe": {"lr": 0.2}},
        {"seed": 1},
        {"recipe": {"class_weights": "balanced"}},
        {"recipe": {"sampling": "balanced"}},
    ],
)
def test_whatever_changes_the_training_changes_its_key(change: dict[str, Any]) -> None:
    assert make_assignment(**change).key != make_assignment().key


@pytest.mark.parametrize(
    "change",
    [
        {"name": "full"},
        {"trials": 9},
        {"seeds": (1, 2)},
        {"pruner": {"name": "median"}},
        {"recipe": {"nesterov": True}},
        {"recipe": {"class_weights": "none", "sampling": "uniform"}},
    ],
)
def test_what_does_not_change_the_training_leaves_its_key(change: dict[str, Any]) -> None:
    assert make_assignment(**change).key == make_assignment().key


def test_further_metrics_are_in_the_key_where_there_are_any_whatever_their_order() -> None:
    usual = make_assignment()
    asked = dataclasses.replace(usual, metrics=("macro_f1", "auroc"))
    assert asked.key != usual.key
    assert dataclasses.replace(usual, metrics=("auroc", "macro_f1")).key == asked.key
    assert asked.key.id == "f3d0b27e18552ff4"
    zero_cost = make_assignment(kind="zero_cost", score="snip", epochs=1)
    assert dataclasses.replace(zero_cost, metrics=("auroc",)).key == zero_cost.key


def scored(**changes: Any) -> EvaluationKey:
    level = {"kind": "zero_cost", "score": "snip", "epochs": 1}
    return make_assignment(**{**level, **changes}).key


@pytest.mark.parametrize(
    "change",
    [
        {"score": "naswot"},
        {"batches": 2},
        {"resolution": 32},
        {"train_fraction": 0.5},
        {"recipe": {"batch_size": 8}},
        {"recipe": {"sampling": "balanced"}},
    ],
)
def test_whatever_changes_a_score_changes_its_key(change: dict[str, Any]) -> None:
    assert scored(**change) != scored()


def test_a_score_does_not_depend_on_how_networks_are_trained_nor_synflow_on_the_images() -> None:
    assert scored(recipe={"lr": 3.0, "ema": 0.9, "class_weights": "balanced"}) == scored()
    assert scored(score="synflow", train_fraction=0.5, recipe={"batch_size": 8}) == scored(score="synflow")


def test_architecture_and_protocol_are_in_the_key() -> None:
    assert len({make_assignment(VANILLA).key, make_assignment().key, make_assignment(protocol="paper").key}) == 3


def test_the_start_of_alpha_is_part_of_the_training_where_there_is_an_alpha() -> None:
    from_zero = {"alpha": {"init": 0.0}}
    assert make_assignment({**CONNECTED, "connections": from_zero}).key != make_assignment().key
    learned = {**CONNECTED, "connections": {"function": "learned"}}
    assert (
        make_assignment({**learned, "connections": {"function": "learned", **from_zero}}).key
        == make_assignment(learned).key
    )


def test_the_defaults_of_a_recipe_are_settled() -> None:
    # Keys leave defaults out: another default would give stored records another meaning.
    added_later: dict[str, Any] = {
        "sync_batchnorm": False,
        "accumulate": 1,
        "mixup": 0.0,
        "cutmix": 0.0,
        "class_weights": "none",
        "sampling": "uniform",
        "cuda_graphs": False,
        "gradient_checkpointing": False,
        "optimizer": "sgd",
        "classifier_init": "small",
        "rates": {"backbone": 1.0, "attention": 1.0, "head": 1.0},
        "freeze": [],
        "batchnorm": "trained",
    }
    added_to_schedule: dict[str, Any] = {"warmup_steps": 0, "warmup_start": 0.0, "drops": []}
    defaults = Recipe().model_dump(mode="json")
    assert added_later.items() <= defaults.items()
    assert added_to_schedule.items() <= defaults["schedule"].items()
    first = {name: defaults[name] for name in defaults.keys() - added_later}
    first["schedule"] = {name: first["schedule"][name] for name in first["schedule"].keys() - added_to_schedule}
    assert fingerprint(first) == "4bb7847b70e251fb"


def test_the_parent_is_in_the_key_and_the_check_of_its_weights_is_not() -> None:
    parent = make_assignment(VANILLA)
    child = dataclasses.replace(make_assignment(), parent=parent)
    assert (
        len(
            {
                make_assignment().key,
                child.key,
                dataclasses.replace(child, parent=make_assignment(VANILLA, epochs=9)).key,
            }
        )
        == 3
    )
    assert dataclasses.replace(child, parent_sha256="0" * 64).key == child.key


def test_a_change_of_the_numerics_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_assignment().key
    monkeypatch.setattr("dcasearch.assignment.NUMERICS", 2)
    assert make_assignment().key != before


@pytest.mark.parametrize("score", [{}, {"kind": "zero_cost", "score": "snip", "epochs": 1}])
def test_a_change_of_the_numerics_of_some_data_changes_the_keys_of_that_data_alone(
    monkeypatch: pytest.MonkeyPatch, score: dict[str, Any]
) -> None:
    assignment = make_assignment(**score)
    folder = dataclasses.replace(assignment, data=Data(name="imagefolder", root="."))
    assert folder.key != assignment.key  # of an equal fingerprint
    monkeypatch.setattr("dcasearch.assignment.NUMERICS_OF_DATA", {})
    assert folder.key == make_assignment(**score).key == assignment.key


@pytest.mark.parametrize("recipe", [{"precision": "bf16"}, {"batch_size": 8}])
def test_precision_and_global_batch_are_in_the_key(recipe: dict[str, Any]) -> None:
    assert make_assignment(recipe=recipe).key != make_assignment().key


MNASNET = {"backbone": {"name": "mnasnet0_5", "stem": "small"}, "attention": {"name": "se"}}
SCORES = [
    {},
    {"kind": "zero_cost", "score": "snip", "epochs": 1},
    {"kind": "zero_cost", "score": "synflow", "epochs": 1},
]


@pytest.mark.parametrize("level", SCORES)
def test_mnasnets_smaller_classifier_changes_the_keys_of_mnasnet_alone(level: dict[str, Any]) -> None:
    as_before = {"recipe": {"classifier_init": "torchvision"}}
    assert make_assignment(MNASNET, **level).key != make_assignment(MNASNET, **level, **as_before).key
    assert make_assignment(**level).key == make_assignment(**level, **as_before).key


def test_mnasnets_key_with_torchvisions_classifier_is_that_of_records_made_before_the_option() -> None:
    key = make_assignment(MNASNET, recipe={"classifier_init": "torchvision"}).key
    assert (key.architecture_id, key.fidelity) == (make_assignment(MNASNET).key.architecture_id, "283dd6b833e3d061")


@pytest.mark.parametrize("data", [Data(name="imagenet", root="."), Data(name="imagefolder", root=".", classes=1000)])
def test_mnasnets_key_with_a_thousand_classes_stays(data: Data) -> None:
    recipe = {"classifier_init": "torchvision"}
    new, old = (dataclasses.replace(make_assignment(MNASNET, **how), data=data) for how in ({}, {"recipe": recipe}))
    assert new.key == old.key
    few = dataclasses.replace(new, data=data.model_copy(update={"classes": 10}))
    assert few.key != dataclasses.replace(old, data=few.data).key


def messages(message: str) -> dict[str, Any]:
    return {**CONNECTED, "connections": {"message": message}}


def test_the_order_of_the_evaluated_images_is_in_the_key_of_networks_that_mix_them_alone() -> None:
    """Equal but for the order: the key of a sender's network is that of before."""
    keys = {message: make_assignment(messages(message)).key for message in ("sender", "own", "shuffled")}
    assert keys["sender"] == make_assignment().key
    assert keys["sender"].fidelity == keys["own"].fidelity != keys["shuffled"].fidelity
    assert make_assignment().key.id == "e8d22f7aeb2e1507"


def test_the_parents_key_is_in_the_key_of_a_network_with_constant_messages() -> None:
    parents = [make_assignment(VANILLA, epochs=epochs) for epochs in (3, 4)]
    child = make_assignment(messages("constant"))
    one, other = (dataclasses.replace(child, parent=parent) for parent in parents)
    assert len({child.key, one.key, other.key}) == 3
    assert not one.starts_from_parent
    assert dataclasses.replace(make_assignment(), parent=parents[0]).starts_from_parent
