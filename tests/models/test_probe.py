from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dcasearch.models.probe import ask, difference, probe_batch


def test_the_batch_depends_on_the_seed_alone_and_never_changes() -> None:
    batch = probe_batch(0, 2, 4)
    assert batch.shape == (2, 3, 4, 4)
    assert torch.equal(batch, probe_batch(0, 2, 4))
    assert not torch.equal(batch, probe_batch(1, 2, 4))
    assert batch[0, 0, 0].tolist() == pytest.approx([1.1931123, 0.8935803, -0.2751481, -0.8351369], abs=1e-6)


def test_the_batch_has_zero_mean_and_unit_variance() -> None:
    batch = probe_batch(0, 4, 32)
    assert batch.mean().item() == pytest.approx(0, abs=0.03)
    assert batch.std().item() == pytest.approx(1, abs=0.03)


class Head(nn.Module):
    """20 logits that depend on whether the model trains."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, 21.0))

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return images_BCHW.mean((1, 2, 3))[:, None] * self.weight + 100 * self.training


def test_a_network_is_asked_in_evaluation_mode_and_left_as_it_was() -> None:
    model = Head().train()
    answer = ask(model, 4)
    assert model.training
    mean = probe_batch(0, 2, 4)[0].mean().item()
    assert answer.logits[0] == pytest.approx([mean * k for k in range(1, 17)], rel=1e-6)
    assert answer.norms[0] == pytest.approx(abs(mean) * math.sqrt(sum(k * k for k in range(1, 21))), rel=1e-6)


def test_equal_answers_do_not_differ_and_a_changed_weight_does() -> None:
    model, other = Head(), Head()
    assert difference(ask(model, 4), ask(other, 4)) == 0
    with torch.no_grad():
        other.weight[19] += 1  # beyond the logits that are written out
    assert difference(ask(model, 4), ask(other, 4)) > 1e-3


def test_answers_of_another_width_are_infinitely_different() -> None:
    narrow = Head()
    narrow.weight = nn.Parameter(torch.ones(3))
    assert difference(ask(Head(), 4), ask(narrow, 4)) == math.inf
