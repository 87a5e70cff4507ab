"""What this machine has for a study, and what to do about what it lacks: `dcasearch doctor`."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from packaging.requirements import Requirement

from dcasearch.errors import DcasearchError
from dcasearch.files import state_folder
from dcasearch.masking import masked
from dcasearch.processes import program
from dcasearch.space import LoadedStudy

State: TypeAlias = Literal["ok", "note", "problem"]
_EXTRAS = {
    "dashboard": ("optuna_dashboard", "`dcasearch dashboard`"),
    "detection": ("faster_coco_eval", "studies with `task: detection`"),
    "gradcam": ("captum", "`dcasearch gradcam` and `drift`"),
    "postgres": ("psycopg", "a PostgreSQL database"),
    "timm": ("timm", "backbones of timm"),
}
"""By extra: the module that it brings, and what needs it."""
_SHOWN = ("torch", "torchvision", "optuna", "ray", "SQLAlchemy", "Pillow", "numpy")
"""Packages whose versions are told where they fit."""
_LEAST_GB = 5.0
"""Free disk below which weights and checkpoints of a few trials may not fit."""
_LEAST_SHARED = 256 << 20
"""Bytes of shared memory below which batches of two loader processes may not fit."""
_LEAST_FILES = 1024


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    name: str
    state: State
    """note: works, but slower or not everything."""
    found: str
    todo: str = ""
    """What to do; empty where nothing is."""


def examine(loaded: LoadedStudy | None, url: str) -> Iterator[Finding]:
    """Yield what this machine has, one thing at a time.

    Args:
        loaded: A study, whose data, artifacts and executor are looked at too.
        url: Of the database.
    """
    looks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", _python),
        ("packages", _packages),
        ("device", _device),
        ("cores", _cores),
        ("database", lambda: _database(url)),
        ("disk", lambda: _disk(Path.cwd() if loaded is None else _folder(loaded.study.artifacts))),
        ("shared memory", _shared_memory),
        ("open files", _open_files),
        ("home", _home),
        ("extras", _extras),
    ]
    if loaded is not None:
        looks += [("data", lambda: _data(loaded)), ("executor", lambda: _executor(loaded))]
    for name, look in looks:
        try:
            yield look()
        except (DcasearchError, OSError) as error:
            yield Finding(name, "problem", masked(str(error)).splitlines()[0], "see the message")


def _python() -> Finding:
    said = f"{platform.python_version()}, dcasearch {metadata.version('dcasearch')}, {platform.platform()}"
    return Finding("Python", "ok", said)


def _packages() -> Finding:
    """Compare what is installed with what the package asks for."""
    wrong = []
    for line in metadata.requires("dcasearch") or ():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            has = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(has, prereleases=True):
            wrong.append(f"{wanted.name} {has} is not {wanted.specifier}")
    if wrong:
        return Finding("packages", "problem", "; ".join(wrong), "pip install --upgrade dcasearch")
    return Finding("packages", "ok", ", ".join(f"{name} {metadata.version(name)}" for name in _SHOWN))


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        names = ", ".join(dict.fromkeys(torch.cuda.get_device_name(n) for n in range(count)))
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        bf16 = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no bf16"
        return Finding("device", "ok", f"{count} × {names}, {memory:.0f} GB each, {bf16}")
    if program("nvidia-smi") is not None:
        todo = "this torch sees no GPU though a driver is here: install a CUDA build of torch"
        return Finding("device", "problem", f"no GPU for torch {torch.__version__}", todo)
    return Finding("device", "note", "no GPU: trainings run on the CPU", "small images and networks only")


def _cores() -> Finding:
    cores, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    said = f"{cores} for this process, {memory / 1e9:.0f} GB of memory"
    if cores == 1:
        return Finding("cores", "note", said, "one trial at a time; `data: {workers: 0}`")
    return Finding("cores", "ok", said)


def _database(url: str) -> Finding:
    from dcasearch.store import Store, exists, redact

    shown = redact(url)
    if not exists(url):
        return Finding("database", "ok", f"{shown} is not there yet; `dcasearch run` makes it")
    with Store.open(url) as store:
        studies = [study.name for study in store.studies()]
    more = f", {', '.join(studies[:3])}{' …' if len(studies) > 3 else ''}" if studies else ""
    return Finding("database", "ok", f"{shown} holds {len(studies)} studies{more}")


def _folder(artifacts: str) -> Path:
    return Path.cwd() if "://" in artifacts else Path(artifacts)


def _disk(folder: Path) -> Finding:
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free / 1e9
    if not os.access(there, os.W_OK):
        return Finding("disk", "problem", f"{there} cannot be written", "choose another folder for `artifacts`")
    if free < _LEAST_GB:
        return Finding("disk", "note", f"{free:.1f} GB free at {there}", "make room, or set `disk` in the study")
    return Finding("disk", "ok", f"{free:,.0f} GB free at {there}")


def _shared_memory() -> Finding:
    from dcasearch.analysis.shared_memory import FOLDER

    if not FOLDER.is_dir():
        return Finding("shared memory", "ok", "of the system")
    size = shutil.disk_usage(FOLDER).total
    if size < _LEAST_SHARED:
        todo = "start the container with --shm-size=8g, or set `data: {workers: 0}`"
        return Finding("shared memory", "problem", f"{FOLDER}: {size / 1e6:,.0f} MB", todo)
    return Finding("shared memory", "ok", f"{FOLDER}: {size / 1e9:,.1f} GB")


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _LEAST_FILES:
        return Finding("open files", "problem", f"at most {soft}", f"ulimit -n {_LEAST_FILES * 4}")
    return Finding("open files", "ok", "no limit" if soft < 0 else f"at most {soft:,}")


def _home() -> Finding:
    state = state_folder()
    todo = "set XDG_STATE_HOME to a folder that can be written; else a study is found by its YAML alone"
    if state is None:
        return Finding("home", "note", "there is no home folder", todo)
    there = next(place for place in (state.absolute(), *state.absolute().parents) if os.path.lexists(place))
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding("home", "note", f"{there} cannot be written", todo)
    return Finding("home", "ok", f"{state / 'dcasearch'} remembers where studies were run")


def _extras() -> Finding:
    missing = {name: what for name, (module, what) in _EXTRAS.items() if find_spec(module) is None}
    if not missing:
        return Finding("extras", "ok", ", ".join(_EXTRAS))
    said = "; ".join(f"{name} is missing, for {what}" for name, what in missing.items())
    return Finding("extras", "note", said, f"pip install 'dcasearch[{','.join(missing)}]'")


def _data(loaded: LoadedStudy) -> Finding:
    from dcasearch.analysis.data import described

    if loaded.missing_variables:
        unset = ", ".join(sorted(loaded.missing_variables))
        return Finding("data", "problem", f"not set: {unset}", f"export {unset}=…")
    info = described(loaded)
    said = (
        f"{loaded.study.data.name}: {info.classes:,} classes, {info.train_images:,} images to train on, "
        f"{info.validation_images:,} to compare on, {info.test_images:,} for the test"
    )
    if info.notes:
        return Finding("data", "note", f"{said}; {info.notes[0]}", f"`dcasearch check {loaded.path}` says more")
    return Finding("data", "ok", said)


def _executor(loaded: LoadedStudy) -> Finding:
    executor = loaded.study.executor
    if executor.name == "ray":
        address = executor.address or "a Ray of this machine"
        return Finding(
            "executor", "note", f"ray, {address}", f"ask every node: `dcasearch check --cluster {loaded.path}`"
        )
    return Finding("executor", "ok", f"local, {executor.max_concurrent} trials at a time")
