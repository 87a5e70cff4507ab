"""How a run is shown: a live view on a terminal, one plain line an event elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dcasearch.search.work import Event, Observer
from dcasearch.trial import Value

_STYLE = {
    "complete": "green",
    "pruned": "yellow",
    "infeasible": "dim",
    "duplicate": "dim",
    "failed": "red",
    "lost": "red",
    "note": "bold",
}
_QUIET = ("epoch", "started", "resumed", "infeasible", "duplicate")
"""Kinds that a terminal shows in its moving part only."""


def sentence(event: Event) -> str:
    """Return an event as one plain line."""
    fields = event.fields
    words = [event.label]
    if event.kind == "epoch":
        words.append(f"epoch {fields['epoch']}/{fields['of']} top-1 {_percent(fields['top1'])}")
    elif event.kind in ("complete", "pruned"):
        end = "complete" if event.kind == "complete" else f"pruned after epoch {fields['epochs']}"
        words.append(f"{end}: top-1 {_percent(fields['top1'])} in {_duration(fields['seconds'])}")
    elif event.kind == "resumed":
        words.append("goes on from its checkpoint")
    elif event.kind == "note":
        words[0] += ":"
    else:
        words.append(event.kind)
    return (
        " ".join(words)
        + (f" ({event.message})" if event.message and event.kind != "note" else "")
        + (f" {event.message}" if event.kind == "note" else "")
    )


@contextmanager
def observer(console: Console, *, as_json: bool) -> Iterator[Observer]:
    """Yield what shows the events of a run, as fits where the output goes."""
    if as_json:
        yield _print_json
    elif console.is_terminal:
        view = _LiveView()
        with Live(view, console=console, refresh_per_second=4, transient=True) as live:
            yield lambda event: view.observe(event, live.console)
    else:
        yield lambda event: console.print(
            f"{time.strftime('%H:%M:%S')} {sentence(event)}", highlight=False, soft_wrap=True
        )


def _print_json(event: Event) -> None:
    line = {"event": event.kind, "label": event.label, "message": event.message, **event.fields}
    print(json.dumps(line), flush=True)


class _LiveView:
    """What runs now, the best so far, and what became of the rest; finished trials scroll by above it."""

    def __init__(self) -> None:
        self._running: dict[str, Event] = {}
        self._counts: Counter[str] = Counter()
        self._best: Event | None = None
        self._began = time.monotonic()

    def observe(self, event: Event, console: Console) -> None:
        """Take an event; what is over is printed above the moving part."""
        if event.kind in ("started", "resumed", "epoch"):
            self._running[event.label] = event
        else:
            self._running.pop(event.label, None)
            self._counts[event.kind] += event.kind != "note"
        if event.kind == "complete" and " trial " in event.label and self._is_best(event):
            self._best = event
        if event.kind not in _QUIET:
            console.print(Text(sentence(event), style=_STYLE.get(event.kind, "")))

    def _is_best(self, event: Event) -> bool:
        return self._best is None or _number(event.fields["top1"]) > _number(self._best.fields["top1"])

    def __rich__(self) -> RenderableType:
        running = Table.grid(padding=(0, 2))
        for label, event in self._running.items():
            progress = f"epoch {event.fields['epoch']}/{event.fields['of']}" if event.kind == "epoch" else "starts"
            top1 = f"top-1 {_percent(event.fields['top1'])}" if event.kind == "epoch" else ""
            running.add_row(f"  {label}", progress, top1)
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(self._counts.items()) if n)
        best = f"best {sentence(self._best)}" if self._best else "no trial complete yet"
        elapsed = _duration(time.monotonic() - self._began)
        return Group(running, Text(f"  {elapsed}   {counts or 'nothing ended yet'}   {best}", style="cyan"))


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _percent(value: Value) -> str:
    return f"{_number(value):.2f}%"


def _duration(seconds: Value) -> str:
    number = _number(seconds)
    return f"{number:.1f} s" if number < 60 else str(timedelta(seconds=round(number)))
