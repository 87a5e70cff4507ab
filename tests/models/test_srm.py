"""SRM by itself; what every kind must do is tested where all kinds are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.models.samples import added, attended, block_of


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 64, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def printed(x: Tensor, w: Tensor, norm: nn.BatchNorm1d, training: bool) -> tuple[Tensor, Tensor]:
    """Return the paper's equations, image by image and channel by channel: the output, and the gates."""
    images, channels, height, width = x.shape
    mu, sigma, z = (torch.zeros(images, channels, dtype=x.dtype) for _ in range(3))
    for n in range(images):
        for c in range(channels):
            mu[n, c] = x[n, c].sum() / (height * width)
            sigma[n, c] = (((x[n, c] - mu[n, c]) ** 2).sum() / (height * width)).sqrt()
            z[n, c] = w[c] @ torch.stack((mu[n, c], sigma[n, c]))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    over_batch = (z.sum(0) / images, ((z - z.sum(0) / images) ** 2).sum(0) / images)
    mu_z, variance_z = over_batch if training else (norm.running_mean, norm.running_var)
    g = 1 / (1 + torch.exp(-(norm.weight * (z - mu_z) / (variance_z + norm.eps).sqrt() + norm.bias)))
    return g[:, :, None, None] * x, g


@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_papers_equations(training: bool, x: Tensor) -> None:
    block = block_of({"name": "srm"}).train(training)
    block.channel.norm.running_mean.normal_(generator=torch.Generator().manual_seed(3))
    expected, gates = printed(x, block.channel.fc.weight, block.channel.norm, training)
    y, messages = attended(block, x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(messages["channel"], (gates * x.mean((2, 3)),))


def test_a_map_of_one_pixel_has_finite_gates_and_gradients() -> None:
    part = block_of({"name": "srm"}).channel
    x = torch.randn(2, 64, 1, 1, dtype=torch.float64, requires_grad=True)
    part.fuse(x, part.transform(part.extract(x))).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_it_starts_with_gates_of_one_half_and_learns_from_there(x: Tensor) -> None:
    part = block_of({"name": "srm"}).channel.train()
    part.fc.draw(torch.Generator())
    part.norm.reset_parameters()
    gates = part.transform(part.extract(x))
    torch.testing.assert_close(gates, torch.full((3, 64), 0.5, dtype=torch.float64))
    (gates * torch.arange(3)[:, None]).sum().backward()
    assert (part.fc.weight.grad.abs() > 1e-6).all()


def test_it_costs_four_parameters_a_channel() -> None:
    assert added({"name": "srm"}) == {c: (4 * c, 0) for c in (256, 512, 1024, 2048)}
