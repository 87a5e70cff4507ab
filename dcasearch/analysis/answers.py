"""The answers that a story gives: what every view of a study's result shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dcasearch.analysis.standing import Compared


@dataclass(frozen=True)
class Against:
    """The network that the story is about beside one baseline."""

    name: str
    architecture_id: str
    differs: str
    """What the network has that the baseline has not."""
    lead: str
    """The network minus the baseline with its margin, e.g. `+1.39 ± 3.9`; empty where the baseline is not trained."""
    counts: str
    """Whether the lead counts: `yes`, `no`, `needs 3 seeds`, `needs 3 splits`, …"""


@dataclass(frozen=True, kw_only=True)
class Story:
    """A study's result; each text is a sentence or a few, without a legend, commands in backticks."""

    asked: str
    """Space, objectives, constraints, budget."""
    found: str
    """Which network was chosen, or leads."""
    differs: str
    """How it differs from its reference, the baseline of the same attention without connections where there is one."""
    better: str
    """Begins with the word of `verdict`."""
    sure: str
    """Interval, seeds, images, and what could be told apart."""
    cost: str
    """Of the search, and of the network."""
    next: str
    """One concrete step."""
    verdict: str = ""
    """Whether the network is better than its reference: `yes`, `no`, `needs 3 seeds`, …; empty: nothing to compare."""
    reference: str = ""
    """Name of that baseline; empty where there is none."""
    chosen: Compared | None = None
    """The network; None where no training has ended, and of a list of architectures."""
    against: tuple[Against, ...] = ()
    """The network beside each baseline, the reference first."""

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The six questions with their answers, in the order in which a person asks."""
        than = f" than {self.reference}" if self.reference else ""
        return (
            ("Which network was chosen?", self.found),
            (f"How does it differ from {self.reference or 'the baselines'}?", self.differs),
            (f"Is it better{than}?", self.better),
            ("How sure is that?", self.sure),
            ("What did it cost?", self.cost),
            ("What next?", self.next),
        )


def duration(seconds: float) -> str:
    """Return how long something takes in words that a person compares at a glance, e.g. `4 minutes`, `2.5 hours`."""
    if seconds < 90:
        return f"{seconds:.0f} second{'s' * (round(seconds) != 1)}"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    hours = timedelta(seconds=seconds) / timedelta(hours=1)
    return f"{hours:.1f} hours" if hours < 100 else f"{hours:,.0f} hours"
