"""How a run is shown: a live view on a terminal, one plain line an event elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dcasearch.metrics import METRICS, SCORE, headline_of
from dcasearch.search.work import Event, Observer
from dcasearch.trial import State, Value

_STYLE = {
    "complete": "green",
    "pruned": "yellow",
    "infeasible": "dim",
    "duplicate": "dim",
    "failed": "red",
    "lost": "red",
    "note": "bold",
    "phase": "bold",
}
_QUIET = ("epoch", "started", "resumed", "infeasible", "duplicate")
"""Kinds that a terminal shows in its moving part only."""
_TRAINED = (State.COMPLETE, State.PRUNED, State.FAILED)
"""Ends that use up the budget of a phase."""
_BAR = 20


def sentence(event: Event) -> str:
    """Return an event as one plain line."""
    fields, label = event.fields, event.label
    match event.kind:
        case "epoch":
            return f"{label} epoch {fields['epoch']}/{fields['of']} {_value(event)}"
        case "complete":
            return f"{label} complete: {_value(event)} in {duration(fields['seconds'])}"
        case "pruned":
            end = f"pruned after epoch {fields['epochs']}"
            return f"{label} {end}: {_value(event)} in {duration(fields['seconds'])}"
        case "phase":
            return _announcement(event)
        case "resumed":
            return f"{label} goes on from its checkpoint"
        case "note":
            return f"{label}: {event.message}"
        case kind:
            return f"{label} {kind}" + (f" ({event.message})" if event.message else "")


def _announcement(event: Event) -> str:
    fields = event.fields
    total = "as many as there are" if fields["total"] is None else str(fields["total"])
    done = ", ".join(f"{fields[state]} {state}" for state in State if fields.get(state))
    rungs = f", pruned after epoch {fields['rungs']}" if fields["rungs"] else ""
    each = f"scored by {fields['score']}" if "score" in fields else f"{fields['epochs']} epochs each{rungs}"
    return f"{event.label}: {total}, {each}" + (f"; so far {done}" if done else "")


@contextmanager
def observer(console: Console, *, as_json: bool) -> Iterator[Observer]:
    """Yield what shows the events of a run, as fits where the output goes."""
    if as_json:
        events = sys.stdout
        with redirect_stdout(sys.stderr):  # whatever a library prints is no event
            yield lambda event: print_json(event, events)
    elif console.is_terminal:
        view = LiveView()
        with Live(view, console=console, refresh_per_second=4, transient=True) as live:
            yield lambda event: view.observe(event, live.console)
    else:
        yield lambda event: console.print(f"{time.strftime('%H:%M:%S')} {sentence(event)}")


def print_json(event: Event, file: TextIO) -> None:
    """Print an event as one line of JSON."""
    line = {"event": event.kind, "label": event.label, "message": event.message, **event.fields}
    print(json.dumps(line), file=file, flush=True)


class LiveView:
    """What runs now, the leader so far, what became of the rest and how long it will take; what ended scrolls above."""

    def __init__(self) -> None:
        self._running: dict[str, Event] = {}
        self._began = time.monotonic()
        nothing: dict[str, Value] = {"total": None, "epochs": 0, "rungs": "", "metric": SCORE.name}
        self._phases = {"": _Phase(Event("phase", "", fields=nothing))}
        """By how the labels of what they train begin: the baselines of a fidelity may run beside the last proxies."""

    def observe(self, event: Event, console: Console) -> None:
        """Take an event; what is over is printed above the moving part."""
        if event.kind == "phase":
            self._phases[event.label.removesuffix("s")] = _Phase(event)
        elif event.kind in ("started", "resumed", "epoch"):
            self._running[event.label] = event
        else:
            self._running.pop(event.label, None)
            self._phase_of(event.label).take(event)
        if event.kind not in _QUIET:
            console.print(Text(sentence(event), style=_STYLE.get(event.kind, "")))

    def _phase_of(self, label: str) -> _Phase:
        return next(self._phases[begins] for begins in reversed(self._phases) if label.startswith(begins))

    def __rich__(self) -> RenderableType:
        running = Table.grid(padding=(0, 2))
        for event in self._running.values():
            running.add_row(*self._phase_of(event.label).progress(event))
        now = f"{duration(time.monotonic() - self._began)} elapsed"
        lines: list[list[str]] = []
        latest = next(reversed(self._phases.values()))
        for begins, phase in self._phases.items():
            shares = [_share(event) for label, event in self._running.items() if label.startswith(begins)]
            if phase is latest or (begins and shares):
                lines += [phase.pace(shares), phase.results()]
        lines[0] = [now, *lines[0]]
        return Group(running, *(Text("  " + " · ".join(words), style="cyan") for words in lines if words))


class _Phase:
    """The baselines, the trials of a fidelity or the final trainings: how far they are."""

    def __init__(self, announced: Event) -> None:
        fields = announced.fields
        self._label, self._total = announced.label, fields["total"]
        self._metric = METRICS[str(fields["metric"])]
        self._rungs = [int(rung) for rung in str(fields["rungs"]).split(", ") if rung]
        self._counts = Counter({state: int(_number(fields[state])) for state in State if state in fields})
        self._before = self._trained()
        self._best = (_number(fields["best"]), "an earlier run") if "best" in fields else None
        self._began = time.monotonic()

    def take(self, event: Event) -> None:
        """Count what ended."""
        if "total" in event.fields:  # a race has planned further trainings
            self._total = event.fields["total"]
        if event.kind in tuple(State):
            self._counts[State(event.kind)] += 1
        if event.kind == "complete":
            value = _number(event.fields[self._metric.name])
            if self._best is None or self._metric.sign * (value - self._best[0]) > 0:
                self._best = (value, event.label)

    def progress(self, event: Event) -> tuple[RenderableType, ...]:
        """Return the cells of something that runs: who, how far, at which rung, how good."""
        if event.kind != "epoch":
            return f"  {event.label}", ProgressBar(1, 0, width=_BAR), "starts", ""
        epoch, of = event.fields["epoch"], event.fields["of"]
        rung = sum(rung <= _number(epoch) for rung in self._rungs)
        passed = f", rung {rung}/{len(self._rungs)}" if self._rungs else ""
        bar = ProgressBar(1, _share(event), width=_BAR)
        return f"  {event.label}", bar, f"epoch {epoch}/{of}{passed}", _value(event)

    def pace(self, running: list[float]) -> list[str]:
        """Return how far the phase is and how long it will take; `running` holds how much of each job is done."""
        of = "" if self._total is None else f" {self._trained()}/{self._total}"
        return [f"{self._label}{of}", *self._remaining(running)]

    def results(self) -> list[str]:
        """Return what became of the phase's trainings, and the best of them."""
        counts = ", ".join(f"{self._counts[state]} {state}" for state in State if self._counts[state])
        best = f"leader {self._metric.shown(self._best[0])} ({self._best[1]})" if self._best else ""
        return [words for words in (counts, best) if words]

    def _trained(self) -> int:
        return sum(self._counts[state] for state in _TRAINED)

    def _remaining(self, running: list[float]) -> list[str]:
        """Return the time left at the speed of this run so far, in words; nothing while there is no telling."""
        done = self._trained() - self._before + sum(running)
        left = _number(self._total) - self._before - done
        if not (done > 0 and left > 0):
            return []
        return [f"about {duration(left * (time.monotonic() - self._began) / done)} left"]


def _share(event: Event) -> float:
    return _number(event.fields["epoch"]) / _number(event.fields["of"]) if event.kind == "epoch" else 0.0


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _value(event: Event) -> str:
    metric = headline_of(event.fields)
    return metric.shown(_number(event.fields[metric.name]))


def duration(seconds: Value) -> str:
    """Return seconds as people read them."""
    number = _number(seconds)
    return f"{number:.1f} s" if number < 60 else str(timedelta(seconds=round(number)))
