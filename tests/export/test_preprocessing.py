"""A user's own script needs nothing but the spec: predictions reach the verified accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcasearch
from dcasearch.config.data_set import Data
from dcasearch.data import describe
from dcasearch.data.digits import open_digits
from dcasearch.data.sets import MemoryPart, Part
from dcasearch.export import Candidate, Exported, export, load_spec
from dcasearch.export.verification import POINTS
from dcasearch.models import cost
from tests.export.snippet import predict, prepare
from tests.training.support import make_assignment, run

DIGITS = ("zero", "one", "two")
RESOLUTION = 16
NETWORK = {"backbone": {"name": "resnet18", "width": 0.125, "stem": "small"}, "attention": {"name": "se"}}


def write_part(folder: Path, part: Part, images: int) -> list[tuple[Path, str]]:
    """Digits as photographs: each on a wider canvas, so that what is cropped counts."""
    assert isinstance(part, MemoryPart)
    pixels, files = part.read(None).array, []
    for label, name in enumerate(DIGITS):
        (folder / name).mkdir(parents=True)
        for n, index in enumerate(np.flatnonzero(part.labels == label)[:images]):
            digit = Image.fromarray(np.moveaxis(pixels[index], 0, -1)).resize((32, 32))
            canvas = Image.new("RGB", (60, 40), (90, 90, 90))
            canvas.paste(digit, (14, 4))
            files.append((folder / name / f"{n}.png", name))
            canvas.save(files[-1][0])
    return files


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Path, str]]]:
    folder = tmp_path_factory.mktemp("photographs")
    digits = open_digits(None)
    write_part(folder / "train", digits.train, 60)
    files = write_part(folder / "test", digits.test, 20)
    data = Data(name="imagefolder", root=str(folder), workers=0)
    assignment = make_assignment(
        NETWORK, data=data, protocol="test", resolution=RESOLUTION, epochs=8, train_fraction=1.0
    )
    evaluation = run(assignment, folder / "artifacts")
    export(
        folder / "best.yaml",
        Exported(
            architecture=assignment.architecture,
            num_classes=len(DIGITS),
            resolution=RESOLUTION,
            cost=cost(assignment.architecture, RESOLUTION, len(DIGITS)),
            evaluation=evaluation,
            data=data,
            source=describe(data).source,
        ),
        artifacts=folder / "artifacts",
        winner=[Candidate("winner", "proxy", evaluation)],
        baselines=[],
        provenance={},
    )
    return folder / "best.yaml", files


def test_a_script_with_torch_and_pillow_reaches_the_verified_accuracy(
    exported: tuple[Path, list[tuple[Path, str]]],
) -> None:
    path, files = exported
    spec = load_spec(path)
    assert spec.preprocessing is not None
    assert spec.class_names == tuple(sorted(DIGITS))
    how, model = spec.preprocessing.model_dump(mode="json"), dcasearch.load_model(path)
    with torch.no_grad():
        answers = [int(model(prepare(Image.open(file), how)).argmax()) for file, _ in files]
    right = sum(spec.class_names[answer] == name for answer, (_, name) in zip(answers, files, strict=True))
    assert spec.measured.value > 60, "a network that has learned nothing proves nothing"
    assert 100 * right / len(files) == pytest.approx(spec.measured.value, abs=max(POINTS, 100 / len(files)) + 1e-3)


def test_the_documented_function_names_the_class_of_one_file(exported: tuple[Path, list[tuple[Path, str]]]) -> None:
    path, files = exported
    answers = [predict(str(path), str(file)) for file, _ in files[::10]]
    assert set(answers) <= set(DIGITS)
    assert sum(answer == name for answer, (_, name) in zip(answers, files[::10], strict=True)) >= len(answers) / 2
