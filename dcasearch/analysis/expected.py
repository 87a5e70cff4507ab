"""How sharply a proxy's rank correlation will be known, before anything is spent. Pure: numbers in, numbers out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dcasearch.analysis.paired import Z
from dcasearch.analysis.trust import ESTIMABLE
from dcasearch.config.study import Promotion


@dataclass(frozen=True)
class Expected:
    """How sharply a proxy's rank correlation will be known."""

    fidelity: str
    against: str
    networks: int
    """Promoted, those at random among them."""
    drawn: int
    tau: tuple[float, float] | None
    """The 95% interval around a τ of 0.5; None: fewer than ten networks, not estimable."""
    rho: tuple[float, float] | None


def expected(fidelity: str, against: str, promotion: Promotion, trials: int) -> Expected:
    """Return the interval that τ or ρ of 0.5 would get, by Fieller, Hartley, Pearson (1957) and Bonett, Wright (2000).

    Args:
        fidelity: The proxy.
        against: The next fidelity.
        promotion: How many of the proxy's trials reach it.
        trials: Of the proxy; a network at random stands for (trials − top) / random others, so it weighs that much and
            the number that counts is Kish's (Σw)² / Σw².
    """
    top = min(promotion.top, trials)
    rest = trials - top
    drawn = min(promotion.random, rest)
    n = top + drawn
    if n < ESTIMABLE:
        return Expected(fidelity, against, n, drawn, None, None)
    weight = rest / drawn if drawn else 1.0
    effective = (top + drawn * weight) ** 2 / (top + drawn * weight**2)
    tau = _around(0.5, math.sqrt(0.437 / (effective - 4)) if effective > 4 else math.inf)
    rho = _around(0.5, math.sqrt((1 + 0.5**2 / 2) / (effective - 3)) if effective > 3 else math.inf)
    return Expected(fidelity, against, n, drawn, tau, rho)


def _around(value: float, se: float) -> tuple[float, float]:
    return math.tanh(math.atanh(value) - Z * se), math.tanh(math.atanh(value) + Z * se)
