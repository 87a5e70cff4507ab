from __future__ import annotations

from dcasearch.analysis.power import SEEDS_ALONE, Difference, legend
from dcasearch.analysis.words import how_to_read
from dcasearch.metrics import METRICS


def test_a_metric_that_is_no_share_of_images_is_told_apart_by_seeds_alone_and_says_so() -> None:
    assert "margin by seeds and images, for" in how_to_read(METRICS["top1"])
    assert "margin by seeds, on these images, for" in how_to_read(METRICS["ap"])
    told = Difference(1.0, 0.5, seeds_known=True, images_known=True)
    assert SEEDS_ALONE not in legend([told])
    alone = Difference(1.0, 0.5, seeds_known=True, images_known=True, seeds_alone=True)
    assert SEEDS_ALONE in legend([told, alone])
    assert alone.resolved
