"""Whether a study's networks can start from its weights files: every tensor, the probe, the classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

from dcasearch.architecture import Architecture
from dcasearch.architecture.backbone import Backbone
from dcasearch.architecture.libraries import own_name
from dcasearch.artifacts import Place
from dcasearch.config.initialization import Initialization
from dcasearch.config.starts import Origin, digest_of, is_published, origin_of
from dcasearch.data import DataInfo
from dcasearch.errors import ConfigError, Problem, UserError
from dcasearch.models.published import fetch
from dcasearch.models.trained import fit, network_of, off_probe, others_that_answer, spec_network
from dcasearch.models.transfer import Misfit, outputs_of
from dcasearch.models.weight_files import WeightsFile, parse_weights
from dcasearch.space import LoadedStudy
from dcasearch.training import put_start
from dcasearch.wording import counted

_MOST, _LOOKED = 16, 500
"""Backbones of a space that are compared with a file, and points that are looked at for them; what is beyond, the
trainings find out."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found of one fidelity's weights file."""

    lines: tuple[str, ...]
    """A sentence each."""
    missing: bool = False
    """The file is not on this machine."""


def check_starts(loaded: LoadedStudy, data: DataInfo | None) -> tuple[Checked, ...]:
    """Compare a study's weights files with its networks and hold their probes; nothing is fetched or written.

    Args:
        loaded: the study.
        data: its data, whose classes decide what becomes of the classifier; None: it was not looked at.

    Returns:
        What was found of each different start. Without the data a file that is not here is said there; what a library
        fetches always is.

    Raises:
        ConfigError: by file:line:column: a file is missing, broken or another network's, or does not meet its probe.
    """
    found, problems = dict[Initialization, Checked](), list[Problem]()
    for n, fidelity in enumerate(loaded.study.fidelities):
        start = fidelity.initialize
        if start.weights is None or start in found:
            continue
        try:
            found[start] = _of(start, origin_of(start), _backbones(loaded), data)
        except UserError as error:
            line, column = loaded.place(("fidelities", n, "initialize", "weights"))
            problems.append(Problem(str(loaded.path), line, column, f"fidelities.{n}.initialize.weights: {error}"))
    if problems:
        raise ConfigError(problems)
    return tuple(found.values())


def try_start(start: Initialization, backbone: Backbone) -> None:
    """Compare a weights file with one backbone and hold its probe; a file that a library would fetch is not looked at.

    Raises:
        UserError: the file is missing, broken or another network's, or does not meet its probe.
    """
    origin = origin_of(start)
    if not origin.fetch and _of(start, origin, [backbone], None).missing:
        raise UserError(origin.missing)


def _of(start: Initialization, origin: Origin, backbones: Sequence[Backbone], data: DataInfo | None) -> Checked:
    if origin.file is None and data is not None and not origin.fetch:
        raise UserError(origin.missing)
    if origin.file is None:
        return Checked(lines=(origin.missing,), missing=True)
    digest = digest_of(origin.file)
    file = _read(origin.file, digest, origin.words)
    size = f"{origin.file.stat().st_size / 1e6:,.1f} MB, SHA-256 {digest[:16]}…"
    lines = [f"{origin.words}: {', '.join((size, *file.notes))}"]
    if origin.architecture is not None:
        lines.append(_of_spec(origin, file))
    for backbone in backbones:
        try:
            lines += _compared(backbone, origin, file, start, data)
        except Misfit as error:
            others = "; one file starts one network: keep one backbone in the space" if len(backbones) > 1 else ""
            raise UserError(f"{backbone.name}: {error}{others}") from error
    return Checked(lines=tuple(dict.fromkeys(lines)))


@lru_cache(maxsize=2)  # several fidelities start from one file
def _read(file: Path, digest: str, words: str) -> WeightsFile:
    return parse_weights(file.read_bytes(), words)


def _backbones(loaded: LoadedStudy) -> list[Backbone]:
    """Return the different backbones of a space, the first few of many; each has a baseline, unless they are listed."""
    baselines = (baseline.architecture for baseline in loaded.space.baselines())
    architectures = chain(baselines, islice(loaded.space.vanillas(), _LOOKED))
    return list(islice(dict.fromkeys(architecture.backbone for architecture in architectures), _MOST))


