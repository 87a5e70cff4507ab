"""The commands that read what is there: a study's ledger, its winner, a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import AsJson, Exported, MaxParams, Storage, StudyName
from dcasearch.cli.console import make_console

if TYPE_CHECKING:  # imported by those who use them, so that `--help` is instant
    from dcasearch.report.section import Extras
    from dcasearch.store import Driver, Run, Store


def status(
    study: StudyName,
    detail: Annotated[
        bool,
        typer.Option(
            "--detail",
            help="Also every trial, how a lead is read, what can be told apart, how well ranks were predicted.",
        ),
    ] = False,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Say what a study has found and whether it counts, then what became of its trials and baselines."""
    from dcasearch.analysis.naming import ledger_words
    from dcasearch.analysis.standing import load_study_of, standing_of
    from dcasearch.analysis.story import story_of
    from dcasearch.analysis.trust import trust_of
    from dcasearch.cli.plain import as_json as plain
    from dcasearch.cli.plain import plain_driver, plain_run, plain_story
    from dcasearch.cli.printing import print_powers, print_trust
    from dcasearch.cli.standing import print_standing, print_story
    from dcasearch.cli.storage import open_study

    console = make_console(stderr=as_json)
    name, store = open_study(study, storage, console)
    trust = trust_of(load_study_of(store, name), store)
    standing, driver = standing_of(store, name), store.driver(name)
    if as_json:
        told = {
            "driver": None if driver is None else plain_driver(driver),
            "last_run": plain_run(store.last_run(name)),
            "story": plain_story(story_of(store, standing, trust)),
        }
        print(json.dumps({**plain(standing, trust), **told}, indent=1))
        return
    console.print(_who(driver, store.last_run(name)))
    print_story(console, story_of(store, standing, trust))
    words = {fidelity.name: ledger_words(store, fidelity) for fidelity in standing.fidelities}
    print_standing(console, standing, words=words, detail=detail)
    if not detail:
        console.print(f"\nHow sure each number is: dcasearch status {name} --detail", style="dim")
        return
    print_powers(console, standing.powers)
    print_trust(console, trust)


def _who(driver: Driver | None, last: Run | None) -> str:
    """Return in a sentence who runs a study, or what ended it."""
    if driver is not None:
        return driver.in_words()
    return "Not running." if last is None else last.in_words()


def list_studies(storage: Storage = None, as_json: AsJson = False) -> None:
    """List the studies of a database: trials by state, last activity."""
    from dcasearch.cli.tables import make_table
    from dcasearch.store import Store, default_url
    from dcasearch.trial import State

    console = make_console(stderr=as_json)
    with Store.open(storage or default_url()) as store:
        console.print(f"database {store.url}")
        found = [(s.name, store.counts(s.name), store.last_activity(s.name)) for s in store.studies()]
    if as_json:
        plain = [{"study": name, "trials": counts, "last_activity": at.isoformat()} for name, counts, at in found]
        print(json.dumps(plain, indent=1))
        return
    table = make_table("study", "state", "last activity")
    for name, counts, at in found:
        told = (
            f"{fidelity}: {', '.join(f'{states[state]} {state}' for state in State if states.get(state))}"
            for fidelity, states in counts.items()
        )
        table.add_row(name, "; ".join(told) or "not begun", f"{at.astimezone():%Y-%m-%d %H:%M:%S}")
    console.print(table)


