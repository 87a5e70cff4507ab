"""Weights files that a study starts from: which file it is, and how its images are prepared; no weights are read."""

from __future__ import annotations

from collections.abc import Mapping

from dcasearch.config import Document, KeyPath
from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.initialization import Initialization
from dcasearch.config.starts import Origin, digest_of, named, origin_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import UserError

_SAID = ("mean", "std", "interpolation", "crop")
"""How a trained network's images were prepared."""


def settle_weights(study: Study, document: Document) -> tuple[Study, tuple[str, ...]]:
    """Return the study with what its weights files say, and what its user should know of it.

    Each file's SHA-256 is noted where the file is there. Images are prepared as the trained network had them: the
    study's `data.preprocessing` becomes that of the weights. A contradiction is reported as a mistake.
    """
    fidelities, notes = list(study.fidelities), list[str]()
    of_data = _said_by(study.data.preprocessing)
    wanted: dict[str, object] = {}
    first = ""
    for n, fidelity in enumerate(study.fidelities):
        if fidelity.initialize.weights is None:
            continue
        path: KeyPath = ("fidelities", n, "initialize")
        try:
            origin = origin_of(fidelity.initialize)
        except UserError as error:
            document.report((*path, "probe" if fidelity.initialize.probe is not None else "weights"), str(error))
            continue
        fidelities[n] = _with_file(fidelity, origin, path, document)
        own = _wanted_by(fidelity.initialize, origin, path, document)
        if "mean" not in {**of_data, **own} and not origin.is_missing_spec:
            notes.append(_unsaid(fidelity, origin))
        if first and own != wanted:
            document.report(
                (*path, "weights"),
                f"{origin.words} wants images with {_words(own)}, and {first} with {_words(wanted)}; a study "
                "prepares its images in one way, so start from one file",
            )
        elif not first:
            wanted, first = own, origin.words
    _check_data(of_data, wanted, first, document)
    changes: dict[str, object] = {"fidelities": tuple(fidelities)}
    if wanted:
        prepared = DataPreprocessing.model_validate({**of_data, **wanted})
        changes["data"] = study.data.model_copy(update={"preprocessing": prepared})
    return study.model_copy(update=changes), tuple(dict.fromkeys(notes))


def _said_by(how: DataPreprocessing | None) -> dict[str, object]:
    """Return what somebody says of how images are prepared; what is left out is the data set's own or the usual."""
    said = set[str]() if how is None else how.model_fields_set
    return {name: value for name in _SAID if name in said and (value := getattr(how, name)) is not None}


def _with_file(fidelity: Fidelity, origin: Origin, path: KeyPath, document: Document) -> Fidelity:
    """Return a fidelity whose `initialize` names the file for good: absolute, with its SHA-256 and its classes."""
    start = fidelity.initialize
    assert start.weights is not None
    found = None if origin.file is None else digest_of(origin.file)
    for wanted, where in ((start.sha256, (*path, "sha256")), (origin.sha256, (*path, "weights"))):
        if None not in (found, wanted) and found != wanted:
            document.report(where, f"{origin.words} is another file: its SHA-256 is {found}, not {wanted}")
    changes = {
        "weights": named(start.weights),
        "sha256": start.sha256 or found or origin.sha256,
        "class_names": start.class_names or origin.class_names,
    }
    return fidelity.model_copy(update={"initialize": start.model_copy(update=changes)})


def _wanted_by(start: Initialization, origin: Origin, path: KeyPath, document: Document) -> dict[str, object]:
    """Return how the images of the weights were prepared, as far as the YAML or the file's source say it."""
    written = {name: getattr(start, name) for name in _SAID if getattr(start, name) is not None}
    if (start.mean is None) != (start.std is None):
        document.report(path, "mean and std belong together: give both")
        return {}
    said = _said_by(origin.preprocessing)
    for name in written.keys() & said.keys():
        if written[name] != said[name]:
            document.report(
                (*path, name), f"{origin.words} says {name} {_shown(said[name])} itself, not {_shown(written[name])}"
            )
    return {**written, **said}


def _unsaid(fidelity: Fidelity, origin: Origin) -> str:
    own = "the data set's own mean and std are taken (of image folders ImageNet's: 0.485, 0.456, 0.406 and 0.229, "
    return (
        f"{fidelity.name}: {origin.words} does not say how its images were prepared; {own}0.224, 0.225), bilinear "
        "resizing and crop 0.875. Other values cost accuracy: write what is right, e.g. initialize: {weights: FILE, "
        "mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], interpolation: bicubic, crop: 0.875}"
    )


def _check_data(of_data: Mapping[str, object], wanted: Mapping[str, object], words: str, document: Document) -> None:
    """Report where the YAML's `data.preprocessing` contradicts the weights."""
    for name in of_data.keys() & wanted.keys():
        if of_data[name] != wanted[name]:
            document.report(
                ("data", "preprocessing", name),
                f"{_shown(of_data[name])} contradicts {words}, whose images had {_shown(wanted[name])}; leave "
                "data.preprocessing out, then the images are prepared as the weights want them",
            )


def _words(how: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_shown(how[name])}" for name in _SAID if name in how) or "the data set's own values"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(f"{number:g}" for number in value) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
