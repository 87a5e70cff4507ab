"""The notes of trials and of studies, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from dcasearch.analysis.naming import Sentences
from dcasearch.analysis.races import verdict
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing, explained
from dcasearch.analysis.story import Story
from dcasearch.analysis.trust import Trust
from dcasearch.analysis.words import LEADS, counts, in_numbers
from dcasearch.config.study import Fidelity
from dcasearch.dashboard.drawings import address_of
from dcasearch.dashboard.networks import Networks
from dcasearch.metrics import METRICS, is_cost
from dcasearch.trial import RETRY_OF, State, Trial

_ORIGINS = {
    "enqueued": "enqueued by the study's YAML",
    "random": "drawn at random, since the sampler only suggested what cannot be trained",
}


class TrialNotes:
    """Writes the notes of a study's trials.

    Args:
        standing: Where the study stands.
        networks: Those of its trials, read.
        costs: By id: the networks' parameters and multiply-adds, where the database holds them.
        pages: By fidelity the number of its page in the dashboard, for those that have begun.
    """

    def __init__(
        self,
        standing: Standing,
        networks: Networks,
        costs: Mapping[str, Mapping[str, float]],
        pages: Mapping[str, int],
    ) -> None:
        self._networks, self._costs, self._pages = networks, costs, pages
        self._levels = {fidelity.name: fidelity for fidelity in standing.study.fidelities}
        self._sampler = standing.study.sampler.name
        self._fidelities = {fidelity.name: fidelity for fidelity in standing.fidelities}
        names = list(self._levels)
        self._before = dict(zip(names[1:], names, strict=False))
        self._trials = {(t.fidelity, t.number): t for f in standing.fidelities for t in f.trials}
        self._promoted: dict[tuple[str, int], list[Trial]] = {}
        """By the trial that was promoted: those that it became."""
        self._retries: dict[tuple[str, int], Trial] = {}
        for trial in self._trials.values():
            if "of" in trial.attributes and trial.fidelity in self._before:
                source = (self._before[trial.fidelity], int(trial.attributes["of"] or 0))
                self._promoted.setdefault(source, []).append(trial)
            if RETRY_OF in trial.attributes:
                self._retries[trial.fidelity, int(trial.attributes[RETRY_OF] or 0)] = trial

    def of(self, trial: Trial) -> str:
        """Return the note of a trial."""
        name = "" if trial.label is None else f"{trial.label}: "
        # Without a heading optuna-dashboard's pencil lies on the end of the sentence.
        lines = ["### Network", "", f"**{name}{self._networks.sentence(trial.architecture_id)}**", ""]
        lines += [f"- {head}: {text}" for head, text in self._facts(trial)]
        return "\n".join([*lines, "", _drawn(trial.architecture_id)])

    def _facts(self, trial: Trial) -> Iterator[tuple[str, str]]:
        yield "state", self._state(trial)
        costs = self._costs.get(trial.architecture_id, {})
        for metric in ("params", "macs"):
            if metric in costs:
                yield METRICS[metric].label, f"{costs[metric]:,.0f}"
        yield "id", f"`{trial.architecture_id}`"
        if said := self._origin(trial):
            yield "origin", said
        if twins := self._promoted.get((trial.fidelity, trial.number)):
            yield "promoted", f"to {', '.join(self._link(twin, trial.fidelity) for twin in twins)}"
        if retry := self._retries.get((trial.fidelity, trial.number)):
            yield "taken up again", f"by {self._link(retry, trial.fidelity)}"
        if said := self._against_the_leader(trial):
            yield "against the leader", said
        yield "seed", str(trial.seed)

    def _state(self, trial: Trial) -> str:
        if trial.state is State.INFEASIBLE:
            return f"infeasible, so it was never trained: {trial.constraint}"
        if trial.state in (State.DUPLICATE, State.WAITING):
            twin = self._trials.get((trial.fidelity, trial.duplicate_of or 0))
            linked = f"trial {trial.duplicate_of}" if twin is None else self._link(twin, trial.fidelity)
            if trial.state is State.WAITING:
                return f"waiting for {linked}, which trains the same network with the same seed"
            ended = "" if twin is None else f"; trial {twin.number} is {self._ended(twin)}"
            return f"duplicate of {linked}, the same network and seed, so it was not trained again{ended}"
        return self._ended(trial)

    def _ended(self, trial: Trial) -> str:
        level = self._levels[trial.fidelity]
        if trial.state is State.PRUNED:
            return f"pruned after epoch {trial.epochs} of {level.epochs}: others were better at that epoch"
        if trial.state is State.FAILED:
            return f"failed ({trial.failure}): {_code(trial.message)}"
        if trial.state is State.COMPLETE:
            return f"complete{self._values(trial, level)}"
        return str(trial.state)

    def _values(self, trial: Trial, level: Fidelity) -> str:
        values = zip(self._fidelities[trial.fidelity].objectives, trial.values or (), strict=False)
        shown = [METRICS[metric].shown(value) for metric, value in values if not is_cost(metric)]
        after = "" if level.kind == "zero_cost" else f" after {level.epochs} epoch{'s' * (level.epochs > 1)}"
        return f", {', '.join(shown)}{after}" if shown else after

    def _origin(self, trial: Trial) -> str:
        if RETRY_OF in trial.attributes:
            first = self._trials.get((trial.fidelity, int(trial.attributes[RETRY_OF] or 0)))
            if first is not None:
                return f"takes up {self._link(first, trial.fidelity)} again"
        if trial.origin.startswith("promoted"):
            source = self._trials.get((self._before.get(trial.fidelity, ""), int(trial.attributes.get("of") or 0)))
            reason = trial.attributes.get("reason") or "no reason is stored"
            return (
                f"promoted ({reason})"
                if source is None
                else (f"promoted from {self._link(source, trial.fidelity)}, {reason}")
            )
        return _ORIGINS.get(trial.origin, f"suggested by the sampler, {self._sampler}")

    def _against_the_leader(self, trial: Trial) -> str:
        leader = self._fidelities[trial.fidelity].leader
        if leader is None or trial.state in (State.RUNNING, State.WAITING):
            return ""
        if leader.architecture_id == trial.architecture_id:
            return "this network leads at this fidelity"
        return self._networks.difference(trial.architecture_id, leader.architecture_id)

    def _link(self, trial: Trial, seen_from: str) -> str:
        """Return a link to a trial's page; its fidelity is named where it is another one."""
        named = f"trial {trial.number}" if trial.fidelity == seen_from else f"{trial.fidelity} trial {trial.number}"
        if trial.fidelity not in self._pages:
            return named
        return f"[{named}](/dashboard/studies/{self._pages[trial.fidelity]}/trials?numbers={trial.number})"


