"""Events as lines: for people where nothing can move, for people above a live view, and for programs."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size

from dcasearch.analysis.eta import Estimate
from dcasearch.analysis.progress import ENDS, number
from dcasearch.metrics import METRICS, headline_of
from dcasearch.search.work import Event
from dcasearch.trial import Value

WIDTH = 120
"""Columns of a line that names a network, where the terminal does not say how many there are."""
QUIET = ("run", "plan", "leader")
"""Kinds that are for programs and for the live view: no line tells them."""
_LEAST = 24
"""Columns of a network's sentence below which it is left out."""


class Words:
    """The networks of one run in words, without the backbone that all of them have."""

    def __init__(self) -> None:
        self._begins = ""

    def take(self, event: Event) -> None:
        """Learn from the first event of a run which backbone need not be named."""
        if event.kind == "run":
            backbone = event.fields.get("backbone")
            self._begins = f"{backbone}: " if backbone else ""

    def network(self, event: Event) -> str:
        """Return the sentence of an event's network; empty where it names none."""
        return str(event.fields.get("network", "")).removeprefix(self._begins)


def line_of(event: Event, words: Words, width: int = WIDTH) -> str | None:
    """Return an event as a line with its time, within a width if it names a network; None for one that has no line."""
    words.take(event)
    if event.kind in QUIET:
        return None
    stamp = f"{time.strftime('%H:%M:%S')} "
    return stamp + sentence(event, words.network(event), width - len(stamp))


def sentence(event: Event, network: str = "", width: int = WIDTH) -> str:
    """Return an event in words; an end that a trial was trained for names its network as far as there is room."""
    fields, label = event.fields, event.label
    match event.kind:
        case "epoch":
            return f"{label} epoch {fields['epoch']}/{fields['of']} {value_of(event)}"
        case "complete":
            said = f"{label} complete: {value_of(event)} in {duration(fields['seconds'])}"
        case "pruned":
            end = f"pruned after epoch {fields['epochs']}"
            said = f"{label} {end}: {value_of(event)} in {duration(fields['seconds'])}"
        case "phase":
            return _announcement(event)
        case "resumed":
            return f"{label} goes on from its checkpoint"
        case "note":
            return f"{label}: {event.message}"
        case kind:
            said = f"{label} {kind}" + (f" ({event.message})" if event.message else "")
    if network and event.kind in ("complete", "pruned", "failed") and width - cell_len(said) - 3 >= _LEAST:
        said += f" ({cropped(network, width - cell_len(said) - 3)})"
    return said


def _announcement(event: Event) -> str:
    fields = event.fields
    total = "as many as there are" if fields["total"] is None else str(fields["total"])
    done = ", ".join(f"{fields[state]} {state}" for state in ENDS if fields.get(state))
    rungs = f", pruned after epoch {fields['rungs']}" if fields["rungs"] else ""
    each = f"scored by {fields['score']}" if "score" in fields else f"{fields['epochs']} epochs each{rungs}"
    return f"{event.label}: {total}, {each}" + (f"; so far {done}" if done else "")


def json_line(event: Event, now: datetime) -> str:
    """Return an event as one JSON object on one line; a number that JSON does not know is null."""
    fields = {name: _plain(value) for name, value in event.fields.items()}
    head = {"event": event.kind, "time": now.isoformat(timespec="milliseconds"), "label": event.label}
    return json.dumps({**head, "message": event.message, **fields}, allow_nan=False)


def print_json(event: Event, file: TextIO) -> None:
    """Print an event as one line of JSON."""
    print(json_line(event, datetime.now(UTC)), file=file, flush=True)


def _plain(value: Value) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def value_of(event: Event) -> str:
    """Return the headline metric of an epoch or of an end, e.g. `top-1 81.23%`."""
    metric = headline_of(event.fields)
    return metric.shown(number(event.fields[metric.name]))


def lead_of(event: Event) -> str:
    """Return what an event of the kind `leader` leads with, e.g. `best top-1 91.67%`, `least parameters 1.2M`."""
    from dcasearch.cli.tables import with_unit

    metric, value = METRICS[str(event.fields["metric"])], number(event.fields["value"])
    if not metric.is_cost:
        return f"best {metric.shown(value)}"
    word = "most" if event.fields.get("direction") == "maximize" else "least"
    return f"{word} {metric.label} {with_unit(value)}{'' if not metric.unit else ' '}{metric.unit}"


def duration(seconds: Value) -> str:
    """Return seconds as people read them."""
    held = number(seconds)
    return f"{held:.1f} s" if held < 60 else str(timedelta(seconds=round(held)))


def left(estimate: Estimate | None) -> str:
    """Return how long a run still takes, in words, e.g. `2 h 10 min to 3 h 40 min left (8 of 10 times)`."""
    if estimate is None:
        return "time left: no estimate yet"
    low, high = estimate.rounded
    if low == high:  # the time of the run ends before
        return f"{span(high)} left at most"
    if low == 0:
        return f"less than {span(high)} left (8 of 10 times)"
    return f"{span(low)} to {span(high)} left (8 of 10 times)"


def span(seconds: float) -> str:
    """Return a rounded time in its two largest units, e.g. `2 h 10 min`."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    rest = round(seconds)
    for unit, size in units:
        if rest >= size or (unit == "s" and not parts):
            parts.append(f"{rest // size} {unit}")
            rest %= size
    return " ".join(parts[:2])


def cropped(text: str, width: int) -> str:
    """Return a text within a number of columns, with a sign where something is cut off."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…" if width > 0 else ""
