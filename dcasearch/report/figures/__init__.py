"""The figures of a report, each from a standing and its findings; each is the same to the byte when drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dcasearch.analysis.findings import Findings
from dcasearch.analysis.standing import Standing
from dcasearch.report.figures import (
    accuracy,
    candidates,
    connecting,
    curves,
    fronts,
    importance,
    leaders,
    ledger,
    promotions,
    spending,
)
from dcasearch.report.figures.canvas import Figure, Part
from dcasearch.report.figures.theme import STYLE

__all__ = ["Figure", "Missing", "Part", "figures_of", "missing_of"]


@dataclass(frozen=True)
class Missing:
    """A figure that is not drawn, and the sentence that stands in its place."""

    name: str
    title: str
    why: str
    part: Part


def figures_of(standing: Standing, findings: Findings) -> Iterator[Figure]:
    """Yield the figures that a study has enough for, in the order in which a page shows them."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        for room in (candidates, fronts, accuracy, importance, connecting, curves, leaders, ledger):
            yield from room.figures(standing, findings)
        yield from promotions.figures(standing, findings)
        yield from spending.figures(standing, findings)


def missing_of(findings: Findings) -> tuple[Missing, ...]:
    """Return the figures whose absence a reader should know the reason of."""
    found = []
    if not findings.importance.axes:
        found.append(Missing("importance", importance.TITLE, findings.importance.why_not, "found"))
    if not findings.alphas.curves:
        found.append(Missing("alphas", curves.ALPHAS, findings.alphas.why_not, "found"))
    return tuple(found)
