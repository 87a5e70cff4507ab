"""Weights that a training starts from: of an exported spec, of a file, or of a library. No torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dcasearch.architecture.libraries import LIBRARIES
from dcasearch.config.data_set import USUAL_CROP, DataPreprocessing
from dcasearch.config.document import load_plain_yaml
from dcasearch.config.initialization import Initialization
from dcasearch.config.probe import TOLERANCE, Probe, probe_beside, read_probe
from dcasearch.errors import UserError, mistakes_of, shortened
from dcasearch.files import expanded
from dcasearch.metrics import CLASSIFICATION

_PUBLISHED = "dcasearch.models.published:published"
"""Imported where a name of a library's weights is looked up: everything else here needs no torch."""
_NAME = re.compile(rf"({'|'.join(LIBRARIES)})/[A-Za-z0-9_]+(\.[A-Za-z0-9_.-]+)?")
_SPECS = (".yaml", ".yml")
_FILES = (*_SPECS, ".safetensors", ".pt", ".pth")
"""Endings that no name of a library's weights has."""
_SHARES = (USUAL_CROP, 1.0, 0.9, 0.95, 0.96, 0.965)
"""Usual shares of the centre crop: a spec says whole pixels, which several shares give."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """The weights that a training begins with."""

    weights: str
    """Absolute path of the file, or the name of a library's weights."""
    sha256: str
    """Of the file; who reads it compares. Empty where the file has not been fetched: then nothing can be trained."""
    architecture_id: str | None = None
    """Of an exported network whose weights are loaded whole; None: the backbone's are loaded alone."""
    class_names: tuple[str, ...] | None = None
    """Of the outputs, where they are known and the backbone is loaded alone."""

    @property
    def words(self) -> str:
        """The file in a word: its name, without its folder."""
        return self.weights if is_published(self.weights) else Path(self.weights).name


@lru_cache(maxsize=256)  # every trial asks
def read_start(spec: str) -> Start:
    """Return the weights that an exported spec names.

    Raises:
        UserError: the spec cannot be read or is none, or its weights are not beside it.
    """
    said, path = _read_spec(spec), expanded(spec)
    weights = path.parent / said["weights"]["file"]
    if not weights.is_file():
        raise UserError(f"{weights} is missing: the weights lie beside {spec}")
    return Start(architecture_id=said["id"], weights=str(weights.resolve()), sha256=said["weights"]["sha256"])


def _read_spec(spec: str) -> dict[str, Any]:
    path = expanded(spec)
    said = load_plain_yaml(path)
    try:
        id, file, sha256 = str(said["id"]), str(said["weights"]["file"]), str(said["weights"]["sha256"])
    except (KeyError, TypeError):
        raise UserError(
            f"{spec} is no exported model: it has no id or no weights. `dcasearch export` writes one."
        ) from None
    return {**said, "id": id, "weights": {"file": file, "sha256": sha256}}


def start_of(specs: Iterable[str], architecture_id: str) -> Start:
    """Return the weights of an architecture among exported specs.

    Raises:
        UserError: none of them is of that architecture, or one cannot be read.
    """
    starts = {str(start.architecture_id): start for start in map(read_start, specs)}
    if architecture_id not in starts:
        raise UserError(f"no exported spec is of the network {architecture_id}; there are {', '.join(sorted(starts))}")
    return starts[architecture_id]


def start_for(initialize: Initialization, architecture_id: str) -> Start | None:
    """Return what a training of an architecture begins with; None where its parameters are drawn.

    Raises:
        UserError: no exported spec is of that architecture, or one cannot be read.
    """
    if initialize.name == "exported":
        return start_of(initialize.specs, architecture_id)
    if initialize.name != "weights" or initialize.weights is None:
        return None
    return Start(weights=initialize.weights, sha256=initialize.sha256 or "", class_names=initialize.class_names)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What is known of the file of `initialize.weights` before it is read."""

    words: str
    """The file or the name, as it was written."""
    file: Path | None
    """None: it is not on this machine."""
    missing: str = ""
    """Why it is not, and what to do."""
    fetch: bool = False
    """Whether a library can fetch it; `missing` says from where and how much."""
    sha256: str | None = None
    """As a spec has it."""
    preprocessing: DataPreprocessing | None = None
    """Of the images that it was trained on, as far as the spec, the library or the probe say it."""
    class_names: tuple[str, ...] | None = None
    probe: Probe | None = None
    """What the network answers; None where nobody recorded it."""
    resolution: int | None = None
    """Pixels per side of the probe's images."""
    tolerance: float = TOLERANCE
    """Of the probe, as a share of the largest logit."""
    architecture: dict[str, Any] | None = None
    """Of a spec, whose probe is of the whole network, attention and connections too; None: of the backbone alone."""

    @property
    def is_missing_spec(self) -> bool:
        """Whether it is a spec that is not there, which will say by itself how its images were prepared."""
        return self.file is None and self.words.endswith(_SPECS)


