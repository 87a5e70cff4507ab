"""Our networks with imported weights answer as the released code does.

Logits are compared within 1e-9 of the norm of all logits: norms reach 3e4, where fp64 has eleven digits left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import Tensor

from dcasearch.models.attention.base import Extraction, Message
from dcasearch.models.attention.sk import SelectBranches
from dcasearch.paper.released.key_map import COUNTER
from tests.paper.released.support import CHEAP, SK_LIGHT, Truth, filled, imported, keys_of, logits_of, truths

TOLERANCE = 1e-9
EQUAL = [
    pytest.param(factory, marks=() if factory in CHEAP else pytest.mark.slow)
    for factory in sorted(truths())
    if factory != SK_LIGHT
]


def off(logits: Tensor, truth: Truth) -> float:
    """Largest difference to the released code's answer, as a share of the norm of all logits."""
    first = torch.tensor(truth.logits, dtype=torch.float64)
    shown = (logits[:, : first.shape[1]] - first).abs().max()
    return float(torch.maximum(shown, (logits.norm() - truth.norm).abs())) / truth.norm


@pytest.mark.parametrize("factory", EQUAL)
def test_an_imported_network_answers_as_the_released_code_and_holds_its_tensors(factory: str) -> None:
    truth = truths()[factory]
    state = filled(truth.keys)
    tensors = imported(factory, state)
    assert_holds(tensors, state, truth)
    assert off(logits_of(factory, tensors), truth) < TOLERANCE


def assert_holds(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor], truth: Truth) -> None:
    """Every tensor of the state dict is where the released models' list says, and nothing else is there."""
    listed: dict[str, Tensor] = {}
    for key, (_, ours) in truth.keys.items():
        if isinstance(ours, list):
            listed |= {ours[n]: state[key][0, n].squeeze() for n in (0, 1)}
        elif ours != "dead":
            listed[ours] = state[key]
    assert tensors.keys() == listed.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor.flatten(), listed[name].flatten()), name


def unscaled(self: SelectBranches, extraction: Extraction, transformed: Tensor) -> Message:
    """SK's message in the released MobileNetV2 file: T alone."""
    return tuple(transformed.unbind(1))


@pytest.mark.slow
def test_the_network_that_differs_differs_by_its_message_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = truths()[SK_LIGHT]
    state = filled(truth.keys)
    tensors = imported(SK_LIGHT, state)
    assert_holds(tensors, state, truth)
    assert off(logits_of(SK_LIGHT, tensors), truth) > 1e-3
    monkeypatch.setattr(SelectBranches, "message", unscaled)
    assert off(logits_of(SK_LIGHT, tensors), truth) < TOLERANCE


UNSEEN = (".conv.0.bias", "att_conv1.0.bias", "att_conv2.0.bias", "conv_mask.bias", COUNTER)
"""Ends of the keys that change no output. A LayerNorm over the channels takes away the bias of a 2 -> 1 convolution, a
softmax over the positions that of GC's mask; BatchNorm does not read its counter. Dead keys are the others."""
SWAPPED = ("dca_se_resnet18", "dca_gc_resnet18", "dca_cbam_mnasnet1_0r8", "sk_mobilenet_v2")


def neighbours(keys: Mapping[str, tuple[list[int], object]]) -> Iterator[tuple[str, str]]:
    """Each key with the next one of its shape: in a chain, so that every key is swapped at least once."""
    last: dict[tuple[int, ...], str] = {}
    for key, (shape, _) in keys.items():
        if tuple(shape) in last:
            yield last[tuple(shape)], key
        last[tuple(shape)] = key


@pytest.mark.slow
@pytest.mark.parametrize("factory", SWAPPED)
def test_two_keys_that_are_swapped_are_seen_in_the_logits_unless_no_output_depends_on_them(factory: str) -> None:
    truth, dead = truths()[factory], keys_of(factory).dead
    state = filled(truth.keys)
    tensors = imported(factory, state)
    expected = logits_of(factory, tensors)
    seen, unseen = 0, 0
    for one, other in list(neighbours(truth.keys))[::3]:
        swapped = imported(factory, {**state, one: state[other], other: state[one]})
        idle = all(key in dead or key.endswith(UNSEEN) for key in (one, other))
        difference = (logits_of(factory, swapped) - expected).abs().max()
        moved = not bool(difference <= TOLERANCE * truth.norm)  # a mean as a variance gives nan
        assert moved != idle, (one, other)
        seen, unseen = seen + moved, unseen + idle
    assert seen > 20
    assert unseen > 0


def test_a_swap_of_two_keys_is_an_error_of_this_test() -> None:
    factory = "dca_getheta_mobilenet_v2"
    truth = truths()[factory]
    state = filled(truth.keys)
    one, other = "features2.1.ge.att_fc.0.bias", "features2.1.ge.att_fc.1.bias"
    swapped = {**state, one: state[other], other: state[one]}
    assert off(logits_of(factory, imported(factory, swapped)), truth) > TOLERANCE
    with pytest.raises(AssertionError):
        assert_holds(imported(factory, swapped), state, truth)
