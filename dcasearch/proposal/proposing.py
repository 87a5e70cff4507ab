"""From a folder of images to two YAML files that `run` takes as they are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dcasearch.analysis.data import described
from dcasearch.analysis.starts import check_starts
from dcasearch.config.data_set import Columns, Data
from dcasearch.config.document import unwritable
from dcasearch.errors import DataError, UserError
from dcasearch.models import cost
from dcasearch.proposal.document import space_document, study_document
from dcasearch.proposal.looking import Looked, Observer, look, paths_of
from dcasearch.proposal.machine import Machine, this_machine, throughput
from dcasearch.proposal.plan import BATCH, Measure, Plan, Wanted, plan_for
from dcasearch.proposal.source import data_of, write_groups
from dcasearch.proposal.start import chosen_start
from dcasearch.proposal.template import Rung, connected
from dcasearch.schemas import write_schemas
from dcasearch.space import load_study
from dcasearch.wording import in_one_line

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What was written, and from which facts."""

    study: Path
    space: Path
    groups: Path | None
    """The list of images with a group for each picture, where near copies were found."""
    data: Data
    looked: Looked
    machine: Machine
    plan: Plan
    start: tuple[str, ...] = ()
    """What was found of the trained network that the study starts from, a sentence each."""


def propose(
    place: Path,
    target: Path,
    *,
    hours: float,
    backbone: str | None = None,
    weights: str | None = None,
    machine: Machine | None = None,
    observe: Observer = lambda done, total: None,
    measure: Measure | None = None,
) -> Proposal:
    """Write a study and a search space for a folder or a list of images; overwrite nothing.

    Args:
        place: the images (`data_of`).
        target: the files to write, without their ending: `birds` becomes `birds.yaml` and `birds_space.yaml`.
        hours: that the study may take on this machine.
        backbone: the network; else one is chosen.
        weights: that the networks start from: a file, an exported spec, or the name of a library's weights. Else those
            of the network's own library, where they are on this machine already; `scratch`: random values.
        machine: what the study runs on; else this one.
        observe: is told how many images were looked at.
        measure: says how fast networks train; else they are measured here.

    Raises:
        UserError: a file is there already, a name is none, or the weights are another network's.
        DataError: there are no images, or too few.
    """
    target = _named(target)
    study, space, groups = _free(target)
    start = chosen_start(weights, backbone)
    data = data_of(place)
    _refuse_unwritable(data, "" if start is None else start.weights)
    looked = look(data, observe)
    _check(looked)
    machine = machine or this_machine()
    wanted = _wanted(data, looked, machine, hours)
    wanted = replace(wanted, backbone=backbone if start is None else start.backbone, start=start)
    plan = plan_for(wanted, measure or _Measured(len(looked.classes), machine))
    # Only now, since an error above must leave no file.
    target.parent.mkdir(parents=True, exist_ok=True)
    grouped = _grouped(data, looked, groups)
    data = data if grouped is None else grouped
    space.write_text(space_document(plan, target.name), encoding="utf-8")
    study.write_text(study_document(plan, looked, data, machine, target.name, space), encoding="utf-8")
    write_schemas(target.parent)
    loaded = load_study(study)
    starts = check_starts(loaded, described(loaded))  # as `check` does; a mistake here is a bug of this module
    return Proposal(
        study=study,
        space=space,
        groups=None if grouped is None else groups,
        data=loaded.study.data,
        looked=looked,
        machine=machine,
        plan=plan,
        start=tuple(line for start in starts for line in start.lines),
    )


def _named(target: Path) -> Path:
    """Return the target without an ending; UserError where its name is no study's."""
    target = target.with_suffix("") if target.suffix in (".yaml", ".yml") else target
    if not _NAME.fullmatch(target.name):
        raise UserError(f"'{target.name}' is no name of a study: a letter, then letters, digits, - and _")
    return target


def _free(target: Path) -> tuple[Path, Path, Path]:
    """Return the files to write, the study first, then its space and its groups; UserError where one is there."""
    files = tuple(target.with_name(f"{target.name}{rest}") for rest in (".yaml", "_space.yaml", "_images.csv"))
    if there := [str(path) for path in files if path.exists()]:
        raise UserError(f"nothing was written: {', '.join(there)} would be overwritten")
    return files[0], files[1], files[2]


def _refuse_unwritable(data: Data, weights: str = "") -> None:
    """Raise UserError where a name cannot stand in a study's YAML, before anything is written."""
    columns = (name for name in data.columns.model_dump().values() if name is not None)
    for name in (data.root or "", data.file or "", *columns, weights):
        if fault := unwritable(name):
            raise UserError(
                f"nothing was written: '{in_one_line(name)}' has {fault}, so no study can name it; give it another "
                "name, or give a link of another name"
            )


def _check(looked: Looked) -> None:
    """Look whether there is something to learn.

    Raises:
        DataError: one class, or nothing that can be read.
    """
    if len(looked.classes) < 2:
        raise DataError(f"all images are of one class, {looked.classes[0]}; a network learns to tell two or more apart")
    if looked.decoded and len(looked.unreadable) == looked.decoded:
        path, why = next(iter(looked.unreadable.items()))
        raise DataError(f"none of {looked.decoded:,} images can be read, e.g. {path}: {why}")


def _wanted(data: Data, looked: Looked, machine: Machine, hours: float) -> Wanted:
    """Return what the plan is made from; parts are as large as the study's `data` makes them."""
    if data.split is not None:
        validation, test = looked.images * data.split.validation, looked.images * data.split.test
        train = looked.images - validation - test
    else:
        whole = looked.parts["train"]
        validation, test = whole * data.validation_fraction, looked.parts.get("test", looked.parts.get("val", 0))
        train = whole - validation
    return Wanted(
        looked=looked,
        train_images=max(1, round(train)),
        compared_on=max(1, round(validation)),
        test_images=round(test),
        divided=data.split is not None,
        hours=hours,
        concurrent=machine.concurrent,
    )


def _grouped(data: Data, looked: Looked, file: Path) -> Data | None:
    """Write a list with a group for each picture, where data in one piece holds near copies; return it as data.

    A list of the user's own is left as it is.
    """
    if data.split is None or data.name != "imagefolder" or not looked.copies:
        return None
    group = {path: members[0] for members in looked.copies for path in members}
    folder = file.parent.absolute()  # paths below the list's own folder, so that the list alone names the images
    rows = [
        (os.path.relpath(path, folder), label, os.path.relpath(group.get(path, path), folder))
        for path, label in paths_of(data)
    ]
    grouped = Data(
        name="imagelist",
        root=str(folder),
        file=str(file.absolute()),
        columns=Columns(group="group"),
        split=data.split,
        reading=data.reading,
    )
    _refuse_unwritable(grouped)
    write_groups(file, rows)
    return grouped


class _Measured:
    """Networks of the space (SE in all blocks, connected in all stages) on a machine."""

    def __init__(self, classes: int, machine: Machine) -> None:
        self._classes, self._machine = classes, machine

    def macs(self, rung: Rung) -> int:
        """Return the multiply-adds of one image."""
        return cost(connected(rung), rung.resolution, self._classes).macs

    def throughput(self, rung: Rung) -> float:
        """Train the network for a moment."""
        return throughput(connected(rung), rung.resolution, self._classes, BATCH, self._machine.device)