def is_published(weights: str) -> bool:
    """Return whether it is the name of a library's weights; a file of that name comes first."""
    return _NAME.fullmatch(weights) is not None and not Path(weights).is_file()


def named(weights: str) -> str:
    """Return what weights are called in every folder: the library's name, or the absolute path."""
    return weights if is_published(weights) else str(expanded(weights).absolute())


def origin_of(initialize: Initialization) -> Origin:
    """Return what is known of the weights of an `initialize`; reads no weights and fetches nothing.

    Raises:
        UserError: there is no such name, or the spec or the probe is broken.
    """
    weights = initialize.weights
    if weights is None:
        raise ValueError("it has no weights")
    if is_published(weights):
        module, _, function = _PUBLISHED.partition(":")
        origin: Origin = getattr(import_module(module), function)(weights)
        return origin if initialize.probe is None else _with_probe(origin, expanded(initialize.probe))
    file = expanded(weights)
    if file.suffix in _SPECS and file.exists():
        return _of_spec(weights)
    missing = "" if file.is_file() else f"there is no file {weights}{_hint(weights)}"
    origin = Origin(words=weights, file=None if missing else file.absolute(), missing=missing)
    probe = probe_beside(file) if initialize.probe is None else expanded(initialize.probe)
    return _with_probe(origin, probe) if initialize.probe is not None or probe.is_file() else origin


def _hint(weights: str) -> str:
    """Return how names of libraries are written, for what may be such a name misspelt."""
    if weights.partition("/")[0] in LIBRARIES or Path(weights).suffix in _FILES:
        return ""
    return f"; names of libraries are {' and '.join(f'{n}/<model>' for n in LIBRARIES)}"


def _with_probe(origin: Origin, file: Path) -> Origin:
    probe = read_probe(file)
    return replace(
        origin,
        probe=probe,
        resolution=probe.resolution,
        tolerance=probe.tolerance,
        preprocessing=origin.preprocessing or probe.preprocessing,
    )


def _of_spec(spec: str) -> Origin:
    """Return what an exported spec says; its probe is of the whole network, with its attention."""
    said = _read_spec(spec)
    if said.get("task", CLASSIFICATION.name) != CLASSIFICATION.name:
        raise UserError(f"{spec} has learned {shortened(str(said['task']), 40)}; weights come from classifiers")
    file = expanded(spec).parent / said["weights"]["file"]
    names, prepared = said.get("class_names"), said.get("preprocessing")
    try:
        preprocessing = None if prepared is None else _preprocessing(prepared)
        probe = Probe.model_validate(said["probe"])
    except (KeyError, TypeError, ValidationError) as error:
        why = mistakes_of(error, "probe")[0] if isinstance(error, ValidationError) else f"{error}"
        raise UserError(f"{spec} is no exported model: its preprocessing or its probe is broken ({why})") from error
    return Origin(
        words=spec,
        file=file.absolute() if file.is_file() else None,
        missing="" if file.is_file() else f"{file} is missing: the weights lie beside {spec}",
        sha256=said["weights"]["sha256"],
        preprocessing=preprocessing,
        class_names=None if names is None else tuple(names),
        probe=probe,
        resolution=said.get("resolution"),
        architecture=said.get("architecture"),
    )


def _preprocessing(said: dict[str, Any]) -> DataPreprocessing:
    """Return the preprocessing of a spec in the words of a study: the last resize and the crop after it."""
    steps = said["steps"]
    resize = next(step for step in reversed(steps) if step.get("resize") is not None)
    sides = {"mean": said["mean"], "std": said["std"], "interpolation": resize["interpolation"]}
    crop, side = steps[-1].get("crop"), resize["resize"]
    if isinstance(crop, int) and isinstance(side, int):
        sides["crop"] = next(share for share in (*_SHARES, crop / side) if round(crop / share) == side)
    return DataPreprocessing.model_validate(sides)


@lru_cache(maxsize=64)
def _digest(file: str, size: int, modified: int) -> str:
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_of(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal; computed once as long as the file does not change."""
    said = file.stat()
    return _digest(str(file), said.st_size, said.st_mtime_ns)
