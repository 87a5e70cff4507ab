"""One study as a page shows it: its story, its networks, its tables and figures, where each is from."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dcasearch.analysis import races
from dcasearch.analysis.classes import ClassTable, class_table_of
from dcasearch.analysis.findings import Findings, findings_of
from dcasearch.analysis.networks import records_of
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing, standing_of
from dcasearch.analysis.story import Story, story_of
from dcasearch.analysis.trials import trials_of
from dcasearch.analysis.trust import Trust
from dcasearch.analysis.words import further_splits, how_to_read, too_small
from dcasearch.architecture.words import aspects_of
from dcasearch.report import tables
from dcasearch.report.cells import Cells
from dcasearch.report.figures import Figure, Missing, Part, figures_of, missing_of
from dcasearch.report.networks import MOST_TRIALS, Best, Drawn, best_of, difference_drawn, drawn_of, trials_cells
from dcasearch.report.provenance import provenance
from dcasearch.report.readings import Reading
from dcasearch.report.rows import cells_of, epochs_of, sentence_of
from dcasearch.report.sheet import Sheet
from dcasearch.store import Store


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What is known of a study beside its database."""

    trust: Sequence[Trust] = ()
    """How well each proxy predicts, as `dcasearch.analysis.trust` finds it."""
    readings: Sequence[Reading] = ()
    """What lies beside the study's artifacts, as `dcasearch.report.readings` finds it."""
    sheet: Sheet | None = None
    """What the best detector finds; None for networks that find no boxes."""


@dataclass(frozen=True)
class Answer:
    """One of the six answers: what is read first, and the rest."""

    key: str
    question: str
    first: str
    rest: str


@dataclass(frozen=True)
class Titled:
    """A table with what stands above it and below it."""

    title: str
    cells: Cells
    notes: tuple[str, ...] = ()


_KEYS = ("chosen", "differs", "better", "sure", "cost", "next")
_FIRST = re.compile(r"(.+?)(?:: |\. |\.$|$)(.*)", re.DOTALL)
"""The first sentence or clause of an answer, and the rest; a number such as `0.25` ends none."""

