"""What a study's YAML says of its data: which set, which parts, how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator
from pydantic_core import PydanticCustomError

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Within
from dcasearch.config.numbers import MAX_CLASSES, Amount, Seed, SizeOrNone


def _classes(written: object) -> int | tuple[str, ...]:
    if type(written) is int and written > MAX_CLASSES:
        raise PydanticCustomError("classes", "must be at most a million classes")
    if type(written) is int and written >= 2:
        return written
    if isinstance(written, list | tuple) and len(written) > MAX_CLASSES:
        raise PydanticCustomError("classes", "must be at most a million classes")
    if isinstance(written, list | tuple) and len(written) >= 2 and all(isinstance(name, str) for name in written):
        return tuple(written)
    raise PydanticCustomError(
        "classes",
        "must be how many classes, at least 2, or a list of names, in quotes if numbers",
    )


SHAPES_WITH_BOXES = "shapes_boxes"
"""What the data set `shapes` is called under task detection."""
Classes = Annotated[
    int | tuple[str, ...],
    BeforeValidator(
        _classes,
        json_schema_input_type=Annotated[int, Field(ge=2, le=MAX_CLASSES)]
        | Annotated[list[str], Field(min_length=2, max_length=MAX_CLASSES)],
    ),
]
"""How many, or which."""


ReadingVersion: TypeAlias = Literal[1, 2]
"""How image files are found and read; `dcasearch.data.reading` says what each does."""
NEWEST_READING: ReadingVersion = 2
"""Of studies that begin now."""


_Channel = Annotated[float, Within(-1e6, 1e6)]
Channels = Annotated[tuple[_Channel, _Channel, _Channel], Field(strict=False)]
"""One number per channel: red, green, blue."""
Interpolation: TypeAlias = Literal["bilinear", "bicubic"]
CropShare = Annotated[float, Field(gt=0, le=1, strict=False)]
USUAL_CROP = 224 / 256
"""Side of the centre crop, as a share of the resized shorter side, as the paper evaluates."""


class DataPreprocessing(Frozen):
    """How images are prepared, where that is not the data set's usual way: as a trained network had its images."""

    mean: Channels | None = None
    """Per channel, of pixels in 0..1; None: the data set's own."""
    std: Channels | None = None
    """As `mean`."""
    interpolation: Interpolation = "bilinear"
    """Of every resize of an image, with antialiasing; windows of `random_resized` in small sets stay bilinear."""
    crop: CropShare = USUAL_CROP
    """Side of the centre crop, as a share of the resized shorter side. Small sets (digits, shapes, cifar10) are resized
    as they are, without a crop."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together: give both")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self


Share = Annotated[float, Field(gt=0, lt=1, strict=False)]


class Shares(Frozen):
    """Which shares of a data set without parts of its own are held out; the rest is trained on."""

    validation: Share = 0.2
    """Share of each class that networks are compared on."""
    test: Share = 0.2
    """Share of each class for the last numbers."""

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        return self


class Columns(Frozen):
    """What the columns of a list of images are called."""

    path: str = "path"
    """Of the image, below `root`."""
    label: str = "label"
    """Name of its class."""
    group: str | None = None
    """Images of one group, e.g. one patient, stay on one side of every split."""
    split: str | None = None
    """train, validation or test; without it `split` divides."""


class Data(Frozen):
    """A data set and how much of train is held out for the search."""

    name: str
    """digits, shapes, cifar10, imagefolder, imagelist or imagenet; for task detection shapes or coco."""
    root: str | None = None
    """Folder of the data, or what `dcasearch data prepare` made of it; digits and shapes need none."""
    classes: Classes | None = None
    """Only some: their names (the folders'), or how many, drawn with split_seed; fewer are always among more."""
    validation_fraction: Annotated[PositiveFloat, Field(lt=1)] = 0.1
    """Share of train that selection sees; the test split is not looked at."""
    protocol: Literal["search", "paper"] = "search"
    """`search`: trials are compared on held-out training images. `paper`: on the test images, as the paper has it."""
    split: Shares | None = None
    """imagefolder and imagelist, without parts of their own: `{validation: 0.2, test: 0.2}`, stratified by class. Then
    `validation_fraction` is not given."""
    file: str | None = None
    """imagelist only: the CSV or Parquet file with a row for each image."""
    columns: Columns = Columns()
    """imagelist only: what the columns of its file are called."""
    split_seed: Seed = 0
    """Draws the held-out images, and the classes where `classes` is a number."""
    workers: SizeOrNone = 2
    """Loader processes per trial, for image folders, prepared or not; small data sets are held in memory."""
    scratch: str | None = None
    """Folder of each machine for decoded images; else `artifacts` where that is a folder, else a temporary one."""
    stage: str | None = None
    """Folder of each machine that `root` is copied to once, before the first training there, and read from."""
    stage_limit: Amount | None = None
    """Bytes, e.g. 200G: more than that is not copied but an error."""
    max_corrupt: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.001
    """Share of unreadable images over which a run stops with their list."""
    preprocessing: DataPreprocessing | None = None
    """Mean, standard deviation, interpolation and crop, where they are not the data set's own; a study that starts from
    trained weights has those of the weights without this (docs/trained_start.md)."""
    reading: ReadingVersion = 1
    """Version of how image files are found and read (docs/data.md). A YAML that does not say it means the newest, for
    a study that was begun before versions the first."""

    @model_validator(mode="before")
    @classmethod
    def _validation_of_the_split(cls, written: Any) -> Any:
        """Give the share of train that is held out, where the YAML gives shares of the whole."""
        split = written.get("split") if isinstance(written, Mapping) else None
        if isinstance(split, Shares):  # of Python's own callers; YAML gives a mapping
            split = split.model_dump()
        if not isinstance(split, Mapping):
            return written
        shares = {name: split.get(name, 0.2) for name in ("validation", "test")}
        if not all(isinstance(share, int | float) and 0 < share < 1 for share in shares.values()):
            return written  # the field's own check says so
        fraction = round(shares["validation"] / (1 - shares["test"]), 12)
        if written.get("validation_fraction", fraction) != fraction:
            raise ValueError("give `split` or `validation_fraction`, not both")
        return {**written, "validation_fraction": fraction}

    @model_validator(mode="after")
    def _of_lists_alone(self) -> Self:
        if (self.file is None) == (self.name == "imagelist"):
            raise ValueError("`file` names the CSV or Parquet file of data `imagelist`, and of no other")
        return self
