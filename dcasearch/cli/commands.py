"""Every command of `dcasearch`: what is parsed, which room does it, and the exit code."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dcasearch.errors import DcasearchError, Interrupted, UserError

if TYPE_CHECKING:  # commands import their rooms themselves, so that `--help` is instant
    from dcasearch.store import Store

app = typer.Typer(
    help="Search for how to connect a CNN's attention blocks, and keep every result.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database's own affairs.", no_args_is_help=True)
app.add_typer(db, name="db")

StudyFile = Annotated[Path, typer.Argument(help="The study's YAML.", show_default=False)]
StudyName = Annotated[str, typer.Argument(help="The study's name, or its YAML.", show_default=False)]
SpecFile = Annotated[Path, typer.Argument(help="An exported model spec, or any architecture as YAML.")]
Storage = Annotated[
    str | None,
    typer.Option(help="Database URL; else the study's, else DCASEARCH_STORAGE, else sqlite:///dcasearch.db."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def main() -> None:
    """Run the command line; an error that was foreseen is a message and an exit code, never a traceback."""
    try:
        app()
    except DcasearchError as error:
        console = Console(stderr=True, highlight=False)
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)


def _out() -> Console:
    return Console(highlight=False)


@app.command()
def check(study: StudyFile, storage: Storage = None) -> None:
    """Find every mistake in a study's YAML, then say what the study will cost. Trains nothing, writes nothing."""
    from dcasearch.analysis.forecast import forecast
    from dcasearch.cli.printing import print_forecast
    from dcasearch.data import describe
    from dcasearch.errors import DataError
    from dcasearch.space import load_study
    from dcasearch.store import Store, exists

    console = _out()
    loaded = load_study(study)
    console.print(f"{study}: no mistakes found")
    for variable in sorted(loaded.missing_variables):
        console.print(f"warning: {variable} is not set; `run` needs it", style="yellow")
    data = None
    if not loaded.missing_variables:
        try:
            data = describe(loaded.study.data, None)
        except DataError as error:
            console.print(f"warning: {error}", style="yellow", markup=False)
    url = storage or loaded.study.storage
    store = Store.open(url) if exists(url) else None
    print_forecast(console, forecast(loaded.study, loaded.space, data, store))


