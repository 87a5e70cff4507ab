"""`dcasearch train`: what is parsed, how a training is shown, and the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dcasearch.cli.arguments import AsJson, MaxParams, Storage
from dcasearch.cli.console import make_console
from dcasearch.cli.interruption import noted
from dcasearch.errors import DcasearchError, Interrupted, MachineError, Preempted, TrialFailure
from dcasearch.metrics import METRICS, headline_of

if TYPE_CHECKING:  # commands import their rooms themselves, so that `--help` is instant
    from dcasearch.full_training import Passed, Plan, Trained, Wishes
    from dcasearch.training import Ranks
    from dcasearch.trial import Value

DATA = typer.Option(help="A data set's name, or the folder of the spec's; else the spec's.")
WEIGHTS = typer.Option(
    help="Trained weights that the backbone starts from: a file, an exported spec, timm/MODEL.TAG or "
    "torchvision/MODEL.TAG; else random values."
)
FRACTION = typer.Option(min=0, max=1, help="Stratified share of the train split; else the spec's, else 1.")


def train(
    spec: Annotated[
        Path,
        typer.Argument(
            help="A model spec, any architecture as YAML, STUDY/FIDELITY/NUMBER, STUDY/FIDELITY/BASELINE, or an id's "
            "beginning.",
            show_default=False,
        ),
    ],
    recipe: Annotated[str | None, typer.Option(help="A shipped recipe or a YAML file; else the spec's.")] = None,
    data: Annotated[str | None, DATA] = None,
    root: Annotated[str | None, typer.Option(help="The data's folder.")] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels per side; else the spec's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Else the given recipe's, else the spec's.")] = None,
    train_fraction: Annotated[float | None, FRACTION] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Else that of the spec's weights, else 0.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="search, test or paper: what is measured on; else the spec's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the result; else SPEC's name with `-trained`.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of CPU computation; else PyTorch's default.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Loader processes, for image folders.")] = None,
    weights: Annotated[str | None, WEIGHTS] = None,
    storage: Storage = None,
    max_params: MaxParams = None,
    as_json: AsJson = False,
) -> None:
    """Train one spec in full, outside of any study. Ctrl-C is safe: the same command goes on at that very step.

    On several GPUs: torchrun --nproc-per-node 8 -m dcasearch train SPEC … (the recipe's batch is that of all of them).
    """
    from dcasearch.cli.referring import spec_file
    from dcasearch.full_training import Wishes, joined

    spec = spec_file(spec, storage, weights=False)
    wishes = Wishes(
        recipe=recipe,
        data=data,
        root=root,
        resolution=resolution,
        epochs=epochs,
        train_fraction=train_fraction,
        seed=seed,
        protocol=protocol,
        workers=workers,
        weights=weights,
    )
    folder = out or Path(f"{spec.stem}-trained")
    first = os.environ.get("RANK", "0") == "0"
    try:
        with joined(device, os.environ) as (ranks, own_device):
            console = make_console(stderr=as_json)
            _train(spec, wishes, folder, ranks, own_device, threads, console, as_json=as_json)
    except DcasearchError as error:
        # Rank 0 tells what all of them met; another one tells only what it alone did.
        own = isinstance(error, MachineError) or (isinstance(error, TrialFailure) and error.kind in ("oom", "bug"))
        if first or own:
            raise
        raise typer.Exit(error.exit_code) from None


def _train(
    spec: Path,
    wishes: Wishes,
    out: Path,
    ranks: Ranks,
    device: str,
    threads: int | None,
    console: Console,
    *,
    as_json: bool,
) -> None:
    import torch

    from dcasearch.full_training import plan
    from dcasearch.full_training import train as train_plan

    planned = plan(spec, wishes)
    name = spec.stem
    if ranks.first:
        console.print(_announcement(planned, name, ranks, out))
        for note in planned.notes:
            console.print(f"note: {note}", style="yellow")
    with noted(patient=ranks.world > 1) as interruption, _shown(console, name, ranks, as_json=as_json) as view:

        def interrupted() -> bool:
            view.beat()
            return interruption.event.is_set()

        try:
            trained = train_plan(
                planned,
                out,
                threads=threads or torch.get_num_threads(),
                device=device,
                ranks=ranks,
                observe=view.passed,
                interrupted=interrupted,
            )
        except Preempted as error:
            raise Interrupted(f"{error}; nothing is lost, the same command goes on", interruption.exit_code) from None
    if ranks.first:
        _print_end(console, name, trained, out, as_json=as_json)


def _announcement(planned: Plan, name: str, ranks: Ranks, out: Path) -> str:
    assignment = planned.assignment
    fidelity = assignment.fidelity
    share = "" if fidelity.train_fraction == 1 else f"{fidelity.train_fraction:g} of "
    several = "" if ranks.world == 1 else f", {ranks.world} ranks"
    start = "" if assignment.start is None else f", from {assignment.start.words}"
    before = "" if assignment.parent is None else "; its vanilla parent is trained first"
    return (
        f"{name}: architecture {assignment.architecture.id}, {share}{assignment.data.name} ({assignment.protocol}) at "
        f"{fidelity.resolution} pixels, {fidelity.epochs} epochs, recipe {planned.recipe}, "
        f"seed {assignment.seed}{start}{several}, to {out}{before}"
    )


def _print_end(console: Console, name: str, trained: Trained, out: Path, *, as_json: bool) -> None:
    record = trained.record
    last, best = record["history"][-1], record["history"][record["best_epoch"] - 1]
    metric = headline_of(last)
    if as_json:
        from dcasearch.cli.live import print_json
        from dcasearch.search.work import Event

        fields = {metric.name: last[metric.name], "best_epoch": best["epoch"], "spec": str(out / record["spec"])}
        print_json(Event("complete", name, fields=fields), sys.stdout)
    already = "complete already" if trained.before else "complete"
    console.print(
        f"{already}: {metric.shown(last[metric.name])} after epoch {last['epoch']} "
        f"(best {metric.shown(best[metric.name])} after epoch "
        f"{best['epoch']}); `dcasearch verify {out / record['spec']}` holds the model against its spec"
    )


@dataclass(frozen=True)
class _View:
    """Where a training is shown."""

    passed: Callable[[Passed], None]
    """Takes every epoch."""
    beat: Callable[[], None]
    """Called after every batch."""


@contextmanager
def _shown(console: Console, name: str, ranks: Ranks, *, as_json: bool) -> Iterator[_View]:
    """Yield what shows a training as fits where the output goes; ranks but the first show nothing."""
    if not ranks.first:
        yield _View(lambda passed: None, lambda: None)
    elif as_json:
        from dcasearch.cli.live import print_json
        from dcasearch.search.work import Event

        events = sys.stdout
        with redirect_stdout(sys.stderr):  # whatever a library prints is no event
            yield _View(
                lambda passed: print_json(
                    Event("epoch", f"{name} parent" if passed.parent else name, fields=_fields(passed)),
                    events,
                ),
                lambda: None,
            )
    elif console.is_terminal:
        with _bar(console) as bar:
            yield _View(bar.passed, bar.beat)
    else:
        yield _View(lambda passed: _print_epoch(console, passed), lambda: None)


def _fields(passed: Passed) -> dict[str, Value]:
    return {"of": passed.of, "replayed": passed.replayed, **passed.epoch.flat()}


def _print_epoch(console: Console, passed: Passed) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {sentence(passed)}")


def sentence(passed: Passed) -> str:
    """Return an epoch as one plain line."""
    from dcasearch.cli.live import duration

    epoch = passed.epoch
    values = ", ".join(METRICS[name].shown(value) for name, value in epoch.values.items())
    when = "before the interruption" if passed.replayed else f"in {duration(epoch.seconds)}"
    of = "parent, " if passed.parent else ""
    return f"{of}epoch {epoch.epoch}/{passed.of}: train loss {epoch.train_loss:.4f}, {values}, {when}"


class _Bar:
    """The epochs as a bar, and the batches of the one that runs; epochs scroll above."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("epoch 1", total=None, batches="")
        self._batches = 0

    def passed(self, passed: Passed) -> None:
        self._batches = 0
        number = passed.epoch.epoch
        self._progress.console.print(sentence(passed))
        self._progress.update(
            self._task,
            completed=number,
            total=passed.of,
            description=f"epoch {min(number + 1, passed.of)}/{passed.of}",
        )
        self._progress.refresh()  # at once, not at its next quarter of a second

    def beat(self) -> None:
        self._batches += 1
        self._progress.update(self._task, batches=f"{self._batches} batches")


@contextmanager
def _bar(console: Console) -> Iterator[_Bar]:
    columns = ("{task.description}", BarColumn(), "{task.fields[batches]}", TimeElapsedColumn(), TimeRemainingColumn())
    words = [TextColumn(column) if isinstance(column, str) else column for column in columns]
    with Progress(*words, console=console, transient=True, refresh_per_second=4) as progress:
        yield _Bar(progress)
