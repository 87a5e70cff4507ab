import numpy as np
import pytest

from dcasearch.data.seeds import derived_seed, frozen_generator


def test_a_seed_depends_on_every_part() -> None:
    seeds = {derived_seed(0, "order", 1), derived_seed(1, "order", 1), derived_seed(0, "image", 1), derived_seed(0, 1)}
    assert len(seeds) == 4


def test_a_seed_is_the_same_in_every_process_and_fits_torch() -> None:
    assert derived_seed(0, "order", 1) == 4489457307835839548
    assert all(0 <= derived_seed(n) < 2**63 for n in range(100))


def test_a_small_seed_draws_what_numpys_does_and_a_large_one_draws_too() -> None:
    drawn = {seed: frozen_generator(seed).random_sample() for seed in (0, 7, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1)}
    assert drawn[7] == np.random.RandomState(7).random_sample()
    assert drawn[2**32 - 1] == np.random.RandomState(2**32 - 1).random_sample()
    assert drawn[2**32] == pytest.approx(0.11299430095636409, abs=0)
    assert len(set(drawn.values())) == len(drawn)
