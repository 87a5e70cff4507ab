from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dcasearch.evaluation import Evaluation
from dcasearch.training import evaluate_weights, sha256_of
from dcasearch.training.weights import save_weights
from tests.training.support import VANILLA, make_assignment


def test_weights_are_every_parameter_and_buffer(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    digest = save_weights(model, tmp_path / "weights" / "a.safetensors")
    loaded = load_file(tmp_path / "weights" / "a.safetensors")
    assert set(loaded) == set(model.state_dict())
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())
    assert digest == sha256_of(tmp_path / "weights" / "a.safetensors")


def test_measuring_the_weights_gives_the_last_epochs_metrics(undisturbed: tuple[Evaluation, Path]) -> None:
    evaluation, artifacts = undisturbed
    assignment = make_assignment()
    assert evaluation.weights is not None
    assert evaluation.weights_sha256 == sha256_of(artifacts / evaluation.weights)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    metrics = evaluate_weights(
        assignment.architecture, artifacts / evaluation.weights, assignment.data, "search", resolution=16, batch_size=16
    )
    torch.set_num_threads(threads)
    last = evaluation.last
    assert (metrics["top1"], metrics["top5"]) == (last.values["top1"], last.values["top5"])
    assert metrics["loss"] == pytest.approx(last.values["loss"], rel=1e-5)


def test_another_protocol_measures_on_other_images(undisturbed: tuple[Evaluation, Path]) -> None:
    evaluation, artifacts = undisturbed
    assignment = make_assignment()
    weights = artifacts / str(evaluation.weights)
    search, test, paper = (
        evaluate_weights(assignment.architecture, weights, assignment.data, protocol, resolution=16)
        for protocol in ("search", "test", "paper")
    )
    assert search != test == paper


def test_weights_of_another_network_are_refused(undisturbed: tuple[Evaluation, Path]) -> None:
    evaluation, artifacts = undisturbed
    other = make_assignment(VANILLA)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        evaluate_weights(other.architecture, artifacts / str(evaluation.weights), other.data, "search", resolution=16)
