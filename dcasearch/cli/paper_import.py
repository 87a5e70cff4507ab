"""`dcasearch paper import`: a checkpoint of the authors becomes a spec with weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.console import make_console
from dcasearch.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.paper.released.importing import Imported
    from dcasearch.paper.released.table import Released


def import_released(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A file of torch.save, or safetensors.", show_default=False)
    ] = None,
    row: Annotated[str | None, typer.Option(help="Which released model it is; --list shows them all.")] = None,
    out: Annotated[Path | None, typer.Option(help="The YAML spec to write; else ROW.yaml.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The safetensors beside it; else of the same name.")] = None,
    list_rows: Annotated[bool, typer.Option("--list", help="List the models that can be imported, and stop.")] = False,
    despite_differences: Annotated[
        bool, typer.Option("--despite-differences", help="Also import a network that computes otherwise here.")
    ] = False,
) -> None:
    """Write a released checkpoint of the paper's authors as a model spec with weights.

    Tensors alone are read; no code of the file is run. `dcasearch evaluate` then measures the network.
    """
    console = make_console()
    if list_rows:
        _print_rows(console)
        return
    if checkpoint is None or row is None:
        raise UserError("needs a checkpoint and --row ID; `dcasearch paper import --list` shows the ids")
    from dcasearch.paper.released.importing import import_checkpoint

    out = out or Path(f"{row}.yaml")
    imported = import_checkpoint(checkpoint, row, out, weights, despite_differences=despite_differences)
    _print_imported(console, imported, checkpoint, out)


def _print_rows(console: Console) -> None:
    from dcasearch.paper.released.table import RELEASED

    console.print(f"{'row':<34}{'released code':<26}network")
    for model in RELEASED:
        also = f"also {', '.join(model.also)}" if model.also else ""
        said = "; ".join(filter(None, (also, _note(model))))
        console.print(f"{model.row:<34}{model.factory:<26}{model.network}{f'  ({said})' if said else ''}")
    checked = sum(not model.by_rule for model in RELEASED)
    console.print(
        f"{len(RELEASED)} networks; the keys of {checked} were compared with the released code, those of the others "
        "follow from the same file at another depth"
    )


def _note(model: Released) -> str:
    if model.differs:
        return "imported with --despite-differences alone: its message is scaled here, and not in the released code"
    return model.note


def _print_imported(console: Console, imported: Imported, checkpoint: Path, out: Path) -> None:
    from dcasearch.paper.released.table import twin_of

    spec, released = imported.spec, imported.released
    console.print(f"{checkpoint} is {released.factory}: {imported.tensors} tensors mapped")
    if twin := twin_of(released):
        console.print(
            f"warning: a checkpoint of {twin.factory} has the same keys and shapes, since GE-theta-minus has no "
            "parameters; --row alone says which of the two it is",
            style="yellow",
        )
    if imported.dropped:
        console.print(
            f"{imported.dropped} tensors dropped: the connection of the first block, which has nothing to receive; "
            "they change no output"
        )
    if imported.rounded:
        console.print("numbers were rounded from fp64 to fp32")
    if released.differs:
        console.print(f"warning: {released.differs}", style="yellow")
    console.print(f"{out}: architecture {spec.id}, {spec.parameters:,} parameters, {spec.macs:,} multiply-adds")
    console.print(f"weights: {out.parent / spec.weights.file}; `dcasearch evaluate {out} --data FOLDER` measures them")
