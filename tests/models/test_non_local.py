"""Non-Local by itself; what every kind must do is tested where all kinds are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import NonLocalAttn
from torch import Tensor

from dcasearch.models.attention import Extraction
from tests.models.samples import added, attended, block_of


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 64, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def theirs(part: Any, width: int) -> NonLocalAttn:
    """Return timm's module with our weights; its biases are 0 and it scales nothing, as the paper prints."""
    module = NonLocalAttn(64, use_scale=False, rd_channels=width).double()
    pairs = (("t", "theta"), ("p", "phi"), ("g", "value"), ("z", "out"))
    module.load_state_dict(
        {f"{there}.weight": getattr(part, here).weight for there, here in pairs}
        | {f"{there}.bias": torch.zeros_like(getattr(module, there).bias) for there, _ in pairs}
        | {f"norm.{key}": value for key, value in (part.norm.state_dict() | part.affine.state_dict()).items()}
    )
    return module.train(part.training)


@pytest.mark.parametrize("training", [True, False])
def test_it_is_timms_module(training: bool, x: Tensor) -> None:
    block = block_of({"name": "non_local"}).train(training)
    other = theirs(block.channel, 32)
    y, _ = attended(block, x)
    torch.testing.assert_close(y, other(x), rtol=0, atol=1e-12)


def test_its_extraction_is_the_mean_of_the_attended_map_and_its_message_a_vector(x: Tensor) -> None:
    block = block_of({"name": "non_local"})
    part, vectors = block.channel, x.flatten(2)
    affinity = torch.einsum(
        "hc,bci,hd,bdj->bij", part.theta.weight[:, :, 0, 0], vectors, part.phi.weight[:, :, 0, 0], vectors
    )
    a = affinity.exp() / affinity.exp().sum(2, keepdim=True)
    attended_map = torch.einsum("bij,bcj->bci", a, vectors)
    torch.testing.assert_close(part.extract(x), (attended_map.mean(2),))
    y, messages = attended(block, x)
    torch.testing.assert_close(messages["channel"], ((y - x).mean((2, 3)),))


def test_a_message_moves_the_attended_map_by_what_it_changes_of_its_mean(x: Tensor) -> None:
    block = block_of({"name": "non_local"})
    part, shift = block.channel, torch.linspace(-1, 1, 64, dtype=torch.float64)

    def receive(dimension: str, raw: Extraction, read: Any) -> Extraction:
        return (raw[0] + shift,)

    y, _ = block.attend(x, receive, {})
    m = part.attended(x, part.weights(x))
    moved = part.affine(part.norm(part.out(m + (part.value.weight[:, :, 0, 0] @ shift)[:, None, None])))
    torch.testing.assert_close(y, x + moved)


def test_it_starts_as_the_identity(x: Tensor) -> None:
    block = block_of({"name": "non_local"}).train()
    block.channel.affine.draw(torch.Generator())
    assert torch.equal(attended(block, x)[0], x)


def test_it_costs_four_convolutions_two_products_of_all_pairs_and_the_mean() -> None:
    n = 56 * 56
    assert added({"name": "non_local"}) == {
        c: (4 * c * (c // 2) + 2 * c, 4 * c * (c // 2) * n + 2 * n * n * (c // 2) + n * c + c * (c // 2))
        for c in (256, 512, 1024, 2048)
    }
