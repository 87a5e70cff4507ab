"""The paper's motive on CIFAR-10: does the message of a connection matter, and does the focus then move less?

Runs benchmarks/tables/motive.yaml (it goes on where it was interrupted; about half an hour of two cores), then looks at
every network that it trained, on the same held-out images, and prints tables in Markdown. Means are over seeds, paired
by seed, with Student's 95% intervals of one comparison; `least` is the smallest true difference that so many seeds find
in 80% of cases.

    CIFAR10_ROOT=... python benchmarks/motive.py [--images 512] [--only-print]
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors.torch import load_file

from dcasearch import study as study_room
from dcasearch.analysis.measured import powers_of
from dcasearch.analysis.paired import Error
from dcasearch.analysis.table import table_of
from dcasearch.analysis.words import verdict
from dcasearch.artifacts import open_artifacts
from dcasearch.data import Loader, open_sample
from dcasearch.interpretation.contributions import contributions_of
from dcasearch.interpretation.drift import tracks_of
from dcasearch.models import DCANet, build_model
from dcasearch.space import ListedSpace, LoadedStudy, load_study
from dcasearch.store import Store, storage_of
from dcasearch.training.weights import weights_path
from dcasearch.trial import State

STUDY = Path(__file__).parent / "tables" / "motive.yaml"
VANILLA, CONNECTED = "CBAM", "connected"
Values: TypeAlias = Mapping[str, Mapping[int, float]]
"""By label and seed."""


@dataclass(frozen=True)
class Trained:
    """One network as it was trained."""

    label: str
    seed: int
    model: DCANet


def trained(loaded: LoadedStudy, store: Store, classes: int) -> Iterable[Trained]:
    """Yield every network of the study with its weights."""
    study = loaded.study
    artifacts = open_artifacts(study.artifacts)
    for trial in store.trials(study.name, study.fidelities[-1].name):
        if trial.state is not State.COMPLETE or trial.evaluation is None:
            continue
        model = build_model(store.get_architecture(trial.architecture_id), classes, seed=trial.seed)
        model.load_state_dict(load_file(str(weights_path(artifacts, trial.evaluation))))
        yield Trained(str(trial.label), trial.seed, model.eval())


def looked_at(networks: Iterable[Trained], images: Loader) -> tuple[dict[str, Values], dict[str, Values]]:
    """Return by measure the drift of each network, and by dimension the share of the messages."""
    drift: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    shares: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for network in networks:
        for track in tracks_of(network.model, images):
            steps = [e.value for e in track.steps.estimates() if e is not None]
            drift[track.measure][network.label][network.seed] = statistics.fmean(steps)
        if network.model.network.edges:
            found: dict[str, list[float]] = defaultdict(list)
            for contribution in contributions_of(network.model, images):
                if contribution.over_images is not None:
                    found[contribution.dimension].append(contribution.over_images.share.value)
            for dimension, values in found.items():
                shares[dimension][network.label][network.seed] = 100 * statistics.fmean(values)
        print(f"looked at {network.label}, seed {network.seed}", flush=True)
    return dict(drift), dict(shares)


def print_values(title: str, measures: Mapping[str, Values], labels: Sequence[str], digits: int) -> None:
    """Print the mean over seeds of each network, and its difference to `VANILLA` and to `CONNECTED`."""
    columns = ("network", "mean", f"minus {VANILLA}", "least", f"minus {CONNECTED}", "least")
    header = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
    print(f"\n### {title}")
    for measure, values in measures.items():
        print(f"\n{measure}\n\n{header}")
        for label in labels:
            mine = values.get(label)
            if mine:
                cells = [c for other in (VANILLA, CONNECTED) for c in _difference(mine, values.get(other), digits)]
                print(f"| {label} | {statistics.fmean(mine.values()):.{digits}f} | {' | '.join(cells)} |")


def _difference(mine: Mapping[int, float], other: Mapping[int, float] | None, digits: int) -> tuple[str, str]:
    if other is None or other is mine:
        return "", ""
    differences = [mine[seed] - other[seed] for seed in sorted(mine.keys() & other.keys())]
    if len(differences) < 2:
        return "", ""
    error = Error(statistics.variance(differences) / len(differences), len(differences) - 1)
    mean = statistics.fmean(differences)
    least = error.detectable(len(differences))
    return f"{mean:+.{digits}f} ± {error.margin():.{digits}f}", f"{least:.{digits}f}"


def print_accuracy(loaded: LoadedStudy, store: Store) -> None:
    """Print the study's own table: every row against the row that it is compared with, corrected for all rows."""
    study = loaded.study
    table = table_of(study, store, powers_of(study, store)[study.fidelities[-1].name])
    assert table is not None
    print("\n### Accuracy\n\n| network | parameters | top-1 | difference | to | which is |\n|---|---|---|---|---|---|")
    for row in table.rows:
        values = row.values.get(table.headline.name, {})
        mean = f"{statistics.fmean(values.values()):.2f}" if values else "not trained"
        told = "" if row.difference is None else str(row.difference).removeprefix("≈ ")
        said = "" if row.difference is None else verdict(row.difference, table.headline)
        print(f"| {row.row.label} | {row.params:,} | {mean} | {told} | {row.against or ''} | {said} |")


def main() -> None:
    """Train what is missing, look at every network, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="of the held-out ones that every network is shown")
    parser.add_argument("--only-print", action="store_true", help="train nothing; print what is there")
    arguments = parser.parse_args()
    loaded = load_study(STUDY)
    study = loaded.study
    assert isinstance(loaded.space, ListedSpace)
    store = Store.open(storage_of(study), create=not arguments.only_print)
    if not arguments.only_print:
        say: Callable[[object], None] = print
        study_room.run(loaded, store, observe=say)
    images = open_sample(
        study.data,
        "search",
        images=arguments.images,
        resolution=study.fidelities[-1].resolution,
        batch_size=64,
        device=torch.device("cpu"),
    )
    labels = [row.label for row in loaded.space.rows]
    print_accuracy(loaded, store)
    drift, shares = looked_at(trained(loaded, store, 10), images)
    print_values("Drift of the focus (1: it does not move)", drift, labels, 3)
    print_values("Share of the message, in percent", shares, labels, 1)


if __name__ == "__main__":
    main()
