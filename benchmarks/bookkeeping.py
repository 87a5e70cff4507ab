"""What a trial's bookkeeping costs beside a bare Optuna loop: same sampler, same number of parameters, SQLite.

Both go on in blocks, in turn, each in its own database: ours asks, gates, stores and tells with a training
that takes no time; the bare loop asks, suggests, reports and tells. A trial is one that was told, duplicates among
them: a sampler repeats itself in both loops, ours knows it. Aims: at most 1.5x per trial, and at
1,000 trials no more than 2x the cost at 50.

    python benchmarks/bookkeeping.py [--trials 1000] [--block 50]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import optuna

from dcasearch.config.study import Study
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.costing import Costs
from dcasearch.search.samplers import SAMPLERS
from dcasearch.search.trials import Trials
from dcasearch.search.work import Job
from dcasearch.space import read_space
from dcasearch.store import Store

SPACE = {
    "backbone": {"name": "resnet18", "stem": "small"},
    "attention": {"name": ["se", "gc", "cbam"], "granularity": "stage", "reduction": [4, 8, 16]},
    "connections": {
        "granularity": "stage",
        "dimensions": {"channel": [True, False]},
        "topology": ["chain", "dense", "tree"],
        "function": ["direct", "weighted", "softmax"],
        "channel_matching": ["fc", {"fc2": {"reduction": [4, 8, 16]}}],
    },
}


class OurLoop:
    """A study whose trainings take no time."""

    def __init__(self, folder: Path) -> None:
        written = {
            "name": "bench",
            "space": SPACE,
            "data": {"name": "digits"},
            "sampler": {"name": "tpe", "seed": 0},
            "fidelities": [{"name": "proxy", "trials": 1_000_000, "resolution": 32, "epochs": 1}],
        }
        study = Study.model_validate(written)
        store = Store.open(f"sqlite:///{folder}/ours.db", create=True)
        store.put_study(study.name, {}, study.model_dump_json(exclude={"storage"}))
        self.trials = Trials(
            study=study,
            fidelity=study.fidelities[0],
            space=read_space(SPACE),
            store=store,
            costs=Costs(store, 32, 10),
            data_fingerprint="none",
            artifacts=folder,
            observe=lambda event: None,
        )

    def __call__(self) -> None:
        job = self.trials.ask()
        if job is None:
            raise RuntimeError("the space is used up; take a larger one")
        epoch = made_up(job)
        self.trials.report(job, epoch)
        record = Evaluation(key=job.assignment.key, history=(epoch,), seconds=0.0, images=1, device="cpu")
        self.trials.finish(job, record)

    def parameters(self) -> float:
        return statistics.fmean(len(trial.params) for trial in self.trials.ledger.trials.values())

    def told(self) -> int:
        return len(self.trials.ledger.trials)

    def trained(self) -> int:
        return len(self.trials.ledger.complete())


def made_up(job: Job) -> Epoch:
    top1 = int(job.assignment.architecture.id[:6], 16) / 0xFFFFFF * 100
    return Epoch(epoch=1, train_loss=1.0, values={"loss": 1.0, "top1": top1, "top5": 100.0}, seconds=0.0)


class BareLoop:
    """Optuna's own ask, suggest, report and tell."""

    def __init__(self, folder: Path, parameters: int) -> None:
        sampler = SAMPLERS["tpe"](Study.model_fields["sampler"].default, 0)
        self.study = optuna.create_study(storage=f"sqlite:///{folder}/bare.db", direction="maximize", sampler=sampler)
        self.parameters = parameters

    def __call__(self) -> None:
        trial = self.study.ask()
        values = [trial.suggest_categorical(f"p{n}", (0, 1, 2)) for n in range(self.parameters)]
        trial.report(sum(values), 1)
        self.study.tell(trial, sum(values))

    def told(self) -> int:
        return len(self.study.get_trials(deepcopy=False))


def seconds_per_trial(loop: OurLoop | BareLoop, trials: int) -> float:
    before, began = loop.told(), time.perf_counter()
    while loop.told() < before + trials:
        loop()
    return (time.perf_counter() - began) / (loop.told() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--block", type=int, default=50)
    options = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        ours = OurLoop(Path(folder))
        first = [seconds_per_trial(ours, options.block)]
        bare = BareLoop(Path(folder), round(ours.parameters()))
        other = [seconds_per_trial(bare, options.block)]
        for _ in range(options.trials // options.block - 1):
            first.append(seconds_per_trial(ours, options.block))
            other.append(seconds_per_trial(bare, options.block))
        ratios = [a / b for a, b in zip(first, other, strict=True)]
        print(f"{round(ours.parameters())} parameters, {ours.told()} trials, {ours.trained()} of them trained")
        print("ours ms:", " ".join(f"{1000 * s:.0f}" for s in first))
        print("bare ms:", " ".join(f"{1000 * s:.0f}" for s in other))
        print(f"ratio ours/bare per trial: {statistics.median(ratios):.2f} (aim <= 1.5)")
        print(
            f"ratio last block/first block: ours {first[-1] / first[0]:.2f} (aim <= 2), bare {other[-1] / other[0]:.2f}"
        )


if __name__ == "__main__":
    main()