_FOUND = {"yes": "a better network", "no": "no network that is shown to be better"}
"""What was found, by the word of the verdict."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Everything that the page shows of one study."""

    standing: Standing
    story: Story
    findings: Findings
    extras: Extras
    figures: tuple[Figure, ...]
    missing: tuple[Missing, ...]
    """Figures that are not there, each with the reason."""
    drawn: tuple[Drawn, ...]
    difference: str
    """Drawing of what the chosen network and its reference differ in; empty where there is none."""
    best: tuple[Best, ...]
    trials: Cells
    provenance: Cells

    @property
    def name(self) -> str:
        """The study's."""
        return self.standing.study.name

    @property
    def question(self) -> str:
        """The first sentence of what was asked."""
        return self.story.asked.partition("? ")[0] + "?"

    @property
    def asked(self) -> str:
        """The rest of what was asked: space, constraints, budget."""
        return self.story.asked.partition("? ")[2]

    @property
    def found(self) -> str:
        """What was found, in a sentence for somebody who reads no more."""
        _, told = _split(self.story.better)
        if self.story.chosen is None or not told:
            return self.story.found
        what = _FOUND.get(self.story.verdict, "a candidate, not yet a result")
        return f"{what}. {told}"

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The six answers, each with the words that are read first."""
        return tuple(
            Answer(key, question, *_split(text)) for key, (question, text) in zip(_KEYS, self.story.lines, strict=True)
        )

    @property
    def tone(self) -> str:
        """How the verdict is coloured beside its word: `good`, `bad` where it is resolved, else `open`."""
        if not self.story.against or self.story.against[0].counts != "yes":
            return "open"
        return "good" if self.story.verdict == "yes" else "bad"

    @property
    def pictured(self) -> bool:
        """Whether the first drawing is that of the chosen network."""
        return bool(self.drawn) and self.story.chosen is not None

    @property
    def warning(self) -> str:
        """Why the study can tell nothing, where it cannot."""
        return too_small(self.standing.powers) or ""

    @property
    def lead(self) -> str:
        """The chosen network's lead over its reference, in numbers."""
        return next((f"{one.lead} over {one.name}" for one in self.story.against if one.lead), "")

    @property
    def search_cost(self) -> str:
        """What the search cost, without the network."""
        return self.story.cost.partition(" The network: ")[0]

    @cached_property
    def costs(self) -> dict[str, Mapping[str, float]]:
        """Parameters and multiply-adds by architecture id."""
        return tables.costs_of(self.findings.networks)

    @property
    def comparisons(self) -> tuple[Titled, ...]:
        """The final trainings first, then each fidelity, the last one first."""
        return tuple(self._comparisons())

    def _comparisons(self) -> Iterator[Titled]:
        standing = self.standing
        if standing.finals:
            title = "On the test images: the chosen network and its baselines, trained anew with fresh seeds"
            further, notes = further_splits(standing.final_power), standing.legend
            notes = notes if further is None else (*notes, further)
            yield Titled(title, tables.comparison(standing.finals, self.costs), notes)
        for fidelity in reversed(standing.fidelities):
            rows = compared(fidelity)
            listed = standing.table is not None and standing.table.fidelity == fidelity.name
            if rows and not listed:
                kind = f"scored by {fidelity.score}, nothing is trained" if fidelity.score else "on the held-out images"
                notes = () if standing.finals else standing.legend
                yield Titled(f"Fidelity {fidelity.name}: {kind}", tables.comparison(rows, self.costs), notes)

    @property
    def rows(self) -> Titled | None:
        """The table of a list of architectures."""
        table = self.standing.table
        if table is None:
            return None
        unit = table.headline.unit_of_differences
        effects = [sentence_of(effect, unit) for effect in table.effects]
        return Titled("The table", cells_of(table), (how_to_read(table.headline), *effects))

    @property
    def epochs(self) -> Cells | None:
        """After how many epochs each row of a list reached its goal."""
        return None if self.standing.table is None else epochs_of(self.standing.table)

    @property
    def ledger(self) -> Cells:
        """What became of the trials."""
        return tables.ledger(self.standing.fidelities)

    @property
    def races(self) -> tuple[Titled, ...]:
        """Each race with what it has found."""
        held = [(f.name, f.race) for f in self.standing.fidelities if f.race is not None and f.race.candidates]
        return tuple(
            Titled(
                f"The race at fidelity {name}",
                tables.race_table(race),
                tuple(f"{said[0].upper()}{said[1:]}." for said in (races.verdict(race), races.sizes(race)) if said),
            )
            for name, race in held
        )

    @property
    def powers(self) -> Cells | None:
        """What can be told apart."""
        return tables.told_apart(self.standing.powers) if self.standing.powers else None

    @property
    def trust(self) -> Cells | None:
        """How far the proxies can be trusted."""
        return tables.trust_table(self.extras.trust) if self.extras.trust else None

    @property
    def time(self) -> Cells:
        """Where the time went."""
        return tables.time_spent(self.findings.spending, (f.name for f in self.standing.fidelities))

    @property
    def classes(self) -> ClassTable | None:
        """The headline metric of each class."""
        return class_table_of(self.standing)

    @property
    def backbone(self) -> str:
        """The backbone of all of the best networks; empty where they differ, since each sentence names its own."""
        backbones = {aspects_of(best.architecture.network)["backbone"] for best in self.best}
        return backbones.pop() if len(backbones) == 1 else ""

    @property
    def trials_left_out(self) -> int:
        """How many trials the page does not list."""
        return max(0, sum(len(fidelity.trials) for fidelity in self.standing.fidelities) - MOST_TRIALS)

    def of_part(self, part: Part) -> tuple[Figure, ...]:
        """Return the figures of one part."""
        return tuple(figure for figure in self.figures if figure.part == part)

    def missing_in(self, part: Part) -> tuple[Missing, ...]:
        """Return the figures that one part lacks."""
        return tuple(missing for missing in self.missing if missing.part == part)


def section_of(store: Store, name: str, extras: Extras, reach: float | None = None) -> Section:
    """Return one study as a page shows it.

    Raises:
        UserError: the database holds no study of that name.
    """
    standing = standing_of(store, name, reach)
    story = story_of(store, standing, extras.trust, count=True)
    records = records_of(store, standing)
    findings = findings_of(store, standing)
    held = [trial for fidelity in standing.fidelities for trial in fidelity.trials]
    return Section(
        standing=standing,
        story=story,
        findings=findings,
        extras=extras,
        figures=tuple(figures_of(standing, findings)),
        missing=missing_of(findings),
        drawn=drawn_of(store, standing, story),
        difference=difference_drawn(store, standing, story),
        best=best_of(store, standing, findings.networks),
        trials=trials_cells(trials_of(store, name), held),
        provenance=provenance(store, standing, records),
    )


def compared(fidelity: FidelityStanding) -> list[Compared]:
    """Return the leader of a fidelity and its baselines."""
    return [*([fidelity.leader] if fidelity.leader else []), *fidelity.baselines]


def _split(text: str) -> tuple[str, str]:
    found = _FIRST.fullmatch(text)
    if found is None:
        return text, ""
    return found[1], found[2][:1].upper() + found[2][1:]


def encoded(svg: str) -> str:
    """Return a drawing as the data of an address."""
    return base64.b64encode(svg.encode()).decode()
