"""What a study sends over the network: bytes of a job, of an epoch's report, of a record, of a checkpoint.

Nothing is trained and no cluster is needed: the messages are made as the Ray executor makes them, and pickled as Ray
pickles them. The architecture is one of the study's space at random; Ray's own few hundred bytes a call are left out.

    python benchmarks/on_the_wire.py studies/mnasnet_attention.yaml [--seed 0]
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from ray import cloudpickle

from dcasearch.config.study import Fidelity, Resources
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.executors.ray.actor import Ticket
from dcasearch.models import cost
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, load_study
from dcasearch.training import Assignment
from dcasearch.training.provenance import provenance

CLASSES = 1000
FLOAT_BYTES = 4


def ticket(loaded: LoadedStudy, fidelity: Fidelity, draw: random.Random) -> Ticket:
    study = loaded.study
    assignment = Assignment(
        architecture=loaded.space.random(draw).architecture,
        fidelity=fidelity,
        data=study.data,
        data_fingerprint="0" * 16,
        protocol=study.data.protocol,
        seed=0,
    )
    resources = study.executor.resources.get(fidelity.name, Resources())
    job = Job(label=f"{fidelity.name} trial 100", number=100, assignment=assignment, resources=resources, trial=True)
    return Ticket(job, study.artifacts, "dcasearch-" + "0" * 32)


def record(assignment: Assignment, epochs: int, draw: random.Random) -> Evaluation:
    def number() -> float:
        return draw.random() * 100

    history = tuple(
        Epoch(
            epoch=n + 1,
            train_loss=number(),
            values={"loss": number(), "top1": number(), "top5": number()},
            seconds=number(),
            device="NVIDIA H100",
        )
        for n in range(epochs)
    )
    return Evaluation(
        key=assignment.key,
        history=history,
        seconds=number(),
        images=10**8,
        device="NVIDIA H100",
        provenance=provenance(1) | {"ranks": "1"},
        weights=f"weights/{assignment.key.id}.safetensors",
        weights_sha256="0" * 64,
    )


def size(thing: object) -> str:
    return f"{len(cloudpickle.dumps(thing)):,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    loaded = load_study(options.study)
    for fidelity in loaded.study.fidelities:
        draw = random.Random(options.seed)
        sent = ticket(loaded, fidelity, draw)
        assignment = sent.job.assignment
        first, last = record(assignment, 1, draw), record(assignment, fidelity.epochs, draw)
        params = cost(assignment.architecture, fidelity.resolution, CLASSES).params
        copies = 3 if fidelity.recipe.ema is not None else 2
        print(f"{fidelity.name}: {fidelity.epochs} epochs, {params:,} parameters")
        print(f"  job, to the worker, once a trial:            {size({'ticket': sent})} bytes")
        # Tune returns a trial's configuration with each result.
        for epoch, message in ((1, first), (fidelity.epochs, last)):
            answer = {"message": message, "config": {"ticket": sent}, "done": False, "hostname": "node-17"}
            print(f"  report of epoch {epoch:>3}, to the driver:          {size(answer)} bytes")
        print(f"  record, to the database, once a trial:       {size(last)} bytes")
        print(f"  checkpoint, to the artifacts, each epoch:    {copies * params * FLOAT_BYTES / 1e6:,.0f} MB")
        print(f"  gradients, between ranks, each step and rank: {2 * params * FLOAT_BYTES / 1e6:,.0f} MB at most")


if __name__ == "__main__":
    main()