def report(
    studies: Annotated[
        list[str], typer.Argument(help="Names of studies, or their YAML; several of one database stand side by side.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("report"),
    reach: Annotated[
        float | None,
        typer.Option(help="Of a list: after how many epochs each row reached this accuracy; else its plain row's."),
    ] = None,
    storage: Storage = None,
) -> None:
    """Write studies as one self-contained HTML page, each figure as SVG and PNG, the best networks as YAML.

    Also while they run.
    """
    from dcasearch.cli.storage import locate, open_study
    from dcasearch.report.page import write_report

    console = make_console()
    name, store = open_study(studies[0], storage, console)
    names = [name, *(locate(study, storage)[0] for study in studies[1:])]
    page, *others = write_report(store, {name: _beside(store, name) for name in names}, out, reach=reach)
    console.print(f"{page}, and {len(others)} files beside it: figures as SVG and PNG, networks as SVG and YAML")


def _beside(store: Store, name: str) -> Extras:
    """Return what is known of a study beside its database: readings, and what its detector finds."""
    from dcasearch.analysis.standing import load_study_of
    from dcasearch.analysis.trust import trust_of
    from dcasearch.artifacts import open_artifacts
    from dcasearch.metrics import TASKS
    from dcasearch.report.readings import kept
    from dcasearch.report.section import Extras

    study = load_study_of(store, name)
    sheet = None
    if TASKS[study.task].finds_boxes:
        from dcasearch.interpretation.finding import sheet_of

        sheet = sheet_of(store, study)
    return Extras(trust=trust_of(study, store), readings=kept(open_artifacts(study.artifacts), name), sheet=sheet)


def export(
    study: Annotated[
        str,
        typer.Argument(
            help="The study's name, or its YAML, for the network that it has chosen; or STUDY/FIDELITY/NUMBER, "
            "STUDY/FIDELITY/BASELINE, STUDY/final/NAME or an id's beginning.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The YAML spec to write.")] = Path("best.yaml"),
    weights: Annotated[Path | None, typer.Option(help="The safetensors beside it; else of the same name.")] = None,
    trial: Annotated[int | None, typer.Option(help="A trial of the last fidelity, in place of the chosen one.")] = None,
    storage: Storage = None,
) -> None:
    """Write a study's chosen network, or another one of its networks, as a model spec with its weights."""
    from dcasearch.analysis.references import is_reference
    from dcasearch.cli.networks import print_export
    from dcasearch.cli.referring import opened, referred
    from dcasearch.cli.storage import open_study
    from dcasearch.errors import UserError
    from dcasearch.export import export_referred, export_winner

    console = make_console()
    store = opened([study], storage) if is_reference(study) else None
    if store is None:
        name, store = open_study(study, storage, console)
        spec = export_winner(store, name, out, weights, trial)
    elif trial is not None:
        raise UserError(f"{study} names a network already; leave --trial out")
    else:
        console.print(f"database {store.url}")
        spec = export_referred(store, referred(store, study), out, weights)
    print_export(console, spec, out)


def verify(
    spec: Exported,
    data: Annotated[str | None, typer.Option(help="Folder of the data, to measure the accuracy again.")] = None,
    storage: Storage = None,
    max_params: MaxParams = None,
) -> None:
    """Rebuild an exported model in a new process and compare id, parameters, MACs, logits and accuracy."""
    from dcasearch.cli.printing import print_checks
    from dcasearch.cli.referring import spec_file
    from dcasearch.errors import StudyFailed
    from dcasearch.export import verify as verify_spec

    spec = spec_file(spec, storage)
    checks = verify_spec(spec, data_root=data)
    print_checks(make_console(), checks)
    if any(check.ok is False for check in checks):
        raise StudyFailed(f"{spec} is not what it says it is")


def inspect(
    network: Annotated[
        str,
        typer.Argument(
            help="A model spec, any architecture as YAML, STUDY/FIDELITY/NUMBER, STUDY/FIDELITY/BASELINE, or an id's "
            "beginning.",
            show_default=False,
        ),
    ],
    svg: Annotated[Path | None, typer.Option(help="Write a drawing of the network.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the drawing as PNG.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Pixels per side; else the export's or the study's, else 224.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Width of the classifier; else the export's or the study's, else 1000.")
    ] = None,
    storage: Storage = None,
    max_params: MaxParams = None,
) -> None:
    """Show what an architecture builds: in words, id, parameters, multiply-adds, connections."""
    from dcasearch.analysis.references import alphas_of, input_of
    from dcasearch.cli.networks import print_network, write_drawing
    from dcasearch.cli.referring import opened, referred
    from dcasearch.config import load_yaml
    from dcasearch.drawing import draw
    from dcasearch.models import cost
    from dcasearch.models.limit import refuse_large

    store = opened([network], storage)
    found = referred(store, network)
    architecture = found.architecture
    written = load_yaml(Path(network)).data if Path(network).is_file() else {}
    known = None if store is None else input_of(store, found)
    resolution = resolution or int(written.get("resolution", 224 if known is None else known[0]))
    classes = classes or int(written.get("num_classes", 1000 if known is None else known[1]))
    refuse_large(architecture, resolution, classes)
    console = make_console()
    print_network(console, architecture, cost(architecture, resolution, classes), resolution, classes)
    if svg is not None or png is not None:
        alphas = None if store is None else alphas_of(store, found)
        write_drawing(console, draw(architecture.network, resolution=resolution, alphas=alphas), svg, png)


def kinds(
    out: Annotated[
        Path | None, typer.Option(help="Write the page `attention.md` and its drawings into this folder.")
    ] = None,
) -> None:
    """List the attention blocks: where each stands, its dimensions and options, and its cost. With --out, draw them."""
    from dcasearch.architecture import KINDS
    from dcasearch.cli.tables import make_table

    console = make_console()
    if out is not None:
        from dcasearch.report.kinds_page import write_page

        written = write_page(out)
        console.print(f"{written[0]}, with {len(written) - 1} drawings")
        return
    table = make_table("kind", "name and source", "place", "dimensions", "options")
    for name, kind in sorted(KINDS.items()):
        if kind.dimensions or kind.options:
            options = ", ".join(option.name for option in kind.options)
            table.add_row(name, kind.title, kind.place, ", ".join(kind.dimensions) or "none", options)
    console.print(table)
