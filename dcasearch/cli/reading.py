"""The commands that read what is there: a study's ledger, its winner, a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import AsJson, Exported, Storage, StudyName
from dcasearch.cli.console import make_console

if TYPE_CHECKING:  # imported by those who use them, so that `--help` is instant
    from dcasearch.report.section import Extras
    from dcasearch.store import Store


def status(study: StudyName, storage: Storage = None, as_json: AsJson = False) -> None:
    """Show the ledger: what became of every trial, the baselines, and who leads by how much."""
    from dcasearch.analysis.standing import load_study_of, standing_of
    from dcasearch.analysis.trust import trust_of
    from dcasearch.cli.printing import as_json as plain
    from dcasearch.cli.printing import plain_driver, print_powers, print_standing, print_trust
    from dcasearch.cli.storage import open_study

    console = make_console(stderr=as_json)
    name, store = open_study(study, storage, console)
    trust = trust_of(load_study_of(store, name), store)
    standing, driver = standing_of(store, name), store.driver(name)
    if as_json:
        print(
            json.dumps({**plain(standing, trust), "driver": None if driver is None else plain_driver(driver)}, indent=1)
        )
        return
    console.print("No driver runs it." if driver is None else driver.in_words())
    print_standing(console, standing, every_trial=True)
    print_powers(console, standing.powers)
    print_trust(console, trust)


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
    study: StudyName,
    out: Annotated[Path, typer.Option(help="The YAML spec to write.")] = Path("best.yaml"),
    weights: Annotated[Path | None, typer.Option(help="The safetensors beside it; else of the same name.")] = None,
    trial: Annotated[int | None, typer.Option(help="A trial of the last fidelity, in place of the chosen one.")] = None,
    storage: Storage = None,
) -> None:
    """Write a study's chosen network as a model spec with its weights."""
    from dcasearch.cli.networks import print_export
    from dcasearch.cli.storage import open_study
    from dcasearch.export import export_winner

    console = make_console()
    name, store = open_study(study, storage, console)
    spec = export_winner(store, name, out, weights, trial)
    print_export(console, spec, out)


def verify(
    spec: Exported,
    data: Annotated[str | None, typer.Option(help="Folder of the data, to measure the accuracy again.")] = None,
) -> None:
    """Rebuild an exported model in a new process and compare id, parameters, MACs, logits and accuracy."""
    from dcasearch.cli.printing import print_checks
    from dcasearch.errors import StudyFailed
    from dcasearch.export import verify as verify_spec

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
    svg: Annotated[Path | None, typer.Option(help="Write a drawing of the connections.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Pixels per side; else the export's, else 224.")] = None,
    classes: Annotated[int | None, typer.Option(help="Width of the classifier; else the export's, else 1000.")] = None,
    storage: Storage = None,
) -> None:
    """Show what an architecture builds: in words, id, parameters, multiply-adds, connections."""
    from dcasearch.cli.networks import print_network
    from dcasearch.cli.referring import opened, referred
    from dcasearch.config import load_yaml
    from dcasearch.models import cost
    from dcasearch.report.drawing import draw

    architecture = referred(opened([network], storage), network).architecture
    written = load_yaml(Path(network)).data if Path(network).is_file() else {}
    resolution = resolution or int(written.get("resolution", 224))
    classes = classes or int(written.get("num_classes", 1000))
    print_network(make_console(), architecture, cost(architecture, resolution, classes), resolution, classes)
    if svg is not None:
        svg.write_text(draw(architecture.network, resolution=resolution), encoding="utf-8")
        make_console().print(f"drawing: {svg}")


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
