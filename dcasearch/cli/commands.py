"""The commands of `dcasearch`: what is parsed, which room does it, and the exit code."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dcasearch import __version__
from dcasearch.cli import data as data_commands
from dcasearch.cli.ablate import ablate
from dcasearch.cli.arguments import AsJson, Storage, StudyFile, StudyName
from dcasearch.cli.backbones import backbones
from dcasearch.cli.boxes import boxes
from dcasearch.cli.check import check
from dcasearch.cli.compare import compare
from dcasearch.cli.console import make_console
from dcasearch.cli.contributions import contributions
from dcasearch.cli.damaged import leaving_out_damaged
from dcasearch.cli.dashboard import dashboard
from dcasearch.cli.doctor import doctor
from dcasearch.cli.drift import drift
from dcasearch.cli.evaluate import evaluate
from dcasearch.cli.gpu_check import gpu_check
from dcasearch.cli.gradcam import gradcam
from dcasearch.cli.group import Commands
from dcasearch.cli.housekeeping import clean, delete, rename
from dcasearch.cli.init import init
from dcasearch.cli.interruption import Signalled, noted, raising
from dcasearch.cli.logs import logs
from dcasearch.cli.paper import paper
from dcasearch.cli.paper_import import import_released
from dcasearch.cli.predict import predict
from dcasearch.cli.reading import export, inspect, kinds, list_studies, report, status, verify
from dcasearch.cli.replay import replay
from dcasearch.cli.retry import retry
from dcasearch.cli.terminal import flushed, speak_plainly
from dcasearch.cli.train import train
from dcasearch.cli.trials import trials
from dcasearch.cli.unforeseen import UNFORESEEN, of_the_system, unforeseen
from dcasearch.errors import DcasearchError, Interrupted, UserError, nearest
from dcasearch.masking import mask_logs, masked
from dcasearch.processes import ignore_settings_here, shielded

if TYPE_CHECKING:  # commands import their rooms themselves, so that `--help` is instant
    from rich.console import Console

    from dcasearch.space import LoadedStudy
    from dcasearch.store import Store
    from dcasearch.study import Outcome

app = typer.Typer(
    cls=Commands,
    help="Search for how to connect a CNN's attention blocks, and keep every result.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
db = typer.Typer(cls=Commands, help="The database's own affairs.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(data_commands.data, name="data")
app.add_typer(paper, name="paper")
paper.command("import")(import_released)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"dcasearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search for how to connect a CNN's attention blocks, and keep every result."""


def main() -> None:
    """Run the command line; an error that was foreseen is a message and an exit code, never a traceback."""
    speak_plainly()
    mask_logs()
    try:
        ignore_settings_here()
        with shielded(), raising():
            app(prog_name="dcasearch")
    except (DcasearchError, Signalled) as error:
        _end(masked(str(error)), error.exit_code)
    except OSError as error:
        _end(of_the_system(error), UserError.exit_code)
    except Exception as error:
        _end(unforeseen(error), UNFORESEEN)
    except SystemExit as end:
        if (failure := flushed()) is not None:
            _end(of_the_system(failure), UserError.exit_code)
        raise end from None


def _end(message: str, code: int) -> NoReturn:
    """Say why the command ends and end it; also where what it printed can no longer be written."""
    with suppress(OSError):
        make_console(stderr=True).print(message, style="red")
    flushed()
    sys.exit(code)


