from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from dcasearch.data.sampling import Balanced, Uniform, class_weights, copies, order_of

LABELS = np.array([0] * 80 + [1] * 15 + [3] * 5)
"""Class 2 has no image."""
INDICES = np.arange(100)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_takes_every_image_once() -> None:
    order = order_of("uniform", INDICES, LABELS).order(generator())
    assert sorted(order) == list(INDICES)
    assert list(order) != list(INDICES)


def test_balanced_draws_as_many_images_and_every_class_with_images_equally_often() -> None:
    sampler = order_of("balanced", INDICES, LABELS)
    assert len(sampler) == len(INDICES)
    drawn = np.concatenate([sampler.order(generator(seed)) for seed in range(100)])
    shares = np.bincount(LABELS[drawn], minlength=4) / len(drawn)
    assert shares == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.02)


def test_balanced_draws_each_image_of_a_class_equally_often() -> None:
    sampler = Balanced(INDICES, LABELS)
    drawn = np.concatenate([sampler.order(generator(seed)) for seed in range(200)])
    counts = np.bincount(drawn, minlength=100)
    assert counts[80:95] == pytest.approx(np.full(15, 20_000 / 3 / 15), rel=0.2)
    assert counts.min() > 0


def test_balanced_draws_only_the_images_that_are_given() -> None:
    own = np.array([3, 81, 82, 97])
    assert set(Balanced(own, LABELS).order(generator())) <= set(own)


@pytest.mark.parametrize("sampler", [Uniform(INDICES), Balanced(INDICES, LABELS)])
def test_an_order_is_a_function_of_its_generator(sampler: Uniform | Balanced) -> None:
    first = sampler.order(generator(1))
    assert list(first) == list(sampler.order(generator(1)))
    assert list(first) != list(sampler.order(generator(2)))


def test_copies_of_an_image_are_numbered_in_their_order() -> None:
    assert list(copies(np.array([4, 2, 4, 4, 9, 2]))) == [0, 0, 1, 2, 0, 1]
    assert list(copies(np.array([7]))) == [0]


def test_class_weights_are_those_of_scikit_learn_and_0_without_images() -> None:
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=LABELS)
    weights = class_weights(np.bincount(LABELS))
    assert weights == pytest.approx([expected[0], expected[1], 0.0, expected[2]])
    assert np.mean(np.array(weights)[LABELS]) == pytest.approx(1)
