"""Events of a small run."""

from __future__ import annotations

from dcasearch.search.work import Event, EventKind
from dcasearch.trial import Value

PHASE = Event("phase", "proxy trials", fields={"total": 8, "epochs": 4, "rungs": "1, 2", "metric": "top1"})


def event(kind: EventKind, label: str = "proxy trial 3", message: str = "", **fields: Value) -> Event:
    return Event(kind, label, message, fields)


def epoch(label: str, number: int, top1: float = 81.234) -> Event:
    return event("epoch", label, epoch=number, of=4, top1=top1, seconds=1.0)
