"""The live view of a run: how far it is, what runs now, who leads, and how long it will still take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from dcasearch.analysis.eta import Estimate, estimate
from dcasearch.analysis.progress import ENDS, Phase, Progress, Training
from dcasearch.cli.live.lines import Words, cropped, duration, lead_of, left, line_of, value_of
from dcasearch.cli.tables import with_unit
from dcasearch.search.work import Event

_STYLE = {
    "complete": "green",
    "pruned": "yellow",
    "failed": "red",
    "lost": "red",
    "note": "bold",
    "phase": "bold",
}
_MOVING = ("epoch", "started", "resumed", "infeasible", "duplicate")
"""Kinds that a terminal shows in its moving part only."""
_BAR = 20
_WIDE = 70
"""Columns from which a training has a bar."""
_ESTIMATE_SECONDS = 2.0
"""How long one range is shown at least."""
_ESTIMATE_SHARE = 50
"""How many times longer than its computation a range is shown at least."""
_SEPARATOR = " · "


class LiveView:
    """Takes the events of a run and gives the rows that show it.

    Args:
        stopping: whether the user has asked the run to stop.
        clock: seconds.
    """

    def __init__(
        self, *, stopping: Callable[[], bool] = lambda: False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stopping, self._clock = stopping, clock
        self._progress, self._words = Progress(), Words()
        self._leaders: dict[str, dict[str, Event]] = {}
        """By key of the phase and by metric."""
        self._named: dict[str, str] = {}
        """Networks of the trainings that run, in words, by label."""
        self._latest: Phase | None = None
        self._estimated: Estimate | None = None
        self._estimate_again = -math.inf

    def take(self, event: Event, width: int) -> Text | None:
        """Take an event; return the line that tells it, if it is worth one, with as much as fits into a width."""
        self._progress.take(event, self._clock())
        line = line_of(event, self._words, width)
        match event.kind:
            case "phase":
                self._latest = self._progress.phases[event.label.removesuffix("s")]
            case "leader":
                key = self._progress.phase_of(event.label).key
                self._leaders.setdefault(key, {})[str(event.fields["metric"])] = event
            case "started" | "resumed":
                self._named[event.label] = self._words.network(event)
            case "epoch":
                pass
            case _:
                self._named.pop(event.label, None)
        if line is None or event.kind in _MOVING:
            return None
        return Text(line, style=_STYLE.get(event.kind, ""))

    def rows(self, width: int, height: int) -> list[Text]:
        """Return the moving part, in no more columns and lines than given; some lines are left to what scrolls."""
        height = max(1, height - min(4, height // 4))
        head = self._head(width)
        tail = [*self._counts(width), *self._lead(width)]
        trainings = self._running()
        room = height - len(head) - min(len(tail), max(0, height - len(head) - min(3, len(trainings))))
        running = self._running_rows(trainings, width, max(0, room))
        return [*head, *running, *tail][:height]

    def last_rows(self, width: int, height: int) -> list[Text]:
        """Return what stays when the run has ended, however it has: how far it came, what ran, who leads."""
        if self._latest is None:
            return []
        now = self._clock()
        trainings = self._running()
        how = "ended" if not trainings else "stopped"
        head = [f"{how} after {duration(self._elapsed(now))}", *map(_how_far, self._shown_phases())]
        ran = self._running_rows(trainings, width, max(1, height - 8))
        return [*_flow(head, width, "bold"), *ran, *self._counts(width), *self._lead(width)]

    def _elapsed(self, now: float) -> float:
        return 0.0 if self._progress.began is None else now - self._progress.began

    def _shown_phases(self) -> list[Phase]:
        """Return the phases that have trainings running, and the one that was announced last."""
        phases = self._progress.phases.values()
        return [phase for phase in phases if phase is self._latest or (phase.running and phase.announced)]

    def _running(self) -> list[tuple[Phase, Training]]:
        return [(phase, t) for phase in self._progress.phases.values() for t in phase.running.values()]

    def _head(self, width: int) -> list[Text]:
        now = self._clock()
        elapsed = f"{duration(round(self._elapsed(now)))} elapsed" if self._elapsed(now) >= 1 else ""
        if self._stopping():
            said = ("stopping: checkpoints are written", "Ctrl-C again ends at once", elapsed)
            return _flow(said, width, "bold yellow")
        found = self._estimate(now)
        share = [] if found is None else [f"{min(99, int(100 * found.share))}% of the run"]
        bar = [] if found is None or width < _WIDE else [_bar(found.share)]
        time_left = left(found) + (", maybe earlier" if found is not None and self._progress.may_end_early else "")
        rows = _flow([*map(_how_far, self._shown_phases()), elapsed], width, "bold cyan")
        return [*rows, *_flow([*bar, *share, time_left], width, "cyan")]

    def _estimate(self, now: float) -> Estimate | None:
        if now >= self._estimate_again:
            began = time.perf_counter()
            self._estimated = estimate(self._progress, now)
            self._estimate_again = now + max(_ESTIMATE_SECONDS, _ESTIMATE_SHARE * (time.perf_counter() - began))
        return self._estimated

    def _running_rows(self, trainings: Sequence[tuple[Phase, Training]], width: int, room: int) -> list[Text]:
        """Return a row for each training that runs; where there is no room for all, the rest is counted."""
        if not trainings or room == 0:
            return []
        shown = trainings if len(trainings) <= room else trainings[: room - 1]
        label_width = min(max(cell_len(t.label) for _, t in trainings), max(12, width - 16))
        rows = [self._running_row(phase, training, width, label_width) for phase, training in shown]
        if len(shown) < len(trainings):
            rows.append(Text(cropped(f"  and {len(trainings) - len(shown)} more that train", width), "dim"))
        return rows

    def _running_row(self, phase: Phase, training: Training, width: int, label_width: int) -> Text:
        label = cropped(training.label, label_width)
        row = Text(f"  {label}{' ' * (label_width - cell_len(label))}  ")
        if width >= _WIDE:
            row.append(f"{_bar(training.epoch / phase.epochs)}  ", "green")
        items = _stand(phase, training)
        while len(items) > 1 and cell_len(row.plain) + cell_len("  ".join(items)) > width:
            items.pop()
        row.append("  ".join(items))
        network, room = self._named.get(training.label, ""), width - cell_len(row.plain) - 2
        if network and room >= 24:
            row.append(f"  {cropped(network, room)}", "dim")
        row.truncate(width, overflow="ellipsis")
        return row

    def _counts(self, width: int) -> list[Text]:
        """Return what became of the trainings of the latest phase, and how fast trainings go."""
        if self._latest is None:
            return []
        counts = ", ".join(f"{self._latest.counts[state]} {state}" for state in ENDS if self._latest.counts[state])
        return _flow([counts, *self._throughput()], width, "")

    def _throughput(self) -> Iterator[str]:
        """Yield the trainings an hour of the latest phase, and the images a second of all its trainings."""
        phase, now = self._latest, self._clock()
        if phase is None or phase.first_began is None:
            return
        passed = now - phase.first_began
        if phase.ended and passed > 0:
            noun = phase.label.split()[-1]
            yield f"{with_unit(len(phase.ended) / passed * 3600)} {noun} an hour"
        if phase.images and phase.epochs_done and passed > 0:
            yield f"{with_unit(phase.epochs_done * phase.images / passed)} images/s"

    def _lead(self, width: int) -> Iterator[Text]:
        """Yield who leads in each objective, in words: among the trials, before any has ended among the baselines."""
        leaders = self._leaders_shown()
        for event in leaders:
            head = f"{lead_of(event)}: {event.label}"
            network = self._words.network(event)
            if cell_len(head) + 2 + cell_len(network) <= width:
                yield Text.assemble((head, "bold"), f", {network}")
                continue
            yield Text(cropped(head, width), "bold")
            yield Text(cropped(f"  {network}", width))

    def _leaders_shown(self) -> Iterable[Event]:
        if self._latest is None:
            return ()
        keys = (self._latest.key, f"{self._latest.fidelity} trial", *reversed(self._leaders))
        return next((self._leaders[key].values() for key in keys if self._leaders.get(key)), ())


def _how_far(phase: Phase) -> str:
    done = phase.trained
    return f"{phase.label} {done}" if phase.total is None else f"{phase.label} {done} of {phase.total}"


def _stand(phase: Phase, training: Training) -> list[str]:
    """Return how far a training is, how good, and at which rung: what matters most comes first."""
    if training.last.kind != "epoch":
        return ["starts"]
    epochs = f"epoch {training.epoch}/{training.last.fields['of']}"
    rung = sum(rung <= training.epoch for rung in phase.rungs)
    rungs = [f"rung {rung}/{len(phase.rungs)}"] if phase.rungs else []
    return [epochs, value_of(training.last), *rungs]


def _bar(share: float) -> str:
    done = round(_BAR * min(1.0, max(0.0, share)))
    return "━" * done + "─" * (_BAR - done)


def _flow(items: Iterable[str], width: int, style: str) -> list[Text]:
    """Return items side by side, in as few rows as they fit in; an item that is wider than a row is cut."""
    rows: list[str] = []
    for item in filter(None, items):
        if rows and cell_len(rows[-1]) + len(_SEPARATOR) + cell_len(item) <= width:
            rows[-1] += _SEPARATOR + item
        else:
            rows.append(cropped(item, width))
    return [Text(row, style) for row in rows]
