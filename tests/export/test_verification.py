from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.evaluation import Cost
from dcasearch.export import Candidate, Check, verify
from dcasearch.export.verification import check_here
from dcasearch.models import build_model, cost
from dcasearch.training import evaluate_weights
from dcasearch.training.weights import save_weights
from tests.export.conftest import ARCHITECTURE, DATA, RESOLUTION, Exporter, Trained
from tests.export.test_spec import rewrite
from tests.support import with_top1

ACCURACY = "top-1 on digits (search)"


@pytest.fixture
def spec_file(exported: Exporter, tmp_path: Path) -> Path:
    exported()
    return tmp_path / "best.yaml"


def wrong(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.ok is False]


def test_an_exported_model_verifies_in_a_new_process(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcasearch.export.verification.build_network", None)  # of this process, which must not matter
    checks = verify(spec_file)
    assert [check.name for check in checks] == [
        "id",
        "sha256 of the weights",
        "parameters",
        "multiply-adds",
        "logits",
        "data",
        ACCURACY,
    ]
    assert all(check.ok for check in checks)


def test_a_network_that_started_as_the_identity_verifies_with_what_its_scalars_have_become(
    exported: Exporter, trained: Trained, spec_file: Path, tmp_path: Path
) -> None:
    identity = Architecture.parse({**ARCHITECTURE.to_dict(), "attention_init": "identity"})
    model = build_model(identity, 10)
    for name, parameter in model.named_parameters():
        if name.endswith("gain.s"):
            torch.nn.init.constant_(parameter, 0.7)
    weights = tmp_path / "weights" / "x.safetensors"
    digest = save_weights(model, weights)
    metrics = evaluate_weights(identity, weights, DATA, "search", resolution=RESOLUTION)
    history = (dataclasses.replace(trained.evaluation.history[0], values=metrics),)
    key = dataclasses.replace(trained.evaluation.key, architecture_id=identity.id)
    evaluation = dataclasses.replace(trained.evaluation, key=key, history=history, weights_sha256=digest)
    spec = exported(
        architecture=identity,
        cost=cost(identity, RESOLUTION, 10),
        evaluation=evaluation,
        artifacts=tmp_path,
        winner=[Candidate("winner", "proxy", evaluation)],
    )
    assert spec.architecture["attention_init"] == "identity"
    assert all(check.ok for check in check_here(spec_file))


@pytest.mark.slow
def test_a_broken_spec_is_the_same_error_from_the_new_process(spec_file: Path) -> None:
    (spec_file.parent / "best.safetensors").unlink()
    with pytest.raises(UserError, match=r"best\.safetensors is missing"):
        verify(spec_file)


def test_a_wrong_id_or_count_is_found(exported: Exporter, spec_file: Path) -> None:
    exported(cost=Cost(1, 2))
    assert wrong(check_here(rewrite(spec_file, id="0" * 16))) == ["id", "parameters", "multiply-adds"]


def test_an_architecture_that_cannot_be_is_found(spec_file: Path) -> None:
    [check] = check_here(rewrite(spec_file, architecture={"backbone": {"name": "resnet51"}}))
    assert (check.name, check.ok) == ("id", False)
    assert "did you mean 'resnet" in check.got


def test_weights_of_another_network_are_found(spec_file: Path) -> None:
    other = {**ARCHITECTURE.to_dict(), "attention": {"name": "se"}}
    checks = check_here(rewrite(spec_file, architecture=other, id=Architecture.parse(other).id))
    assert wrong(checks) == ["parameters", "multiply-adds", "weights fit the network"]


def change_weights(spec_file: Path, scale: float) -> Path:
    file = spec_file.parent / "best.safetensors"
    tensors = load_file(file)
    tensors["backbone.classifier.1.weight"] = torch.roll(tensors["backbone.classifier.1.weight"], 1, 0) * scale
    save_file(tensors, file)
    return file


def test_changed_weights_are_found_by_their_hash_their_logits_and_their_accuracy(spec_file: Path) -> None:
    change_weights(spec_file, 3.0)
    assert {"sha256 of the weights", "logits"} <= set(wrong(check_here(spec_file)))


def test_changed_weights_are_found_even_where_the_hash_was_forged(spec_file: Path) -> None:
    file = change_weights(spec_file, 3.0)
    forged = hashlib.sha256(file.read_bytes()).hexdigest()
    checks = check_here(rewrite(spec_file, weights={"file": file.name, "sha256": forged}))
    assert "logits" in wrong(checks)
    assert "sha256 of the weights" not in wrong(checks)


@pytest.mark.parametrize(("points", "ok"), [(0.0, True), (0.5, True), (2.0, False)])
def test_an_accuracy_is_equal_within_one_image_of_the_held_out_ones(
    exported: Exporter, trained: Trained, spec_file: Path, points: float, ok: bool
) -> None:
    epoch = with_top1(trained.evaluation.last, trained.evaluation.last.values["top1"] + points)
    evaluation = dataclasses.replace(trained.evaluation, history=(epoch,))
    exported(evaluation=evaluation, winner=[Candidate("winner", "proxy", evaluation)])
    checks = {check.name: check for check in check_here(spec_file)}
    assert checks[ACCURACY].ok is ok
    assert "± 0.69" in checks[ACCURACY].expected, "one of the 144 held-out digits"


def change_data(spec_file: Path, **changes: Any) -> Path:
    return rewrite(spec_file, data={**yaml.safe_load(spec_file.read_text())["data"], **changes})


def test_other_classes_are_other_data(spec_file: Path) -> None:
    checks = check_here(change_data(spec_file, classes=["1", "2"]))
    assert "data" in wrong(checks)


def test_other_data_is_found_and_nothing_is_measured_on_it(spec_file: Path) -> None:
    checks = check_here(change_data(spec_file, split_seed=1))
    assert wrong(checks) == ["data"]
    assert ACCURACY not in [check.name for check in checks]


def test_without_its_data_the_accuracy_is_said_to_be_unchecked(spec_file: Path) -> None:
    checks = check_here(change_data(spec_file, name="cifar10"))
    assert checks[-1].ok is None
    assert "data.root is missing" in checks[-1].got
    assert wrong(checks) == []


def test_data_that_was_named_and_is_not_there_is_a_user_error(spec_file: Path) -> None:
    with pytest.raises(UserError, match="there is no folder /nowhere"):
        check_here(change_data(spec_file, name="cifar10"), "/nowhere")


def test_the_test_split_is_measured_where_the_weights_were(
    exported: Exporter, trained: Trained, spec_file: Path
) -> None:
    from dcasearch.training import evaluate_weights

    key = dataclasses.replace(trained.evaluation.key, protocol="test", seed=1000)
    top1 = evaluate_weights(ARCHITECTURE, trained.artifacts / "weights/x.safetensors", DATA, "test", resolution=8)[
        "top1"
    ]
    epoch = dataclasses.replace(trained.evaluation.last, values={"top1": top1, "loss": 1.0})
    evaluation = dataclasses.replace(trained.evaluation, key=key, history=(epoch,))
    exported(evaluation=evaluation, winner=[trained.candidate(), Candidate("winner", "proxy", evaluation)])
    checks = check_here(spec_file)
    assert checks[-1] == Check("top-1 on digits (test)", f"{top1:.2f} ± 0.28", f"{top1:.2f}", True)
