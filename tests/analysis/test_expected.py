from __future__ import annotations

import math

import numpy as np
import pytest

from dcasearch.analysis.expected import expected
from dcasearch.analysis.trust import correlate
from dcasearch.config.study import Promotion


def test_below_ten_promoted_networks_no_correlation_is_expected() -> None:
    seen = expected("proxy", "full", Promotion(top=2, random=1), 12)
    assert (seen.networks, seen.drawn, seen.tau, seen.rho) == (3, 1, None, None)
    assert expected("proxy", "full", Promotion(top=8, random=2), 5).networks == 5


def test_the_expected_interval_is_about_as_wide_as_the_bootstraps() -> None:
    seen = expected("proxy", "full", Promotion(top=40, random=0), 40)
    assert seen.rho is not None
    rng, widths = np.random.default_rng(5), []
    for _ in range(20):
        x = rng.standard_normal(40)
        y = 0.52 * x + math.sqrt(1 - 0.52**2) * rng.standard_normal(40)
        found = correlate([(x.tolist(), y.tolist())])
        assert found is not None
        widths.append(found.rho_interval[1] - found.rho_interval[0])
    assert seen.rho[1] - seen.rho[0] == pytest.approx(np.mean(widths), rel=0.2)


def test_few_at_random_that_stand_for_many_make_the_interval_wide() -> None:
    few = expected("proxy", "full", Promotion(top=8, random=2), 200)
    many = expected("proxy", "full", Promotion(top=8, random=20), 200)
    assert few.rho is not None
    assert many.rho is not None
    assert few.rho[1] - few.rho[0] > 1.5 * (many.rho[1] - many.rho[0])