class StudyNotes:
    """Writes the notes of a study's fidelities.

    Args:
        standing: Where the study stands.
        story: What it has found.
        trust: How far each cheaper number can be trusted, as `trust_of` finds it.
        pages: By fidelity the number of its page in the dashboard, for those that have begun.
        why_no_importance: Why no importance of axes is told, in a sentence; empty where there is a graph of it.
    """

    def __init__(
        self,
        standing: Standing,
        story: Story,
        trust: Sequence[Trust],
        pages: Mapping[str, int],
        why_no_importance: str = "",
    ) -> None:
        self._standing, self._story, self._trust, self._pages = standing, story, trust, pages
        self._why_no_importance = why_no_importance

    def heading(self, fidelity: FidelityStanding) -> str:
        """Return what the note of a fidelity begins with."""
        return f"**{fidelity.name}**"

    def of(self, fidelity: FidelityStanding) -> str:
        """Return the note of a fidelity."""
        parts = [
            f"{self.heading(fidelity)}: {counted(fidelity)}",
            self._others(fidelity),
            "\n".join(f"- **{question}** {said}" for question, said in self._story.lines),
            "" if self._story.chosen is None else _drawn(self._story.chosen.architecture_id),
            f"### Leader and baselines of {fidelity.name}\n{leaders(fidelity, self._standing.networks)}",
            f"### Plan\n{self._story.asked}",
            self._trusted(),
            f"### Importance of the axes\n{self._why_no_importance}" if self._why_no_importance else "",
        ]
        return "\n\n".join(part for part in parts if part)

    def _others(self, fidelity: FidelityStanding) -> str:
        """Return links to the pages of the study's fidelities."""
        others = [
            name if name == fidelity.name else f"[{name}](/dashboard/studies/{id})" for name, id in self._pages.items()
        ]
        return f"Fidelities of {self._standing.study.name}: {', '.join(others)}" if len(others) > 1 else ""

    def _trusted(self) -> str:
        """Return the trust meter: how well each cheaper number ranks networks as the dearer one does."""
        known = [entry for entry in self._trust if entry.correlation is not None]
        if not known:
            return "### Trust meter\nNo correlation can be told yet: it takes ten networks that have both numbers."
        rows = [_cells("cheaper number", "dearer number", "networks", "τ [95%]"), "|---|---|--:|---|"]
        for entry in known:
            found = entry.correlation
            if found is not None:
                low, high = found.tau_interval
                tau = f"{found.tau:+.2f} [{low:+.2f}, {high:+.2f}]"
                rows.append(_cells(f"{entry.fidelity}: {entry.predictor}", entry.against, str(entry.n), tau))
        said = "τ is Kendall's: 1 where both rank the networks alike, 0 where they have nothing in common."
        return "\n".join(["### Trust meter", *rows, "", said])


