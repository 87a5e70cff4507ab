"""How far a run is: what it has announced, what runs, what ended and how long its epochs took. No torch.

It is read from the events of the run alone (docs/events.md), each with the time at which it came, so that a recorded
run can be replayed. Times are seconds of any one clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dcasearch.metrics import SCORE
from dcasearch.search.work import Event
from dcasearch.trial import State, Value

TRAINED = (State.COMPLETE, State.PRUNED, State.FAILED)
"""Ends that use up the total of a phase."""
ENDS = (*TRAINED, State.INFEASIBLE, State.DUPLICATE)
"""All ends. What an earlier run left running is taken up again."""
_LEAST = 1e-6
"""Seconds that an epoch takes at least, as far as a clock can tell."""
_REPLAYED = 0.5
"""An epoch of a resumed training that came faster than this share of its own seconds was trained before."""


@dataclass(kw_only=True)
class Training:
    """One training that this run has begun."""

    label: str
    began: float
    resumed: bool
    cold: bool
    """Whether its worker began with it, so that its start waits for a process, which further trainings find there."""
    heard: float
    """When its last event came."""
    last: Event
    epoch: int = 0
    """Epochs that are done, those of earlier runs included."""
    first: float | None = None
    """Seconds from the start to the end of the first epoch; None of a resumed training."""
    later: list[float] = field(default_factory=list)
    """Seconds of each further epoch."""
    closing: float = 0.0
    """Seconds from the last epoch to the end."""

    def take_epoch(self, event: Event, now: float) -> bool:
        """Measure an epoch, unless it only repeats what an earlier run has trained; return whether it is new."""
        passed, own = max(now - self.heard, _LEAST), number(event.fields.get("seconds", 0.0))
        new = not (self.resumed and passed < _REPLAYED * own)
        if new:
            if self.epoch == 0 and not self.resumed:
                self.first = passed
            else:
                self.later.append(passed)
        self.epoch = int(number(event.fields["epoch"]))
        self.heard, self.last = now, event
        return new


@dataclass(kw_only=True, eq=False)
class Phase:
    """The baselines or trials of a fidelity, its parents, or the final trainings."""

    label: str
    """E.g. `proxy trials`."""
    total: int | None = None
    """Trainings in all, those of earlier runs included; None: not known."""
    most: int | None = None
    """Trainings at most, where a race decides how many."""
    epochs: int = 1
    rungs: tuple[int, ...] = ()
    """Epochs after which a training may be pruned."""
    keeps: float | None = None
    """Share of trainings that each rung means to let go on."""
    work: float | None = None
    """What one epoch costs, in a unit that all phases of the study share; None: not comparable."""
    images: int | None = None
    """Images that one epoch trains on and evaluates."""
    epoch_seconds: float | None = None
    """Seconds of an epoch as earlier runs measured it."""
    after: str = ""
    """Label of the phase that must have ended before."""
    metric: str = SCORE.name
    announced: bool = False
    """Whether it has begun in this run."""
    over: bool = False
    """Whether it will begin no further training."""
    counts: Counter[State] = field(default_factory=Counter)
    """What became of its trainings and suggestions, those of earlier runs included."""
    before: int = 0
    """Trainings that ended in earlier runs."""
    running: dict[str, Training] = field(default_factory=dict)
    """By label, in the order of their start."""
    first_began: float | None = None
    """When this run began the first of its trainings."""
    epochs_done: int = 0
    """Epochs that this run has trained."""
    ended: list[Training] = field(default_factory=list)
    """Trainings that this run has begun and ended."""
    stopped: Counter[int] = field(default_factory=Counter)
    """Trainings that were pruned, by epoch."""
    passed: Counter[int] = field(default_factory=Counter)
    """Trainings that a rung let go on once it had pruned one, by epoch: before, it may let go on whoever comes."""

    @property
    def key(self) -> str:
        """How the labels of its trainings begin, e.g. `proxy trial`."""
        return self.label.removesuffix("s")

    @property
    def fidelity(self) -> str:
        """Name of its fidelity."""
        return self.label.split()[0]

    @property
    def trained(self) -> int:
        """Trainings that ended, those of earlier runs included."""
        return sum(self.counts[state] for state in TRAINED)

    @property
    def left(self) -> int | None:
        """Trainings that are still to begin; None: not known."""
        if self.over:
            return 0
        return None if self.total is None else max(0, self.total - self.trained - len(self.running))

    @property
    def begun(self) -> list[Training]:
        """Trainings that this run has begun, in the order of their end, then of their start."""
        return [*self.ended, *self.running.values()]

    def read(self, event: Event) -> None:
        """Take over what an event announces."""
        self.over = False
        fields = event.fields
        self.total = _integer(fields["total"])
        self.most = _integer(fields.get("most"))
        self.epochs = int(number(fields["epochs"]))
        self.rungs = tuple(int(rung) for rung in str(fields["rungs"]).split(", ") if rung)
        self.metric = str(fields.get("metric", self.metric))
        if fields.get("work") is not None:
            self.work = number(fields["work"])
        self.images = _integer(fields.get("images")) or self.images
        if fields.get("keeps") is not None:
            self.keeps = number(fields["keeps"])
        if fields.get("epoch_seconds") is not None:
            self.epoch_seconds = number(fields["epoch_seconds"])
        self.after = str(fields.get("after", self.after))
        self.announced = self.announced or event.kind == "phase"
        if not self.begun:
            self.counts = Counter({state: int(number(fields[state])) for state in ENDS if state in fields})
            self.before = self.trained


class Progress:
    """What a run has announced and done so far."""

    def __init__(self) -> None:
        self.phases: dict[str, Phase] = {}
        """By key, in the order in which they are begun."""
        self.workers = 1
        """Trainings that may run at a time."""
        self.widest = 0
        """Trainings that ran at a time, at most."""
        self.limit: float | None = None
        """When the time of the run is over."""
        self.may_end_early = False
        """Whether a rule may end the trials before their total."""
        self.began: float | None = None
        """When its first event came."""
        self._begun = 0
        """Trainings that were begun so far."""

    def take(self, event: Event, now: float) -> None:
        """Take one event that came at a time."""
        self.began = now if self.began is None else self.began
        match event.kind:
            case "run":
                self._take_run(event, now)
            case "plan" | "phase":
                self._announce(event)
            case "started" | "resumed":
                self._start(event, now)
                self.widest = max(self.widest, sum(len(phase.running) for phase in self.phases.values()))
            case "epoch":
                self._take_epoch(event, now)
            case "lost":
                self.phase_of(event.label).running.pop(event.label, None)
            case "note":
                phase = self.phases.get(event.label.removesuffix("s"))
                if phase is not None and "total" in event.fields:  # a race has planned further trainings
                    phase.total = _integer(event.fields["total"])
            case kind if kind in tuple(State):
                self._end(event, now)

    def phase_of(self, label: str) -> Phase:
        """Return the phase that a training or trial belongs to; a new one where nothing was announced."""
        key = " ".join(label.split()[:2])
        if key not in self.phases:
            self.phases[key] = Phase(label=f"{key}s", over=True)  # nobody plans more of them
        return self.phases[key]

    def trainings(self, fidelity: str) -> list[Training]:
        """Return the trainings of a fidelity that this run has begun, in the order of their start."""
        phases = [phase for phase in self.phases.values() if phase.fidelity == fidelity]
        return sorted((t for phase in phases for t in phase.begun), key=lambda training: training.began)

    def _take_run(self, event: Event, now: float) -> None:
        self.workers = int(number(event.fields["workers"]))
        limit = event.fields.get("limit_seconds")
        self.limit = None if limit is None else now + number(limit)
        self.may_end_early = bool(event.fields.get("may_end_early"))

    def _announce(self, event: Event) -> None:
        key = event.label.removesuffix("s")
        phase = self.phases.setdefault(key, Phase(label=event.label))
        phase.read(event)
        waited_for = self.phases.get(phase.after.removesuffix("s"))
        if event.kind == "phase" and waited_for is not None:
            # It may only begin once those trials have ended, whatever their number was to be.
            waited_for.over = True
            for other in self.phases.values():
                if other.fidelity == waited_for.fidelity and other.label.endswith(" parents"):
                    other.over = True

    def _start(self, event: Event, now: float) -> None:
        self._begun += 1
        phase = self.phase_of(event.label)
        phase.first_began = now if phase.first_began is None else phase.first_began
        phase.running[event.label] = Training(
            label=event.label,
            began=now,
            resumed=event.kind == "resumed",
            cold=self._begun <= self.workers,
            heard=now,
            last=event,
        )

    def _take_epoch(self, event: Event, now: float) -> None:
        phase = self.phase_of(event.label)
        running = phase.running
        rung = int(number(event.fields["epoch"])) - 1
        if rung in phase.rungs and phase.stopped[rung]:
            phase.passed[rung] += 1
        if event.label not in running:  # the start was missed
            running[event.label] = Training(
                label=event.label, began=now, resumed=True, cold=True, heard=now, last=event
            )
        phase.epochs_done += running[event.label].take_epoch(event, now)

    def _end(self, event: Event, now: float) -> None:
        phase = self.phase_of(event.label)
        phase.counts[State(event.kind)] += 1
        training = phase.running.pop(event.label, None)
        if training is None:
            return
        training.closing = now - training.heard
        training.heard, training.last = now, event
        phase.ended.append(training)
        if event.kind == "pruned":
            phase.stopped[training.epoch] += 1


def number(value: Value) -> float:
    """Return a field of an event as a number; nan where it is none."""
    return float(value) if isinstance(value, int | float) else float("nan")


def _integer(value: Value) -> int | None:
    return int(value) if isinstance(value, int | float) else None
