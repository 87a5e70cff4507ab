from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.paper.released.key_map import KeyMap, without_ones
from tests.paper.released.support import CHEAP, keys_of, released, truths

QUICK = (*CHEAP, "se_resnet18", "dca_se_mnasnet1_0r8", "dca_se_mobilenet_v2", "dca_sk_mobilenet_v2", "dca_sk2_resnet50")
"""Each form of names."""
ALL = [pytest.param(factory, marks=() if factory in QUICK else pytest.mark.slow) for factory in sorted(truths())]


def by_their_names(keys: KeyMap) -> dict[str, Any]:
    """Our parameter, two of ours, or "dead", by the released name: as the released models are listed."""
    ours: dict[str, Any] = dict.fromkeys(keys.dead, "dead")
    for name, (key, part) in keys.sources.items():
        if part is None:
            ours[key] = name
        else:
            ours.setdefault(key, [None, None])[part] = name
    return ours


@pytest.mark.parametrize("factory", ALL)
def test_the_rules_give_every_key_of_the_released_code_its_parameter(factory: str) -> None:
    assert by_their_names(keys_of(factory)) == {key: ours for key, (_, ours) in truths()[factory].keys.items()}


@pytest.mark.parametrize("factory", ALL)
def test_the_rules_give_every_key_of_the_released_code_its_shape(factory: str) -> None:
    expected = {key: without_ones(tuple(shape)) for key, (shape, _) in truths()[factory].keys.items()}
    assert {key: without_ones(shape) for key, shape in keys_of(factory).keys.items()} == expected


@pytest.mark.parametrize("factory", sorted(truths()))
def test_the_architecture_of_a_released_model_is_the_one_that_computes_as_it_does(factory: str) -> None:
    assert released(factory).architecture.id == Architecture.parse(truths()[factory].architecture).id


@pytest.mark.parametrize(
    ("shape", "without"), [((), ()), ((1,), ()), ((4, 1, 1), (4,)), ((1, 2, 1, 1), (1, 2)), ((1, 4), (1, 4))]
)
def test_ones_at_the_end_of_a_shape_change_no_number(shape: tuple[int, ...], without: tuple[int, ...]) -> None:
    assert without_ones(shape) == without