@app.command()
def run(
    study: StudyFile,
    storage: Storage = None,
    executor: Annotated[
        str | None, typer.Option(help="Where trials run, in place of the study's: local or ray.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Forget where this YAML was run first: it begins in this folder.")
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Only try every stage on made-up images, for a minute; nothing is kept."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start, resume or extend a study. Ctrl-C is safe: the same command goes on from the checkpoints.

    Also from another folder: a relative storage and relative artifacts are those of the YAML's first run.
    """
    from dcasearch.artifacts import shown
    from dcasearch.cli.storage import placed, refuse_lost, remember, remember_run, telling
    from dcasearch.space import check_variables, load_study
    from dcasearch.store import Store, storage_of

    loaded = load_study(study)  # before torch is imported, so that a mistake is told at once
    console = make_console(stderr=as_json)
    _check_executor(executor)
    if smoke:
        from dcasearch.cli.smoke import try_stages

        try_stages(console, loaded)
        return
    check_variables(loaded)
    with telling(loaded, storage):
        loaded = placed(loaded, anew=anew)
    name = loaded.study.name
    if storage is None and not anew:
        refuse_lost(loaded)
    storage_url = storage or storage_of(loaded.study)
    with telling(loaded, storage):
        store = Store.open(storage_url, create=True)
    remember(name, storage_url)
    remember_run(loaded, storage, anew=anew)
    console.print(f"study {name}, database {store.url}, artifacts {shown(loaded.study.artifacts)}")
    outcome = _driven(console, loaded, store, executor, as_json=as_json)
    if outcome.stopped:
        console.print(f"stopped: {outcome.stopped}; `dcasearch run {study}` goes on")
    if not as_json:
        _print_standing(console, store, name)


def _driven(console: Console, loaded: LoadedStudy, store: Store, executor: str | None, *, as_json: bool) -> Outcome:
    """Run a study and show what happens; an interruption says how to go on."""
    import optuna

    from dcasearch import study as study_room
    from dcasearch.cli.live import observer
    from dcasearch.executors import open_executor

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with noted() as interrupted, observer(console, as_json=as_json, stopping=interrupted.event.is_set) as observe:
        try:
            with open_executor(
                loaded.study, name=executor, interrupted=interrupted.event, secret=store.secret
            ) as opened:
                return study_room.run(loaded, store, opened, observe)
        except Interrupted as error:
            raise Interrupted(
                f"{error}; nothing is lost, `dcasearch run {loaded.path}` goes on", interrupted.exit_code
            ) from None


def _check_executor(name: str | None) -> None:
    if name not in (None, "local", "ray"):
        raise UserError(f"'{name}' is not an executor; {nearest(name, ['local', 'ray'])}")


def _print_standing(console: Console, store: Store, name: str) -> None:
    from dcasearch.analysis.standing import standing_of
    from dcasearch.analysis.story import story_of
    from dcasearch.cli.standing import print_standing, print_story

    standing = standing_of(store, name)
    print_story(console, story_of(store, standing))
    print_standing(console, standing)


@app.command()
def chaos(
    study: StudyFile,
    kills: Annotated[int, typer.Option(min=1, help="How often something is killed.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the moments and of who is killed.")] = 0,
    executor: Annotated[
        str | None, typer.Option(help="Where trials run, in place of the study's: local, or ray on this machine.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at a time; else the study's.")] = None,
    workers: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the kills that hit a worker; the others hit the driver.")
    ] = 0.5,
    sample: Annotated[int, typer.Option(min=0, help="With several workers: trials to train anew at the end.")] = 3,
    keep: Annotated[Path | None, typer.Option(help="A new folder for the copies, which is kept.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="URL of an empty database for the copy; else a SQLite file of its own.")
    ] = None,
) -> None:
    """Kill a copy of a study (SIGKILL) at random moments, run it again until it ends, and say whether it is whole.

    Your own database and artifacts are not touched. With one trial at a time the ledger must equal that of an
    undisturbed run to the last bit; with several, what must hold in any order is checked. A trial whose worker is
    killed goes on at the cost of a retry, so the copy has plenty, and `retries`, seconds, times of day and
    provenance are not compared.
    """
    from dcasearch.space import check_variables, load_study

    loaded = load_study(study)  # before torch is imported, so that a mistake is told at once
    from dcasearch.chaos import Settings
    from dcasearch.chaos import chaos as cause_chaos
    from dcasearch.cli.chaos import Scratch, print_verdict, watcher
    from dcasearch.errors import StudyFailed

    _check_executor(executor)
    check_variables(loaded)
    console = make_console()
    settings = Settings(
        kills=kills,
        seed=seed,
        executor=executor,
        concurrent=concurrent,
        workers=workers,
        sample=sample,
        storage=storage,
    )
    with Scratch(keep) as scratch:
        console.print(f"study {loaded.study.name}, copied to {scratch.folder}")
        with watcher(console) as audience:
            verdict = cause_chaos(loaded, settings, scratch.folder, audience)
        scratch.kept = scratch.kept or not verdict.whole
        print_verdict(console, verdict)
        where = f"; the copies are in {scratch.folder}" if scratch.kept else ""
        if not verdict.whole:
            raise StudyFailed(f"NOT whole{where}")
        console.print(f"whole, after {verdict.drivers} kills of the driver and {verdict.workers} of a worker{where}")


@app.command()
def stop(study: StudyName, storage: Storage = None) -> None:
    """Stop a running study from anywhere: its trials write checkpoints, and `run` goes on later."""
    from dcasearch.cli.storage import open_located
    from dcasearch.errors import StudyFailed
    from dcasearch.search.requests import WAITED_FOR_SECONDS, ask_stop, refuse_at_rest

    name, store = open_located(study, storage)
    console = make_console()
    refuse_at_rest(store, name)
    console.print(f"study {name}, database {store.url}: asked to stop, waiting for its checkpoints")
    if not ask_stop(store, name):
        raise StudyFailed(f"it has not stopped within {WAITED_FOR_SECONDS:g} s; it will when it next looks")
    console.print(f"stopped; `dcasearch run {study if study.endswith(('.yaml', '.yml')) else 'STUDY.yaml'}` goes on")


@app.command()
def cancel(
    study: StudyName,
    trial: Annotated[int, typer.Argument(help="Number of a running trial.", show_default=False)],
    fidelity: Annotated[str | None, typer.Option(help="Its fidelity, where several have such a trial.")] = None,
    storage: Storage = None,
) -> None:
    """End one running trial for good; it becomes failed (cancelled) and the study goes on."""
    from dcasearch.cli.storage import open_located
    from dcasearch.search.requests import ask_cancel

    name, store = open_located(study, storage)
    found = ask_cancel(store, name, trial, fidelity)
    make_console().print(f"asked: {found} trial {trial} ends within seconds; `dcasearch status {name}` shows it")


app.command()(init)
app.command()(check)
app.command()(leaving_out_damaged(status))
app.command("list")(leaving_out_damaged(list_studies))
app.command()(leaving_out_damaged(report))
app.command()(leaving_out_damaged(dashboard))
app.command()(leaving_out_damaged(export))
app.command()(ablate)
app.command()(leaving_out_damaged(compare))
app.command()(leaving_out_damaged(trials))
app.command()(verify)
app.command()(predict)
app.command()(doctor)
app.command()(evaluate)
app.command()(train)
app.command()(replay)
app.command()(retry)
app.command()(leaving_out_damaged(logs))
app.command()(rename)
app.command()(delete)
app.command()(clean)
app.command()(inspect)
app.command()(kinds)
app.command()(backbones)
app.command()(contributions)
app.command()(drift)
app.command()(gradcam)
app.command()(boxes)
app.command("gpu-check")(gpu_check)


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="study or space")] = "study",
) -> None:
    """Print the JSON Schema of a study's or a space's YAML, for editors."""
    from dcasearch.schemas import SCHEMAS, schema_text

    if kind not in SCHEMAS:
        raise UserError(f"'{kind}' has no schema; {nearest(kind, SCHEMAS)}")
    print(schema_text(kind), end="")


@db.command()
def upgrade(storage: Storage = None) -> None:
    """Bring a database of an older version up to this one, Optuna's tables too."""
    from dcasearch.store import default_url, redact
    from dcasearch.store import upgrade as upgrade_database

    url = storage or default_url()
    upgrade_database(url)
    make_console().print(f"{redact(url)} is of this version now")
