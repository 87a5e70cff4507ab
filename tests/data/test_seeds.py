from dcasearch.data.seeds import derived_seed


def test_a_seed_depends_on_every_part() -> None:
    seeds = {derived_seed(0, "order", 1), derived_seed(1, "order", 1), derived_seed(0, "image", 1), derived_seed(0, 1)}
    assert len(seeds) == 4


def test_a_seed_is_the_same_in_every_process_and_fits_torch() -> None:
    assert derived_seed(0, "order", 1) == 4489457307835839548
    assert all(0 <= derived_seed(n) < 2**63 for n in range(100))
