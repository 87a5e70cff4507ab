import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.data.split import split_train, stratified_order, subset
from dcasearch.errors import DataError

LABELS = np.random.RandomState(3).choice(4, size=400, p=[0.1, 0.2, 0.3, 0.4])


def shares(indices: np.ndarray) -> np.ndarray:
    return np.bincount(LABELS[indices], minlength=4) / len(indices)


def test_the_two_parts_are_disjoint_and_together_all_of_train() -> None:
    split = split_train(LABELS, 0.1, seed=0)
    assert sorted([*split.train, *split.validation]) == list(range(400))
    assert len(split.validation) == 40


@pytest.mark.parametrize("size", [20, 40, 100, 333])
def test_every_run_of_the_order_holds_the_classes_in_proportion(size: int) -> None:
    order = stratified_order(LABELS, seed=0)
    whole = np.bincount(LABELS) / len(LABELS)
    for start in range(0, 400 - size, 37):
        counts = np.bincount(LABELS[order[start : start + size]], minlength=4)
        assert np.abs(counts - whole * size).max() <= 1.5


def test_the_split_is_the_same_everywhere() -> None:
    assert stratified_order(np.array([0, 1, 0, 1, 0, 1, 2]), seed=0).tolist() == [4, 3, 6, 0, 5, 2, 1]


def test_the_seed_decides_the_split() -> None:
    first, again, other = (split_train(LABELS, 0.1, seed).validation.tolist() for seed in (0, 0, 1))
    assert first == again
    assert set(first) != set(other)


def test_a_smaller_subset_is_part_of_a_larger_one_and_stratified() -> None:
    order = split_train(LABELS, 0.1, seed=0).train
    small, large = subset(order, 0.1), subset(order, 0.5)
    assert set(small) < set(large)
    assert (len(small), len(large)) == (36, 180)
    assert np.abs(shares(small) - shares(order)).max() < 0.05


def test_a_subset_is_never_empty() -> None:
    assert len(subset(np.arange(5), 0.01)) == 1


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_a_split_that_leaves_a_part_empty_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="both parts need at least one image"):
        split_train(np.zeros(10, np.int64), fraction, seed=0)


@given(st.lists(st.integers(0, 9), min_size=4, max_size=60), st.integers(0, 5))
def test_the_images_of_a_group_stay_on_one_side(groups: list[int], seed: int) -> None:
    labels = np.array([group % 3 for group in groups])
    named = np.array(groups)
    if len(set(groups)) == 1:
        with pytest.raises(DataError, match="of one group"):
            split_train(labels, 0.3, seed, named)
        return
    split = split_train(labels, 0.3, seed, named)
    assert len(split.train)
    assert len(split.validation)
    assert not set(named[split.train]) & set(named[split.validation])
    assert sorted([*split.train, *split.validation]) == list(range(len(groups)))


def test_held_out_groups_are_near_the_share_and_hold_every_class() -> None:
    groups = np.repeat(np.arange(100), 5)
    labels = groups % 4
    split = split_train(labels, 0.2, 0, groups)
    assert len(split.validation) == 100
    assert np.bincount(labels[split.validation]).tolist() == [25, 25, 25, 25]


def test_without_groups_a_split_is_as_it_was() -> None:
    labels = np.arange(50) % 5
    alone = split_train(labels, 0.2, 3, np.arange(50))
    assert sorted(alone.validation) == sorted(split_train(labels, 0.2, 3).validation)
