from __future__ import annotations

import pytest

from dcasearch.analysis.power import SEEDS_ALONE, Difference, legend, power
from dcasearch.analysis.words import counts, how_to_read, too_small
from dcasearch.metrics import METRICS


def test_a_metric_that_is_no_share_of_images_is_told_apart_by_seeds_alone_and_says_so() -> None:
    assert "margin by seeds and images, for" in how_to_read(METRICS["top1"])
    assert "margin by seeds, on these images, for" in how_to_read(METRICS["ap"])
    told = Difference(1.0, 0.5, seeds_known=True, images_known=True)
    assert SEEDS_ALONE not in legend([told])
    alone = Difference(1.0, 0.5, seeds_known=True, images_known=True, seeds_alone=True)
    assert SEEDS_ALONE in legend([told, alone])
    assert alone.resolved


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([1, 1], "Too small to tell networks apart: each has one seed, a lead counts from 3 seeds on."),
        ([1, 2], "Too small to tell networks apart: each has 2 seeds, a lead counts from 3 seeds on."),
        ([1, 3], None),
        ([], None),
    ],
)
def test_a_study_that_is_too_small_to_tell_anything_says_so(seeds: list[int], said: str | None) -> None:
    assert too_small([power("x", [], images=10, seeds=n) for n in seeds]) == said


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        (Difference(2.0, 1.0, seeds_known=True, images_known=True), "yes"),
        (Difference(-2.0, 1.0, seeds_known=True, images_known=True), "yes"),
        (Difference(0.5, 1.0, seeds_known=True, images_known=True), "no"),
        (Difference(9.0, 1.0, seeds_known=False, images_known=True), "needs 3 seeds"),
        (Difference(9.0, 1.0, seeds_known=True, images_known=False), "image count not known"),
        (None, ""),
    ],
)
def test_whether_a_difference_counts_is_a_word(difference: Difference | None, word: str) -> None:
    assert counts(difference) == word
