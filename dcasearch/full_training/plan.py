"""What is to be trained: a spec or a written-out architecture, and what the user says of its training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from dcasearch.analysis.starts import file_of, try_start
from dcasearch.architecture import Architecture, vanilla_of
from dcasearch.config import load_architecture, load_recipe, load_yaml
from dcasearch.config.data_set import NEWEST_READING, Data
from dcasearch.config.initialization import Initialization
from dcasearch.config.recipe import KEEPS, Recipe
from dcasearch.config.starts import Start, digest_of, named, origin_of
from dcasearch.config.study import Fidelity
from dcasearch.data import DATASETS, Source, describe
from dcasearch.errors import DataError, UserError, mistakes_of, nearest
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.export import Spec, load_spec
from dcasearch.files import expanded
from dcasearch.metrics import CLASSIFICATION, TASKS
from dcasearch.models.limit import refuse_large
from dcasearch.training import Assignment
from dcasearch.training.provenance import STARTED_FROM, STARTED_FROM_NAME

Wish = TypeVar("Wish")
_PROTOCOLS: tuple[EvaluationProtocol, ...] = get_args(EvaluationProtocol)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user says; None is what the spec says."""

    recipe: str | None = None
    """A shipped one's name or a file; its epochs come with it."""
    data: str | None = None
    """A data set's name, or the folder of the spec's own."""
    root: str | None = None
    """The data's folder."""
    resolution: int | None = None
    epochs: int | None = None
    train_fraction: float | None = None
    seed: int | None = None
    protocol: str | None = None
    workers: int | None = None
    """Loader processes of each rank."""
    weights: str | None = None
    """What the backbone starts from: a file, an exported spec, or the name of a library's weights."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One training, with everything decided."""

    assignment: Assignment
    classes: int
    recipe: str
    """Where the recipe is from."""
    source: Source | None = None
    """What the data set says of its images."""
    start_file: Path | None = None
    """The file that `assignment.start` names, where there is one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, a sentence each."""
        start, how = self.assignment.start, self.assignment.data.preprocessing
        if start is None or (how is not None and how.mean is not None):
            return ()
        return (
            f"{start.words} does not say how its images were prepared: the data set's own mean and std are taken. A "
            "probe beside the file can say it (docs/trained_start.md)",
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the training's values depend on, as plain data."""
        assignment = self.assignment
        return {
            "architecture": assignment.architecture.written_out(),
            "data": assignment.data.name,
            "data fingerprint": assignment.data_fingerprint,
            "protocol": assignment.protocol,
            "resolution": assignment.fidelity.resolution,
            "epochs": assignment.fidelity.epochs,
            "train_fraction": assignment.fidelity.train_fraction,
            "seed": assignment.seed,
            "recipe": assignment.fidelity.recipe.model_dump(mode="json"),
            **({} if assignment.start is None else {"weights": assignment.start.sha256}),
        }


def plan(path: Path, wishes: Wishes) -> Plan:
    """Return what is to be trained.

    Args:
        path: an exported spec, or any architecture as YAML, which says nothing of data, recipe and resolution.
        wishes: what the user adds or changes.

    Raises:
        UserError: something is not said, or cannot be; every such thing on its own line.
        ConfigError: the architecture or the recipe has mistakes.
        DataError: the data is missing or broken.
    """
    spec = load_spec(path) if "schema_version" in load_yaml(path).data else None
    _check_start(path, spec, wishes)
    architecture = spec.build() if spec else load_architecture(path)
    recipe, epochs, name = _recipe(spec, wishes)
    if recipe is not None and recipe.needs_start and wishes.weights is None:
        raise UserError(f"recipe {name}: {KEEPS}. `train` begins with them; add --weights, or train it in a study")
    resolution = wishes.resolution or (spec.resolution if spec else None)
    data_set = _data_name(spec, wishes)
    if recipe is None or epochs is None or resolution is None or data_set is None:
        said = {"--recipe": recipe, "--epochs": epochs or not recipe, "--resolution": resolution, "--data": data_set}
        missing = [option for option, value in said.items() if not value]
        raise UserError(f"{path} does not say everything that a training needs; add {', '.join(missing)}")
    protocol = _protocol(spec, wishes)
    data = _data(spec, wishes, data_set, protocol)
    start, start_file = None, None
    if wishes.weights is not None:
        start, start_file, data = _start(wishes.weights, architecture, spec, data)
    try:
        found = describe(data)
    except DataError as error:
        raise DataError(f"{error}; --root says where it is") from error
    refuse_large(architecture, resolution, found.classes)
    trained, measured = (spec.training, spec.measured) if spec else (None, None)
    fidelity = _fidelity(
        resolution=resolution,
        epochs=epochs,
        train_fraction=_first(wishes.train_fraction, trained.train_fraction if trained else None, 1.0),
        recipe=recipe,
    )
    seed = _first(wishes.seed, measured.seed if measured else None, 0)
    assignment = Assignment(
        architecture=architecture,
        fidelity=fidelity,
        data=data,
        data_fingerprint=found.fingerprint,
        protocol=protocol,
        seed=seed,
        task=CLASSIFICATION.name if spec is None else spec.task,
        metrics=TASKS[spec.task].asked_for(measured.values) if spec is not None and measured is not None else (),
        detector=None if spec is None else spec.detector,
        start=start,
    )
    if architecture.network.has_constants:
        parent = replace(assignment, architecture=vanilla_of(architecture), protocol=data.protocol)
        assignment = replace(assignment, parent=parent)
    return Plan(assignment=assignment, classes=found.classes, recipe=name, source=found.source, start_file=start_file)


def _check_start(path: Path, spec: Spec | None, wishes: Wishes) -> None:
    """Refuse a spec whose network began with weights that nobody names now."""
    if spec is None or STARTED_FROM not in spec.provenance:
        if spec is not None and spec.detector is not None and wishes.weights is not None:
            raise UserError("--weights is for classifiers; a detector starts from exported networks, in a study")
        return
    if spec.detector is not None:
        raise UserError(f"{path} began with exported weights, and `train` begins with random ones: train it in a study")
    if wishes.weights is None:
        name, sha256 = spec.provenance.get(STARTED_FROM_NAME, "a file"), spec.provenance[STARTED_FROM]
        raise UserError(f"{path} began with trained weights, {name} (SHA-256 {sha256[:16]}…): add --weights FILE")


def _start(weights: str, architecture: Architecture, spec: Spec | None, data: Data) -> tuple[Start, Path, Data]:
    """Return the weights to begin with, their file, and the data whose images are prepared for them.

    Raises:
        UserError: the file is missing, another network's, or another one than the spec's network began with; or the
            spec's data is prepared in another way.
    """
    said = Initialization(name="weights", weights=weights)
    file, origin = file_of(said), origin_of(said)
    sha256 = digest_of(file)
    wanted = None if spec is None else spec.provenance.get(STARTED_FROM)
    if wanted not in (None, sha256):
        raise UserError(f"--weights: {weights} is another file than the network began with: its SHA-256 differs")
    try_start(said, architecture.backbone)
    how = data.preprocessing or origin.preprocessing
    if origin.preprocessing not in (None, how):
        raise UserError(f"--weights: {weights} wants images prepared in another way than the data of the spec")
    start = Start(weights=named(weights), sha256=sha256, class_names=origin.class_names)
    return start, file, data.model_copy(update={"preprocessing": how})


def _first(*values: Wish | None) -> Wish:
    return next(value for value in values if value is not None)


def _recipe(spec: Spec | None, wishes: Wishes) -> tuple[Recipe | None, int | None, str]:
    """Return the recipe, its epochs and where it is from."""
    if wishes.recipe is not None:
        loaded = load_recipe(wishes.recipe)
        return loaded.recipe, wishes.epochs or loaded.epochs, wishes.recipe
    trained = spec.training if spec else None
    if trained is None:
        return None, wishes.epochs, ""
    return trained.recipe, wishes.epochs or trained.epochs, "the spec's"


def _data_name(spec: Spec | None, wishes: Wishes) -> str | None:
    if wishes.data in DATASETS:
        return wishes.data
    if wishes.data is not None and not expanded(wishes.data).is_dir():
        raise UserError(f"--data: '{wishes.data}' is neither a data set nor a folder; {nearest(wishes.data, DATASETS)}")
    return spec.data.name if spec and spec.data else None


def _protocol(spec: Spec | None, wishes: Wishes) -> EvaluationProtocol:
    """Return what is measured on; the spec's own numbers say it where nobody else does."""
    if wishes.protocol is None:
        return spec.measured.protocol if spec and spec.measured else "search"
    for protocol in _PROTOCOLS:
        if wishes.protocol == protocol:
            return protocol
    raise UserError(f"--protocol: '{wishes.protocol}' is not a protocol; {nearest(wishes.protocol, _PROTOCOLS)}")


def _data(spec: Spec | None, wishes: Wishes, name: str, protocol: EvaluationProtocol) -> Data:
    root = wishes.root or (wishes.data if wishes.data not in DATASETS else None)
    data = spec.data.at(root) if spec and spec.data and spec.data.name == name else _new_data(name, root)
    changes: dict[str, Any] = {"protocol": "paper" if protocol == "paper" else "search"}
    if wishes.workers is not None:
        changes["workers"] = wishes.workers
    return _valid(Data, {**data.model_dump(), **changes})


def _new_data(name: str, root: str | None) -> Data:
    return Data(name=name, root=root, reading=NEWEST_READING)


def _fidelity(**values: Any) -> Fidelity:
    return _valid(Fidelity, {"name": "train", **values})


def _valid(model: type[Wish], values: dict[str, Any]) -> Wish:
    try:
        return TypeAdapter(model).validate_python(values)
    except ValidationError as error:
        options = ((name.replace("_", "-"), rest) for name, _, rest in (m.partition(":") for m in mistakes_of(error)))
        raise UserError("\n".join(f"--{name}:{rest}" for name, rest in options)) from None
