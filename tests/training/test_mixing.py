from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.config.recipe import Recipe
from dcasearch.data import Batch, Share
from dcasearch.training.mixing import Mixing

CLASSES = 4
STEPS = 30
BOTH = {"mixup": 0.4, "cutmix": 1.0}


def batch(images: int = 6, pixels: int = 8) -> Batch:
    """Each image is one number, its place in the batch."""
    return torch.arange(images).float()[:, None, None, None].expand(-1, 3, pixels, pixels), torch.arange(images) % 4


def mixed(recipe: dict[str, Any], step: int, data: Batch, *, epoch: int = 1, seed: int = 0) -> Batch:
    mix = Mixing(Recipe.model_validate(recipe), classes=CLASSES, seed=seed).of_epoch(epoch)
    assert mix is not None
    return mix(step, data)


def test_nothing_is_mixed_unless_the_recipe_says_so() -> None:
    assert Mixing(Recipe(), classes=CLASSES, seed=0).of_epoch(1) is None


def test_mixup_blends_each_image_and_label_with_the_one_before() -> None:
    images, labels = mixed({"mixup": 0.4}, 0, batch())
    share = float(labels[0, 0])
    assert 0 < share < 1
    torch.testing.assert_close(images[1:, 0, 0, 0], torch.arange(1, 6) - (1 - share))
    torch.testing.assert_close(images[0, 0, 0, 0], torch.tensor((1 - share) * 5))
    assert torch.equal(images, images[:, :1, :1, :1].expand_as(images))
    torch.testing.assert_close(labels.sum(1), torch.ones(6))


def test_cutmix_pastes_a_window_and_weighs_the_labels_by_its_area() -> None:
    for step in range(STEPS):
        images, labels = mixed({"cutmix": 1.0}, step, batch())
        kept = (images[1] == 1).float().mean()
        assert set(images[1].unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(labels[1, 1], kept)
        torch.testing.assert_close(labels[1, 0], 1 - kept)


def test_where_both_are_set_each_batch_gets_one_of_them() -> None:
    blended = [not bool((mixed(BOTH, step, batch())[0] % 1 == 0).all()) for step in range(STEPS)]
    assert 5 < sum(blended) < STEPS - 5


def test_what_is_mixed_depends_on_seed_epoch_and_step_alone() -> None:
    first = mixed(BOTH, 3, batch())
    torch.manual_seed(9)
    mixed(BOTH, 2, batch())
    again = mixed(BOTH, 3, batch())
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    others = [mixed(BOTH, 4, batch()), mixed(BOTH, 3, batch(), epoch=2), mixed(BOTH, 3, batch(), seed=1)]
    assert not any(torch.equal(first[1], labels) for _, labels in others)


def test_the_global_generator_is_left_as_it_was() -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    mixed(BOTH, 0, batch())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_mix_as_one_process_does_but_for_the_first_image_of_each_part(world: int) -> None:
    whole = batch(12)
    for step in range(STEPS):
        images, labels = mixed(BOTH, step, whole)
        for rank in range(world):
            part = Share(rank, world).of(12)
            own_images, own_labels = mixed(BOTH, step, (whole[0][part], whole[1][part]))
            assert torch.equal(own_images[1:], images[part][1:])
            assert torch.equal(own_labels[1:], labels[part][1:])


def test_one_image_is_mixed_with_itself() -> None:
    images, labels = mixed({"mixup": 0.4}, 0, batch(1))
    torch.testing.assert_close(images, batch(1)[0])
    torch.testing.assert_close(labels, torch.eye(CLASSES)[:1])
