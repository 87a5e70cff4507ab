"""Networks on a page: the chosen one and its baselines as drawings, the best ones with files to rebuild them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from dcasearch.analysis.asked import short
from dcasearch.analysis.networks import TrainedNetwork, TrainedNetworks
from dcasearch.analysis.standing import Standing
from dcasearch.analysis.story import Story
from dcasearch.analysis.table import Table, TableRow
from dcasearch.analysis.trials import TrialTable, why
from dcasearch.architecture import Architecture
from dcasearch.architecture.words import difference_of, sentence_of
from dcasearch.drawing import draw, draw_difference
from dcasearch.metrics import METRICS
from dcasearch.report.cells import Cells
from dcasearch.report.tables import SHORT_ID
from dcasearch.store import Store
from dcasearch.trial import Trial

BEST = 10
"""Networks that the page lists with a file each."""
MOST_TRIALS = 2000
"""Trials that the page lists; `dcasearch trials` has all of them."""
SPECS = "specs"
"""Folder of the networks' files, beside the page."""


@dataclass(frozen=True)
class Drawn:
    """A network as a picture."""

    name: str
    architecture_id: str
    sentence: str
    differs: str
    """How it differs from what it is compared with, in words; empty where it is compared with nothing."""
    svg: str


@dataclass(frozen=True, kw_only=True)
class Best:
    """One of the best networks, with what rebuilds it."""

    place: int
    architecture: Architecture
    sentence: str
    fidelity: str
    value: str
    """Mean of the headline metric, and over how many seeds."""
    params: str
    macs: str
    command: str
    """What writes it with its weights, where the study kept them."""

    @property
    def short_id(self) -> str:
        """The id as a table shows it."""
        return self.architecture.id[:SHORT_ID]

    @property
    def file(self) -> str:
        """Name of its file in the report's folder."""
        return f"{SPECS}/{self.architecture.id}.yaml"

    @property
    def content(self) -> str:
        """The file: an architecture as `inspect`, `compare` and `train` read it."""
        written = yaml.safe_dump(self.architecture.written_out(), sort_keys=False, allow_unicode=True)
        return f"# {sentence_of(self.architecture.network)}\n# id {self.architecture.id}\n{written}"

    @property
    def data(self) -> str:
        """The file as an address, so that the page needs no other file."""
        return "data:text/yaml;base64," + base64.b64encode(self.content.encode()).decode()


def drawn_of(store: Store, standing: Standing, story: Story) -> tuple[Drawn, ...]:
    """Return drawings of the chosen network and then of the baselines that it is compared with; of a list its rows."""
    if standing.table is not None:
        return tuple(_drawn_row(standing, standing.table, row) for row in standing.table.rows)
    if story.chosen is None:
        return ()
    differs = {one.architecture_id: one.differs for one in story.against}
    names = {story.chosen.architecture_id: "The chosen network"}
    for one in story.against:
        names.setdefault(one.architecture_id, one.name)
    found = store.architectures(names)
    resolution = standing.study.fidelities[-1].resolution
    return tuple(
        Drawn(
            name=name,
            architecture_id=id,
            sentence=sentence_of(found[id].network),
            differs=f"What the chosen network has that it has not: {differs[id]}" if id in differs else "",
            svg=draw(found[id].network, name, resolution=resolution),
        )
        for id, name in names.items()
    )


def _drawn_row(standing: Standing, table: Table, row: TableRow) -> Drawn:
    network = row.row.architecture.network
    other = next((of.row.architecture.network for of in table.rows if of.row.label == row.against), None)
    differs = "" if other is None else f"against {row.against}: {difference_of(network, other)}"
    svg = draw(network, row.row.label, resolution=standing.study.fidelities[-1].resolution)
    return Drawn(row.row.label, row.row.architecture.id, sentence_of(network), differs, svg)


def difference_drawn(store: Store, standing: Standing, story: Story) -> str:
    """Return a drawing of what the chosen network has that its reference has not; empty where they do not differ."""
    if story.chosen is None or not story.against:
        return ""
    reference = story.against[0]
    found = store.architectures([story.chosen.architecture_id, reference.architecture_id])
    if len(found) < 2:
        return ""
    first, second = found[reference.architecture_id].network, found[story.chosen.architecture_id].network
    resolution = standing.study.fidelities[-1].resolution
    return draw_difference(first, second, (reference.name, "the chosen network"), resolution=resolution)


def best_of(store: Store, standing: Standing, networks: Sequence[TrainedNetworks]) -> tuple[Best, ...]:
    """Return the best networks that trials trained: those of the last fidelity by its value, then those before it.

    Values of two fidelities do not compare, so each fidelity is a list of its own, and a network stands in the last one
    that trained it.
    """
    chosen: list[tuple[str, TrainedNetwork]] = []
    seen: set[str] = set()
    for trained in reversed(networks):
        sign = trained.metric.sign
        of_trials = (network for network in trained.networks if network.trial is not None)
        for network in sorted(of_trials, key=lambda network: -sign * network.mean):
            if network.architecture_id not in seen:
                seen.add(network.architecture_id)
                chosen.append((trained.fidelity, network))
    chosen = chosen[:BEST]
    found = store.architectures(network.architecture_id for _, network in chosen)
    one = len({network.network.backbone for _, network in chosen}) == 1
    metric = networks[0].metric if networks else None
    listed = []
    for place, (fidelity, network) in enumerate(chosen, start=1):
        seeds = len(network.values)
        digits = ".4g" if metric is None else metric.digits
        export = f"dcasearch export {standing.study.name}"
        listed.append(
            Best(
                place=place,
                architecture=found[network.architecture_id],
                sentence=sentence_of(network.network, backbone=not one),
                fidelity=fidelity,
                value=f"{network.mean:{digits}} ({'one seed' if seeds == 1 else f'{seeds} seeds'})",
                params=_cost(network.costs, "params"),
                macs=_cost(network.costs, "macs"),
                command=export if network.chosen else f"{export}/{fidelity}/{network.trial}",
            )
        )
    return tuple(listed)


def _cost(costs: Mapping[str, float], name: str) -> str:
    return short(costs[name]) if name in costs else ""


def trials_cells(table: TrialTable, trials: Iterable[Trial]) -> Cells:
    """Return every trial with its state, its network in words, values, costs and why it ended so."""
    metrics = [name for name in METRICS if name in table.columns and (METRICS[name].beside_headline or name == "score")]
    columns = (
        *("fidelity", "trial", "state", "network"),
        *(METRICS[name].heading for name in metrics),
        *("parameters", "multiply-adds", "epochs", "why", "id"),
    )
    reasons = {(trial.fidelity, trial.number): why(trial) for trial in trials}
    rows = []
    for row in table.rows[:MOST_TRIALS]:
        values = [f"{row[name]:{METRICS[name].digits}}" if row[name] is not None else "" for name in metrics]
        costs = [short(float(value)) if (value := row[name]) is not None else "" for name in ("params", "macs")]
        key = (str(row["fidelity"]), int(row["trial"] or 0))
        rows.append(
            (
                *(str(row["fidelity"]), str(row["trial"]), str(row["state"]), str(row["network"])),
                *values,
                *costs,
                *(str(row["epochs"]), reasons[key], str(row["architecture"])[:SHORT_ID]),
            )
        )
    end = len(columns)
    return Cells(columns, tuple(rows), (0, 2, 3, end - 2, end - 1), long=(3, end - 2))
