"""Networks in words on the command line: those of a study, what a spec builds, what was exported."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from dcasearch.analysis.standing import Standing
from dcasearch.analysis.words import LEADS
from dcasearch.architecture import Architecture
from dcasearch.architecture.words import sentence_of
from dcasearch.cli.tables import make_table
from dcasearch.drawing.png import to_png
from dcasearch.evaluation import Cost
from dcasearch.files import write_whole

if TYPE_CHECKING:  # needs torch
    from dcasearch.export import Spec
    from dcasearch.export.spec import Measured, OverSplits


_SHORT = 8
"""Digits of an id that are enough where no other network shown begins so; `inspect` and `compare` take them."""


def short(id: str, others: Iterable[str]) -> str:
    """Return the beginning of an id where it is unambiguous among others, else all of it."""
    return id[:_SHORT] if sum(other[:_SHORT] == id[:_SHORT] for other in others) == 1 else id


def print_networks(console: Console, standing: Standing) -> None:
    """Print those who are compared in words, each network once under its first name."""
    if not standing.networks.of:
        return
    console.print(f"\n{standing.networks.title}", style="bold")
    names = standing.named
    table = make_table("", "what it is", "architecture")
    for id, sentence in standing.networks.of.items():
        table.add_row(names[id], sentence, short(id, names))
    console.print(table)


def print_export(console: Console, spec: Spec, out: Path) -> None:
    """Print what `export` wrote."""
    console.print(f"{out}: {sentence_of(spec.build().network)}")
    console.print(f"architecture {spec.id}, {spec.parameters:,} parameters, {spec.macs:,} multiply-adds")
    _print_baselines(console, spec)
    console.print(f"weights: {out.parent / spec.weights.file}; `dcasearch verify {out}` holds both against each other")


def _print_baselines(console: Console, spec: Spec) -> None:
    """Print how far the exported network is ahead of its baselines, where its weights were measured."""
    chosen = spec.measured
    if chosen is None:
        return
    there = (chosen.fidelity, chosen.protocol)
    baselines = [one for one in spec.baselines if (one.fidelity, one.protocol) == there and one.difference is not None]
    where = "on the test split" if chosen.protocol == "test" else "on the held-out images"
    if spec.over_splits is not None:
        where = f"on the test images of {spec.over_splits.splits} splits of the data"
    headline = chosen.headline
    seeds = [one.seed for one in spec.metrics if (one.fidelity, one.protocol) == there]
    values = [one.value for one in spec.metrics if (one.fidelity, one.protocol) == there]
    table = make_table("", headline.heading, "seeds", "its lead", LEADS[1])
    mean = f"{statistics.fmean(values):{headline.digits}}"
    table.add_row("this network", mean, ", ".join(map(str, seeds)), "", "", style="bold")
    for one in baselines:
        mean, lead = f"{one.mean:{headline.digits}}", one.said or f"{one.difference:+{headline.digits}}"
        table.add_row(one.name, mean, ", ".join(map(str, one.seeds)), lead, one.counts)
    console.print(f"\n{chosen.fidelity}, {where}", style="bold")
    console.print(table)
    if spec.over_splits is not None:
        _print_splits(console, spec.over_splits, chosen)


def _print_splits(console: Console, over: OverSplits, chosen: Measured) -> None:
    """Print what the final trainings say together, and which of them the weights are from."""
    if over.margin is not None:
        mean = chosen.headline.shown(over.mean)
        console.print(f"{mean} ± {chosen.headline.amount(over.margin)}: mean of the splits, 95% interval")
    console.print(over.says)
    console.print(
        f"The weights are of split_seed {chosen.split_seed}: {chosen.headline.shown(chosen.value)} on its test images. "
        "Only those images are new to the weights."
    )


def print_network(console: Console, architecture: Architecture, cost: Cost, resolution: int, classes: int) -> None:
    """Print what an architecture builds."""
    network = architecture.network
    console.print(sentence_of(network))
    console.print(f"architecture {architecture.id}, {len(network.blocks)} blocks")
    console.print(f"{cost.params:,} parameters, {cost.macs:,} multiply-adds at {resolution} pixels, {classes} classes")
    table = make_table("block", "stage", "channels", "attention", "receives from")
    for n, node in enumerate(network.nodes):
        options = ", ".join(f"{option} {value}" for option, value in node.options.items() if value is not None)
        sources = [f"{edge.dimension} {network.nodes[edge.source].name}" for edge in network.edges if edge.target == n]
        attention = f"{node.kind} ({options})" if options else node.kind
        name, layout = f"after {node.name}" if node.after_stage else node.name, node.layout
        table.add_row(name, str(layout.stage + 1), str(layout.channels), attention, ", ".join(sources))
    console.print(table)
    if network.edges:
        edge = network.edges[0]
        form = f", {edge.form}" if edge.form else ""
        console.print(f"{len(network.edges)} connections, function {edge.function}{form}")


def write_drawing(console: Console, drawing: str, svg: Path | None, png: Path | None) -> None:
    """Write a drawing into the files that were named, and say so."""
    if svg is not None:
        write_whole(svg, drawing.encode())
    if png is not None:
        write_whole(png, to_png(drawing))
    console.print(f"drawing: {', '.join(str(file) for file in (svg, png) if file is not None)}")