def counted(fidelity: FidelityStanding) -> str:
    """Return what became of a fidelity's trials, in numbers."""
    if not fidelity.trials:
        return "no trial yet"
    return ", ".join(f"{fidelity.counts[state]} {state}" for state in State if fidelity.counts.get(state))


def leaders(fidelity: FidelityStanding, networks: Sentences | None = None) -> str:
    """Return a fidelity's leader and baselines as Markdown, with what each network is in words."""
    rows = [*([fidelity.leader] if fidelity.leader else []), *fidelity.baselines]
    if not rows:
        return "No trial is complete yet."
    value = fidelity.score or rows[0].headline.heading
    lines = [_cells("", value, "seeds", *LEADS, "architecture"), "|---|--:|--:|--:|---|---|"]
    lines += [_row(row, fidelity.leader) for row in rows if row.seeds]
    lines += [f"\n{line}" for line in explained(rows)]
    known = {} if networks is None else networks.of
    said = {row.architecture_id: row.shown for row in reversed(rows) if row.architecture_id in known}
    title = "" if networks is None else f"\n\n{networks.title}:\n"
    words = title + "".join(f"\n- {name}: {known[id]}" for id, name in reversed(said.items())) if said else ""
    raced = f"\n\n{verdict(fidelity.race)}" if fidelity.race is not None and fidelity.race.candidates else ""
    return "\n".join(lines) + words + raced


def _row(row: Compared, leader: Compared | None) -> str:
    digits = row.headline.digits
    difference = in_numbers(row.behind)
    if row.scored and leader is not None and row is not leader:
        difference = f"{leader.ahead_of(row):+{digits}}"
    seeds = ", ".join(map(str, row.seeds))
    spread = f" ± {statistics.stdev(row.compared):{digits}}" if row.trained and len(row.seeds) > 1 else ""
    counted = counts(row.behind)
    return _cells(row.shown, f"{row.mean:{digits}}{spread}", seeds, difference, counted, f"`{row.architecture_id}`")


def _drawn(architecture_id: str) -> str:
    """Return a network's drawing, as wide as the note; its artifact is shown as small as a stamp."""
    address = address_of(architecture_id)
    return f"[![drawing of the network]({address})]({address})"


def _cells(*cells: str) -> str:
    """Return a row; the dashboard leaves no room between columns."""
    return f"| {' | &emsp;'.join(cells)} |"


def _code(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return f"`{text.replace('`', chr(39))}`" if text else "no reason is stored"
