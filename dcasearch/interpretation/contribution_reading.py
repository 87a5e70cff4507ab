"""The contributions of some networks as a table, a CSV, a figure and sentences."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

from dcasearch.interpretation.claims import claims, verdicts
from dcasearch.interpretation.contributions import Contribution, stages_along
from dcasearch.interpretation.figure import Drawn, Line, Panel, draw
from dcasearch.interpretation.subjects import Subject
from dcasearch.report.readings import Reading, plain

CSV_COLUMNS = (
    *("spec", "connection", "node", "stage", "dimension", "branch", "function", "sender"),
    *("weights_share", "images_share", "images_low", "images_high", "images", "images_left_out"),
)
"""Shares are between 0 and 1. A row whose sender is `all` is the connection, the others are its edges."""
COLUMNS = ("network", "dimension", "connection", "into", "from", "function", "from the weights", "over images (95%)")


@dataclass(frozen=True)
class Read:
    """A network with its contributions."""

    subject: Subject
    contributions: tuple[Contribution, ...]

    def lines(self) -> dict[str, list[Contribution]]:
        """Return the contributions of each dimension and branch, by its name."""
        lines: dict[str, list[Contribution]] = {}
        for contribution in self.contributions:
            lines.setdefault(contribution.line, []).append(contribution)
        return lines


Value: TypeAlias = Callable[[Contribution], float | None]
"""The share of a contribution in one reading, between 0 and 1."""


def from_weights(contribution: Contribution) -> float | None:
    """Return the share from the weights."""
    return None if contribution.weights is None else contribution.weights.value


def over_images(contribution: Contribution) -> float | None:
    """Return the mean share over images."""
    return None if contribution.over_images is None else contribution.over_images.share.value


READINGS: Mapping[str, Value] = {"from the weights": from_weights, "over images": over_images}


def reading_of(read: Sequence[Read], images: str | None, provenance: Mapping[str, str], svg: str) -> Reading:
    """Return what is shown of some networks.

    Args:
        read: the networks, of which one at least has a connection.
        images: the images in words; None where none were given.
        provenance: what it was made with.
        svg: what `draw_figure` drew.
    """
    return Reading(
        name="contributions",
        title="What the connections contribute",
        says=tuple(_sentences(read, images)),
        columns=COLUMNS,
        rows=tuple(_rows(read)),
        svg=svg,
        caption=(
            "The share of earlier blocks in what a block transforms. Connection k leads into block k + 1. Bands: 95% "
            "intervals over images."
        ),
        provenance=dict(provenance),
        numbers={r.subject.name: plain([asdict(c) for c in r.contributions]) for r in read},
    )


def draw_figure(read: Sequence[Read], images: str | None) -> Drawn:
    """Return the figure: a row for each way in which blocks lie in stages, a column for each reading that is known."""
    return draw(_panels(read, images))


def csv_of(read: Sequence[Read]) -> str:
    """Return every share as CSV: a row for each connection, and one for each edge where it has several."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for r in read:
        for c in r.contributions:
            where = (r.subject.name, c.connection, c.node, c.stage, c.dimension, c.branch, c.function)
            seen = c.over_images
            interval = ("",) * 4 if seen is None else (seen.share.low, seen.share.high, seen.images, seen.left_out)
            writer.writerow((*where, "all", _cell(from_weights(c)), _cell(over_images(c)), *interval))
            for n, source in enumerate(c.sources if len(c.sources) > 1 else ()):
                edges = (_nth(None if part is None else part.edges, n) for part in (c.weights, seen))
                writer.writerow((*where, source, *edges, *("",) * 4))
    return text.getvalue()


def _nth(shares: Sequence[float] | None, n: int) -> str | float:
    return "" if shares is None else shares[n]


def _cell(value: float | None) -> str | float:
    return "" if value is None else value


def _rows(read: Sequence[Read]) -> Iterator[tuple[str, ...]]:
    for r in read:
        for c in (c for line in r.lines().values() for c in line):
            share, seen = from_weights(c), c.over_images
            interval = (
                "" if seen is None else f"{_percent(seen.share.value)} ({_span(seen.share.low, seen.share.high)})"
            )
            yield (
                r.subject.name,
                c.line,
                str(c.connection),
                c.node,
                ", ".join(c.sources),
                c.function,
                "" if share is None else _percent(share),
                interval,
            )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _span(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _sentences(read: Sequence[Read], images: str | None) -> Iterator[str]:
    yield (
        "The share from the weights is Σ|w_j| / (|w_0| + Σ|w_j|), with w_0 of a block's own G and w_j of the messages. "
        "It does not say how large G and the messages are."
    )
    if images is None:
        yield "No images were given, so no share over images is known; give them with --data."
    else:
        yield (
            f"The share over images is the mean of Σ‖αP‖ / (‖G‖ + Σ‖αP‖) ({images}). The interval is of the images: "
            "another training may differ by more."
        )
    for r in read:
        name = r.subject.name
        if not r.contributions:
            yield f"{name}: it has no connection."
        silent = sorted({c.function for c in r.contributions if c.weights is None})
        if silent:
            yield f"{name}: {' and '.join(silent)} has no share from the weights: it weighs each image anew."
        left_out = sum(c.over_images.left_out for c in r.contributions if c.over_images is not None)
        if left_out:
            yield f"{name}: {left_out} times an image had neither an extraction nor a message; it is left out there."
        yield from (f"{name}, {said}" for said in _claimed(r))


def _claimed(read: Read) -> Iterator[str]:
    """Yield what becomes of the paper's claims for a network."""
    network = read.subject.model.network
    about = sorted({claim.backbone for claim in claims()})
    if network.backbone[0] not in about:
        yield f"the paper's claims on its Figure 5 do not apply: they are about {' and '.join(about)}."
        return
    for name, line in read.lines().items():
        for reading, value in READINGS.items():
            percent = {c.connection: 100 * share for c in line if (share := value(c)) is not None}
            if percent:
                yield from (f"{name}, {reading}: {said}" for said in verdicts(network, line, percent))


def _panels(read: Sequence[Read], images: str | None) -> list[list[Panel]]:
    layouts: dict[tuple[int, ...], list[tuple[str, list[Contribution]]]] = {}
    for r in read:
        for name, line in r.lines().items():
            stages = stages_along(r.subject.model, line[0].dimension)
            layouts.setdefault(stages, []).append((f"{r.subject.name}, {name}", line))
    known = [r for r, value in READINGS.items() if any(value(c) is not None for x in read for c in x.contributions)]
    number = 0
    rows = []
    for stages, lines in layouts.items():
        rows.append([_panel(reading, stages, lines, number, images) for reading in known])
        number += len(lines)
    return rows


def _panel(
    reading: str,
    stages: tuple[int, ...],
    lines: Sequence[tuple[str, list[Contribution]]],
    first: int,
    images: str | None,
) -> Panel:
    value = READINGS[reading]
    drawn = []
    for n, (label, line) in enumerate(lines):
        shown = [c for c in line if value(c) is not None]
        bounds = [c.over_images.share for c in shown if c.over_images is not None] if value is over_images else []
        drawn.append(
            Line(
                label=label,
                at=[c.connection for c in shown],
                values=[100 * (value(c) or 0.0) for c in shown],
                bounds=[(100 * b.low, 100 * b.high) for b in bounds],
                colour=first + n,
                style=(first + n) // 8,
            )
        )
    return Panel(
        title=reading if value is from_weights else f"{reading}: {images}",
        x="connection",
        y="share of earlier blocks, %",
        lines=drawn,
        stages=stages,
        least=0,
    )
