from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import Matching, Port, Resize
from dcasearch.models.matching import AxisChange, ChannelNorm, StridedConvolution, channel_matching, downsampling


def matching(**changes: Any) -> Matching:
    options: dict[str, Any] = {"source": 6, "target": 8, "hidden": None, "bias": False, "norm": "none", "act": "none"}
    return Matching(**{**options, "norm_at": "all", **changes})


def layers(**changes: Any) -> list[str]:
    return [name for name, _ in channel_matching(matching(**changes), on_map=False).named_children()]


def parameters(**changes: Any) -> int:
    return sum(p.numel() for p in channel_matching(matching(**changes), on_map=False).parameters())


def test_nothing_is_built_where_channels_agree() -> None:
    assert isinstance(channel_matching(None, on_map=False), nn.Identity)


def test_fc_has_the_parameters_of_the_paper() -> None:
    assert parameters() == 6 * 8
    assert parameters(bias=True) == 6 * 8 + 8
    assert parameters(bias=True, norm="ln", act="relu") == 6 * 8 + 3 * 8
    assert parameters(norm="bn") == 6 * 8 + 2 * 8


def test_fc2_has_the_parameters_of_the_paper() -> None:
    assert parameters(hidden=4) == 6 * 4 + 4 * 8
    assert parameters(hidden=4, bias=True, norm="ln") == 6 * 4 + 4 * 8 + 3 * 4 + 3 * 8
    assert parameters(hidden=4, bias=True, norm="ln", norm_at="inner") == 6 * 4 + 4 * 8 + 3 * 4 + 8


def test_layers_keep_their_names_whatever_the_options() -> None:
    assert layers(norm="ln", act="relu") == ["fc", "norm", "act"]
    assert layers(hidden=4, norm="bn", act="relu") == ["fc1", "norm1", "act1", "fc2", "norm2", "act2"]
    assert layers(hidden=4, act="relu", norm_at="inner") == ["fc1", "act1", "fc2"]


@pytest.mark.parametrize("norm", ["none", "ln", "bn"])
def test_a_map_is_matched_at_each_position_as_a_vector_is(norm: str) -> None:
    vector = channel_matching(matching(bias=True, norm=norm, act="relu"), on_map=False).eval()
    on_map = channel_matching(matching(bias=True, norm=norm, act="relu"), on_map=True).eval()
    on_map.load_state_dict({k: v[:, :, None, None] if k == "fc.weight" else v for k, v in vector.state_dict().items()})
    x = torch.randn(3, 6, 4, 4)
    torch.testing.assert_close(on_map(x)[:, :, 1, 2], vector(x[:, :, 1, 2]))


@pytest.mark.parametrize("mode", ["average", "max", "conv"])
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("size", [1, 7, 25, 56])
def test_downsampling_rounds_up(mode: Any, factor: int, size: int) -> None:
    x = torch.randn(1, 3, size, size)
    assert downsampling(Resize(mode, factor), 3)(x).shape[-1] == -(-size // factor)


def test_averages_ignore_what_is_outside() -> None:
    assert torch.equal(downsampling(Resize("average", 2), 1)(torch.ones(1, 1, 7, 7)), torch.ones(1, 1, 4, 4))


def test_a_convolution_starts_as_an_average() -> None:
    layer = cast(StridedConvolution, downsampling(Resize("conv", 2), 3))
    layer.draw(torch.Generator())
    torch.testing.assert_close(layer(torch.ones(1, 3, 7, 7))[:, :, 1:-1, 1:-1], torch.ones(1, 3, 2, 2))


def test_channel_norm_normalises_each_position() -> None:
    x = torch.randn(2, 6, 3, 3)
    norm = ChannelNorm(6)
    torch.testing.assert_close(norm(x)[:, :, 2, 1], nn.functional.layer_norm(x[:, :, 2, 1], (6,)))


MAP, ROW, COLUMN, VECTOR = Port(3, 1, ("H", "W")), Port(3, 1, ("H",)), Port(3, 1, ("W",)), Port(3)
X = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
CHANGES: dict[str, tuple[Port, Port, Tensor, Tensor]] = {
    "map to map": (MAP, MAP, X, X),
    "map to rows": (MAP, ROW, X, X.mean(3, keepdim=True)),
    "map to columns": (MAP, COLUMN, X, X.mean(2, keepdim=True)),
    "map to vector": (MAP, VECTOR, X, X.mean((2, 3))),
    "rows to map": (ROW, MAP, X[..., :1], X[..., :1].expand(2, 3, 4, 5)),
    "rows to vector": (ROW, VECTOR, X[..., :1], X[..., 0].mean(2)),
    "vector to rows": (VECTOR, ROW, X[..., 0, 0], X[..., :1, :1].expand(2, 3, 4, 1)),
    "vector to map": (VECTOR, MAP, X[..., 0, 0], X[..., :1, :1].expand(2, 3, 4, 5)),
    "planes of another number": (
        Port(3, 1, ("H", "W"), planes=True),
        Port(2, 1, ("H", "W"), planes=True),
        X,
        X.mean(1, keepdim=True).expand(2, 2, 4, 5),
    ),
}


@pytest.mark.parametrize(("sender", "receiver", "message", "expected"), CHANGES.values(), ids=CHANGES)
def test_axes_that_the_receiver_lacks_are_averaged_and_those_the_sender_lacks_repeated(
    sender: Port, receiver: Port, message: Tensor, expected: Tensor
) -> None:
    change = AxisChange.between(sender, receiver)
    torch.testing.assert_close(change.expand(change.shrink(message), torch.empty_like(expected)), expected)


@pytest.mark.parametrize("mode", ["average", "max", "conv"])
def test_rows_are_divided_along_their_own_axis(mode: Any) -> None:
    rows = torch.randn(2, 3, 7, 1)
    down = downsampling(Resize(mode, 2), 3, ("H",))
    assert down(rows).shape == (2, 3, 4, 1)
    if mode == "average":
        assert torch.allclose(down(rows)[:, :, :3], rows[:, :, :6].unflatten(2, (3, 2)).mean(3))