def _compared(
    backbone: Backbone, origin: Origin, file: WeightsFile, start: Initialization, data: DataInfo | None
) -> Iterator[str]:
    """Yield what becomes of a file in a backbone.

    Raises:
        Misfit: the file is another network's.
        UserError: it does not meet its probe.
    """
    network, found = backbone.name, fit(backbone, file)
    left = f", {counted(found.left, 'tensor')} of its own attention left out" if found.left else ""
    yield f"{network} takes {counted(found.loaded, 'tensor')}{left}; attention and connections are drawn"
    yield _classifier(outputs_of(Architecture(backbone=backbone).network, file), start, data)
    if origin.probe is None and is_published(origin.words) and own_name(origin.words.partition(".")[0]) == network:
        yield f"the library publishes these weights for {network} itself"
    elif origin.probe is None:
        yield f"no probe: nothing shows that {network} computes what the weights were trained with"
    elif origin.architecture is None and origin.resolution is not None:
        off = off_probe(network_of(backbone, file), origin.probe, origin.resolution)
        if off > origin.tolerance:
            raise UserError(_other_network(backbone, origin, file, off))
        yield f"{network} answers as the probe says (off by {off:.1e} of the largest logit)"


def _classifier(outputs: int | None, start: Initialization, data: DataInfo | None) -> str:
    """Return what becomes of the classifier, as a training decides it."""
    if outputs is None:
        return "the file has no classifier: it is drawn"
    classes = counted(outputs, "class", "classes")
    if data is None:
        return f"the file's classifier has {classes}: it is kept where the data has as many"
    if outputs != data.classes:
        return f"the classifier is drawn: {classes} in the file, {data.classes:,} in the data"
    names = None if data.source is None else data.source.class_names
    if start.class_names not in (None, names):
        return f"the classifier is drawn: the {outputs:,} classes of the file have other names"
    return f"the classifier is kept: the file and the data have {classes}"


def _other_network(backbone: Backbone, origin: Origin, file: WeightsFile, off: float) -> str:
    assert origin.probe is not None
    assert origin.resolution is not None
    others = list(
        others_that_answer(backbone, file, origin.probe, resolution=origin.resolution, tolerance=origin.tolerance)
    )
    hint = f"; {' and '.join(others)} takes the file and answers as it says" if others else ""
    return (
        f"{backbone.name} takes every tensor of {origin.words} and still is another network: it is off the probe by "
        f"{off:.2g} of the largest logit, {origin.tolerance:g} is allowed{hint}"
    )


def _of_spec(origin: Origin, file: WeightsFile) -> str:
    """Return that an exported network still answers as its spec says.

    Raises:
        UserError: it does not.
    """
    assert origin.architecture is not None
    if origin.probe is None or origin.resolution is None:
        return "the spec has no probe"
    off = off_probe(spec_network(origin.architecture, file), origin.probe, origin.resolution)
    if off > origin.tolerance:
        raise UserError(f"{origin.words}: the exported network is off its own probe by {off:.2g} of the largest logit")
    return f"the exported network answers as its spec says (off by {off:.1e} of the largest logit)"


def fetched(loaded: LoadedStudy) -> LoadedStudy:
    """Return a study whose weights files are all on this machine, with their SHA-256; a library fetches its own.

    Raises:
        UserError: a file is missing, cannot be fetched, or is another one than before.
    """
    fidelities = tuple(
        fidelity.model_copy(update={"initialize": _there(fidelity.initialize)}) for fidelity in loaded.study.fidelities
    )
    return replace(loaded, study=loaded.study.model_copy(update={"fidelities": fidelities}))


def _there(start: Initialization) -> Initialization:
    if start.weights is None:
        return start
    digest = digest_of(file_of(start))
    if start.sha256 not in (None, digest):
        raise UserError(f"{start.weights} is another file than before: its SHA-256 is {digest}, not {start.sha256}")
    return start.model_copy(update={"sha256": digest})


def file_of(start: Initialization) -> Path:
    """Return the file of a start, fetched where a library has to.

    Raises:
        UserError: it is missing or cannot be fetched.
    """
    origin = origin_of(start)
    if origin.fetch and start.weights is not None:
        return fetch(start.weights)
    if origin.file is None:
        raise UserError(origin.missing)
    return origin.file


def store_starts(loaded: LoadedStudy, artifacts: Place) -> None:
    """Copy a study's weights files into the artifact store, by their SHA-256.

    Raises:
        StorageError: a copy cannot be written.
        UserError: a file is missing.
    """
    for start in dict.fromkeys(fidelity.initialize for fidelity in loaded.study.fidelities):
        if start.weights is not None and start.sha256 is not None:
            put_start(file_of(start), start.sha256, artifacts)
