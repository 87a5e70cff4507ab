"""What an exported spec says, as a frozen noun and as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from dcasearch.architecture import Architecture
from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Longest, Within
from dcasearch.config.data_set import Classes, Columns, Data, DataPreprocessing, ReadingVersion, Shares
from dcasearch.config.detector import Detector
from dcasearch.config.document import load_plain_yaml
from dcasearch.config.numbers import MAX_CLASSES, MAX_COST, MAX_SEEDS, Epochs, Fraction, Pixels, Reading, Seed, Size
from dcasearch.config.probe import Probe
from dcasearch.config.recipe import Recipe
from dcasearch.data import Preprocessing
from dcasearch.drawing.notebook import network_html
from dcasearch.errors import UserError, mistakes_of, shortened
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.metrics import CLASSIFICATION, METRICS, Metric, headline_of

SCHEMA_VERSION = 1
_MAX_MEASURED = 100_000
"""Trainings, and baselines, of one spec."""
_Counted = Annotated[NonNegativeInt, Within(high=MAX_COST)]
"""Parameters, multiply-adds."""
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Weights(Frozen):
    """The file of the weights, beside the spec."""

    file: str = Field(pattern=r"^[^/\\]+\.safetensors$")
    """A plain name: a spec cannot point out of its folder."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DataSpec(Frozen):
    """The data that every number was measured on; where it lies is not part of it."""

    name: str
    fingerprint: str
    """Of the images and of the split."""
    validation_fraction: Annotated[PositiveFloat, Field(lt=1)]
    split_seed: Seed
    protocol: Literal["search", "paper"]
    classes: Classes | None = None
    """As in a study; None for all of them."""
    reading: ReadingVersion = 1
    """Version of how image files were found and read."""
    split: Shares | None = None
    """Of data without parts of its own."""
    columns: Columns | None = None
    """Of a list of images, whose file is named anew."""
    preprocessing: DataPreprocessing | None = None
    """Where images were prepared in another way than the data set's usual one."""

    @model_serializer(mode="wrap")
    def _without_the_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = serialize(self)
        if plain["preprocessing"] is None:  # specs of before did not say it
            plain.pop("preprocessing")
        return plain

    def at(self, root: str | None) -> Data:
        """Return the data set in a folder."""
        return Data(
            name=self.name,
            root=root if self.columns is None else None,
            validation_fraction=self.validation_fraction,
            split_seed=self.split_seed,
            protocol=self.protocol,
            classes=self.classes,
            reading=self.reading,
            split=self.split,
            columns=Columns() if self.columns is None else self.columns,
            file=None if self.columns is None else root,
            preprocessing=self.preprocessing,
        )


class TrainingSpec(Frozen):
    """How the weights were trained, at the spec's resolution."""

    epochs: Epochs
    train_fraction: Fraction
    """Share of the train split."""
    recipe: Recipe