@app.command()
def run(
    study: StudyFile,
    storage: Storage = None,
    executor: Annotated[str | None, typer.Option(help="Where trials run, in place of the study's: local.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start, resume or extend a study. Ctrl-C is safe: the same command goes on from the checkpoints."""
    from dcasearch import study as study_room
    from dcasearch.cli.live import observer
    from dcasearch.cli.storage import remember
    from dcasearch.executors import LocalExecutor
    from dcasearch.space import load_study
    from dcasearch.store import Store

    console = Console(stderr=True, highlight=False) if as_json else _out()
    loaded = load_study(study)
    if (executor or loaded.study.executor.name) != "local":
        raise UserError("executor ray is not there yet in this version; `--executor local` runs the study here")
    name, url = loaded.study.name, storage or loaded.study.storage
    store = Store.open(url, create=True)
    remember(name, url)
    console.print(f"study {name}, database {store.url}", markup=False)
    with _interruption() as interrupted, observer(console, as_json=as_json) as observe:
        local = LocalExecutor(Path(loaded.study.artifacts), loaded.study.executor.max_concurrent, interrupted.event)
        try:
            with local.open():
                outcome = study_room.run(loaded, store, local, observe)
        except Interrupted:
            raise Interrupted(
                f"interrupted; nothing is lost, `dcasearch run {study}` goes on", interrupted.exit_code
            ) from None
    if outcome.stopped:
        console.print(f"stopped: {outcome.stopped}; `dcasearch run {study}` goes on", markup=False)
    if not as_json:
        _print_standing(console, store, name, every_trial=False)


class _Interruption:
    """Set by the first Ctrl-C or SIGTERM; a second Ctrl-C ends the program at once."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.exit_code = 130

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.event.is_set():
            raise KeyboardInterrupt
        self.exit_code = 128 + number
        self.event.set()


@contextmanager
def _interruption() -> Iterator[_Interruption]:
    interruption = _Interruption()
    before = {number: signal.signal(number, interruption.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _name_and_url(study: str, storage: str | None) -> tuple[str, str]:
    """Return a study's name and database, from its name or its YAML."""
    from dcasearch.cli.storage import storage_of
    from dcasearch.space import load_study

    if study.endswith((".yaml", ".yml")):
        loaded = load_study(Path(study)).study
        return loaded.name, storage or loaded.storage
    return study, storage_of(study, storage)


def _print_standing(console: Console, store: Store, name: str, *, every_trial: bool) -> None:
    from dcasearch.analysis.standing import standing_of
    from dcasearch.cli.printing import print_standing

    print_standing(console, standing_of(store, name), every_trial=every_trial)


@app.command()
def status(study: StudyName, storage: Storage = None, as_json: AsJson = False) -> None:
    """Show the ledger: what became of every trial, the baselines, and who leads by how much."""
    from dcasearch.analysis.standing import standing_of
    from dcasearch.cli.printing import as_json as plain
    from dcasearch.store import Store

    name, url = _name_and_url(study, storage)
    store = Store.open(url)
    if as_json:
        print(json.dumps(plain(standing_of(store, name)), indent=1))
        return
    console = _out()
    console.print(f"study {name}, database {store.url}", markup=False)
    _print_standing(console, store, name, every_trial=True)


@app.command()
def export(
    study: StudyName,
    out: Annotated[Path, typer.Option(help="The YAML spec to write.")] = Path("best.yaml"),
    weights: Annotated[Path | None, typer.Option(help="The safetensors beside it; else of the same name.")] = None,
    trial: Annotated[int | None, typer.Option(help="A trial of the last fidelity, in place of the winner.")] = None,
    storage: Storage = None,
) -> None:
    """Write a study's winner as a model spec with its weights."""
    from dcasearch.export import export_winner
    from dcasearch.store import Store

    name, url = _name_and_url(study, storage)
    store = Store.open(url)
    console = _out()
    console.print(f"study {name}, database {store.url}", markup=False)
    spec = export_winner(store, name, out, weights, trial)
    console.print(f"{out}: architecture {spec.id}, {spec.parameters:,} parameters, {spec.macs:,} multiply-adds")
    for baseline in spec.baselines:
        if baseline.difference is not None:
            where = f"{baseline.fidelity}, {baseline.protocol}, seeds {', '.join(map(str, baseline.seeds))}"
            console.print(f"  top-1 {baseline.difference:+.2f} against {baseline.name} ({where})")
    console.print(f"weights: {out.parent / spec.weights.file}; `dcasearch verify {out}` holds both against each other")


@app.command()
def verify(
    spec: SpecFile,
    data: Annotated[str | None, typer.Option(help="Folder of the data, to measure the accuracy again.")] = None,
) -> None:
    """Rebuild an exported model in a new process and compare id, parameters, MACs, logits and accuracy."""
    from dcasearch.cli.printing import print_checks
    from dcasearch.errors import StudyFailed
    from dcasearch.export import verify as verify_spec

    checks = verify_spec(spec, data_root=data)
    print_checks(_out(), checks)
    if any(check.ok is False for check in checks):
        raise StudyFailed(f"{spec} is not what it says it is")


@app.command()
def inspect(
    spec: SpecFile,
    svg: Annotated[Path | None, typer.Option(help="Write a drawing of the connections.")] = None,
    resolution: Annotated[int, typer.Option(help="Pixels per side, for the multiply-adds.")] = 224,
    classes: Annotated[int, typer.Option(help="Width of the classifier.")] = 1000,
) -> None:
    """Show what an architecture builds: id, parameters, multiply-adds, connections."""
    from dcasearch.cli.printing import print_network
    from dcasearch.config import load_architecture
    from dcasearch.models import cost
    from dcasearch.report.drawing import draw

    architecture = load_architecture(spec)
    print_network(_out(), architecture, cost(architecture, resolution, classes), resolution, classes)
    if svg is not None:
        svg.write_text(draw(architecture.network, resolution=resolution), encoding="utf-8")
        _out().print(f"drawing: {svg}", markup=False)


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="study or space")] = "study",
) -> None:
    """Print the JSON Schema of a study's or a space's YAML, for editors."""
    from dcasearch.config import study_schema
    from dcasearch.space import space_schema

    schemas = {"study": study_schema, "space": space_schema}
    if kind not in schemas:
        raise UserError(f"'{kind}' has no schema; Known: space, study.")
    print(json.dumps(schemas[kind](), indent=1))


@app.command()
def dashboard(
    study: StudyName,
    storage: Storage = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Open a study's database in optuna-dashboard, also while it runs; baselines and winner are in its notes."""
    from dcasearch.report.dashboard import serve
    from dcasearch.store import Store

    name, url = _name_and_url(study, storage)
    store = Store.open(url)
    _out().print(f"study {name}, database {store.url}, http://{host}:{port}/dashboard", markup=False)
    serve(store, name, host, port)


@db.command()
def upgrade(storage: Storage = None) -> None:
    """Bring a database of an older version up to this one, Optuna's tables too."""
    from dcasearch.cli.storage import storage_of
    from dcasearch.store import redact
    from dcasearch.store import upgrade as upgrade_database

    url = storage_of("", storage)
    upgrade_database(url)
    _out().print(f"{redact(url)} is of this version now", markup=False)
