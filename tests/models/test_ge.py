"""GE-θ⁺ by itself: timm's excitation, and what it costs; GE-θ⁻ and GE-θ are in test_attention.py."""

from __future__ import annotations

import pytest
import torch
from timm.layers.gather_excite import GatherExcite
from timm.layers.mlp import ConvMlp
from torch import Tensor, nn

from tests.models.samples import added, attended, block_of


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 64, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def theirs(part: nn.Module, extent: int, width: int) -> GatherExcite:
    """Return timm's module with our weights.

    timm 1.0.31 cannot make one with a learned gather (its `*dd` passes two words by position): made part by part.
    """
    module = GatherExcite.__new__(GatherExcite)
    nn.Module.__init__(module)
    module.extent, module.add_maxpool = extent, False
    module.gather, module.gate = part.get_submodule("gather"), nn.Sigmoid()
    module.mlp = ConvMlp(64, width).double()
    module.mlp.load_state_dict(part.get_submodule("excite").state_dict())
    return module.eval()


@pytest.mark.parametrize("extent", [2, 4, 8])
def test_it_is_timms_module_of_a_learned_gather_with_an_mlp(extent: int, x: Tensor) -> None:
    block = block_of({"name": "ge_theta_plus", "extent": extent, "reduction": 4})
    y, _ = attended(block, x)
    torch.testing.assert_close(y, theirs(block.channel, extent, 16)(x), rtol=0, atol=1e-12)


def test_it_sends_its_gates_scaled_by_the_gathered_map(x: Tensor) -> None:
    block = block_of({"name": "ge_theta_plus", "extent": 2})
    g = block.channel.gather(x)
    _, messages = attended(block, x)
    torch.testing.assert_close(messages["channel"], (torch.sigmoid(block.channel.excite(g)) * g,))
    assert g.shape == (2, 64, 5, 4)


def test_it_gathers_as_theta_does() -> None:
    parts = [block_of({"name": name}).channel.gather for name in ("ge_theta", "ge_theta_plus")]
    assert str(parts[0]) == str(parts[1])


def test_it_costs_thetas_gather_and_ses_bottleneck_at_each_gathered_position() -> None:
    gathered = 28 * 28 + 14 * 14 + 7 * 7
    assert added({"name": "ge_theta_plus"}) == {
        c: (33 * c + 2 * c * (c // 16) + c // 16 + c, 9 * c * gathered + 2 * c * (c // 16) * 7 * 7)
        for c in (256, 512, 1024, 2048)
    }