class Measured(Frozen):
    """One training of the exported architecture; the values are its last epoch's.

    In YAML each value is an entry of its own, under the metric's name.
    """

    fidelity: str
    protocol: EvaluationProtocol
    seed: Seed
    epochs: Epochs
    values: dict[str, Reading]
    """By metric."""
    evaluation: Id
    split_seed: Seed | None = None
    """Of final trainings on several splits: which one; the spec's `data` is that of the exported weights."""

    @property
    def headline(self) -> Metric:
        """The metric that networks are compared by."""
        return headline_of(self.values)

    @property
    def value(self) -> float:
        """The value of the headline metric."""
        return self.values[self.headline.name]

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, written: Any) -> Any:
        if not isinstance(written, Mapping) or "values" in written:
            return written
        values = {name: value for name, value in written.items() if name in METRICS}
        return {**{name: value for name, value in written.items() if name not in METRICS}, "values": values}

    @model_validator(mode="after")
    def _has_a_headline(self) -> Self:
        _ = self.headline
        return self

    @model_serializer(mode="wrap")
    def _flat(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = serialize(self)
        evaluation, values, split = plain.pop("evaluation"), plain.pop("values"), plain.pop("split_seed")
        return {**plain, **({} if split is None else {"split_seed": split}), **values, "evaluation": evaluation}


class OverSplits(Frozen):
    """The final trainings of the exported architecture over several splits of the data, together."""

    splits: Annotated[PositiveInt, Within(high=MAX_SEEDS)]
    mean: Reading
    """Of the headline metric."""
    margin: Reading | None
    """Half-width of the mean's 95% interval, corrected for splits that share images (Nadeau, Bengio 2003)."""
    says: str
    """What the further splits cannot say."""


class Baseline(Frozen):
    """A network that the study trained in the same way, and how far the exported one is above it.

    In YAML its mean is an entry under the metric's name.
    """

    name: str
    id: Id
    fidelity: str
    protocol: EvaluationProtocol
    seeds: Annotated[tuple[Seed, ...], Field(strict=False), Longest(MAX_SEEDS)]
    metric: str
    """Name of the metric that they are compared by."""
    mean: Reading
    """Of the metric over the seeds."""
    difference: Reading | None
    """The exported architecture's mean minus this one, at the same fidelity and protocol.

    Over the seeds that both have, or over all where there are none."""
    margin: Reading | None = None
    """Half-width of the difference's 95% interval, as far as it is known."""
    resolved: bool | None = None
    """Whether the difference is beyond a margin that counts seeds and images; None in specs of versions before it."""
    said: str = ""
    """The difference as it is shown."""
    counts: str = ""
    """Whether it counts: `yes`, `no`, or why nobody can say. Empty in specs of older versions: `said` had it then."""

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, written: Any) -> Any:
        if not isinstance(written, Mapping) or "mean" in written:
            return written
        named = [name for name in written if name in METRICS]
        if len(named) != 1:
            raise ValueError("needs the mean of one metric, e.g. top1")
        rest = {name: value for name, value in written.items() if name not in named}
        return {**rest, "metric": named[0], "mean": written[named[0]]}

    @model_serializer(mode="wrap")
    def _flat(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = serialize(self)
        metric, mean = plain.pop("metric"), plain.pop("mean")
        head = {name: plain.pop(name) for name in ("name", "id", "fidelity", "protocol", "seeds")}
        return {**head, metric: mean, **plain}


class Spec(Frozen):
    """An exported model."""

    schema_version: Literal[1]
    id: Id
    """Canonical id of the architecture."""
    architecture: dict[str, Any]
    task: str = CLASSIFICATION.name
    """What the network has learned."""
    detector: Detector | None = None
    """What stands on the network, where the task is detection."""
    num_classes: Size
    """Outputs of the network; of a detector its classes, without background."""
    class_names: Annotated[tuple[str, ...], Field(strict=False), Longest(MAX_CLASSES)] | None = None
    """In the order of the outputs; None where they were not known."""
    resolution: Pixels
    """Pixels per side."""
    preprocessing: Preprocessing | None = None
    """What happens to an image before the network sees it; None of a detector, which does it by itself, and in specs of
    older versions, which did not say it."""
    parameters: _Counted
    macs: _Counted
    """Multiply-adds for one image. Of a detector both are of the network that it stands on, as a classifier."""
    weights: Weights
    evaluation: Id | None = None
    """The one of `metrics` that the weights come from; None where they were imported, not trained here."""
    metrics: Annotated[tuple[Measured, ...], Field(strict=False), Longest(_MAX_MEASURED)] = ()
    over_splits: OverSplits | None = None
    """Where the final trainings are on several splits."""
    baselines: Annotated[tuple[Baseline, ...], Field(strict=False), Longest(_MAX_MEASURED)] = ()
    data: DataSpec | None = None
    """None where the weights were imported."""
    training: TrainingSpec | None = None
    """None in specs of versions that did not write it."""
    provenance: dict[str, str]
    probe: Probe

    @property
    def measured(self) -> Measured | None:
        """The training that the weights come from; None where they were imported."""
        if self.evaluation is None:
            return None
        return next(metric for metric in self.metrics if metric.evaluation == self.evaluation)

    @model_validator(mode="after")
    def _trained_or_imported(self) -> Self:
        said = {"evaluation": self.evaluation is not None, "metrics": bool(self.metrics), "data": self.data is not None}
        if len(set(said.values())) > 1:
            missing = ", ".join(name for name, there in said.items() if not there)
            raise ValueError(
                f"needs {missing}: a trained network has all of {', '.join(said)}, an imported one has none"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_absent_parts(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = serialize(self)
        absent = [name for name in ("detector", "over_splits") if plain[name] is None]
        return {name: value for name, value in plain.items() if name not in absent}

    def _repr_html_(self) -> str:
        lines = [f"architecture {self.id}, {self.parameters:,} parameters, {self.macs:,} multiply-adds"]
        if self.measured is not None:
            where = "test images" if self.measured.protocol == "test" else "held-out images"
            lines.append(f"{self.measured.headline.shown(self.measured.value)} on the {where}")
        return network_html(self.build().network, lines, resolution=self.resolution)

    def build(self) -> Architecture:
        """Return the architecture; ArchitectureError where it can have no network."""
        return Architecture.parse(self.architecture)


def load_spec(path: str | Path) -> Spec:
    """Return a spec as written; nothing is rebuilt and no weights are read.

    Raises:
        UserError: no such file, no YAML, no spec, or one of a newer version; every mistake on its own line.
    """
    content = load_plain_yaml(Path(path))
    version = content.get("schema_version")
    if version is None:
        raise UserError(f"{path} is no exported model: it has no schema_version. `dcasearch export` writes one.")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema_version {shortened(str(version), 40)}, and this dcasearch knows {SCHEMA_VERSION}. "
            "Upgrade with `pip install --upgrade dcasearch`."
        )
    try:
        spec = Spec.model_validate(content)
        _ = spec.measured
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {mistake}" for mistake in mistakes_of(error))) from error
    except StopIteration:
        raise UserError(f"{path}: evaluation: {spec.evaluation} is none of `metrics`") from None
    return spec


def to_yaml(spec: Spec, comment: str) -> str:
    """Return the YAML of a spec, below a comment."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    body = yaml.dump(spec.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"{head}{body}"


class _Dumper(yaml.SafeDumper):
    """Writes leaves on one line, and quotes every text that starts with a digit, since readers differ on ids."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "default_flow_style": None})


def _quote_digits(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if text[:1].isdigit() else None)


_Dumper.add_representer(str, _quote_digits)
