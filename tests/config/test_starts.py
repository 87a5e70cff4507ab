from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.initialization import Initialization
from dcasearch.config.starts import digest_of, is_published, origin_of, start_for
from dcasearch.errors import UserError

PROBE: dict[str, Any] = {"seed": 0, "images": 1, "logits": [[1.0, 2.0]], "norms": [2.236]}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "crop": 0.9}
STEPS = [{"resize": 256, "interpolation": "bicubic"}, {"crop": 224}]


def weights(file: Path, **said: Any) -> Initialization:
    return Initialization.model_validate({"name": "weights", "weights": str(file), **said})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"some bytes")
    return path


def test_of_a_bare_file_nothing_is_known_but_that_it_is_there(file: Path) -> None:
    origin = origin_of(weights(file))
    assert (origin.file, origin.missing, origin.preprocessing, origin.probe) == (file, "", None, None)


@pytest.mark.parametrize("name", ["none.pth", "none.yaml"])
def test_a_file_that_is_not_there_is_no_error_yet(tmp_path: Path, name: str) -> None:
    origin = origin_of(weights(tmp_path / name))
    assert origin.file is None
    assert not origin.fetch
    assert origin.missing.startswith("there is no file ")


@pytest.mark.parametrize("name", ["w.safetensors.probe.json", "elsewhere.json"])
def test_a_probe_beside_the_file_or_a_named_one_says_the_preprocessing(file: Path, name: str) -> None:
    probe = file.with_name(name)
    probe.write_text(json.dumps({**PROBE, "resolution": 64, "tolerance": 1e-3, "preprocessing": HALF}))
    said = {} if name.startswith(file.name) else {"probe": str(probe)}
    origin = origin_of(weights(file, **said))
    assert origin.preprocessing == DataPreprocessing.model_validate(HALF)
    assert origin.probe is not None
    assert (origin.probe.logits, origin.resolution, origin.tolerance) == (((1.0, 2.0),), 64, 1e-3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        (json.dumps(PROBE), "is no probe: resolution: Field required"),
        (json.dumps({**PROBE, "resolution": 64, "norms": []}), "is no probe: "),
        (None, "No such file"),
    ],
    ids=["broken", "no resolution", "no norms", "missing"],
)
def test_a_broken_probe_is_an_error(file: Path, content: str | None, said: str) -> None:
    probe = file.with_name("p.json")
    if content is not None:
        probe.write_text(content)
    with pytest.raises(UserError, match=said):
        origin_of(weights(file, probe=str(probe)))


def spec(file: Path, **changes: Any) -> Path:
    said = {
        "id": "0123456789abcdef",
        "architecture": {"backbone": {"name": "resnet18"}},
        "class_names": ["cat", "dog"],
        "resolution": 64,
        "preprocessing": {"steps": STEPS, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        "weights": {"file": file.name, "sha256": "ab" * 32},
        "probe": PROBE,
        **changes,
    }
    path = file.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(said))
    return path


def test_an_exported_spec_says_classes_preprocessing_and_probe(file: Path) -> None:
    origin = origin_of(weights(spec(file)))
    assert (origin.file, origin.sha256) == (file, "ab" * 32)
    assert (origin.class_names, origin.resolution) == (("cat", "dog"), 64)
    assert origin.preprocessing == DataPreprocessing(
        mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bicubic", crop=0.875
    )
    assert origin.architecture == {"backbone": {"name": "resnet18"}}


@pytest.mark.parametrize(
    ("resize", "crop", "share"), [(110, 96, 0.875), (96, 96, 1.0), (101, 96, 0.95), (150, 96, 0.64)]
)
def test_whole_pixels_of_a_spec_are_a_usual_share_where_one_gives_them(
    file: Path, resize: int, crop: int, share: float
) -> None:
    steps = [{"resize": resize, "interpolation": "bilinear"}, {"crop": crop}]
    prepared = {"steps": steps, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    preprocessing = origin_of(weights(spec(file, preprocessing=prepared))).preprocessing
    assert preprocessing is not None
    assert preprocessing.crop == share


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "detection"}, "has learned detection; weights come from classifiers"),
        ({"probe": {}}, "its preprocessing or its probe is broken"),
        ({"weights": None}, "it has no id or no weights"),
    ],
    ids=["a detector", "no probe", "no weights"],
)
def test_a_spec_that_cannot_be_started_from_is_an_error(file: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        origin_of(weights(spec(file, **changes)))


@pytest.mark.parametrize(
    ("written", "published"),
    [
        ("timm/resnet50.a1_in1k", True),
        ("torchvision/resnet18", True),
        ("torchvision/resnet18.IMAGENET1K_V1", True),
        ("weights/resnet18.pth", False),
        ("timm/sub/file.pth", False),
    ],
)
def test_a_name_of_a_librarys_weights_is_told_from_a_path(written: str, published: bool) -> None:
    assert is_published(written) == published


def test_a_start_names_the_file_by_its_sha256_and_vanilla_gives_it_to_the_parent(file: Path) -> None:
    said = weights(file, sha256="cd" * 32, class_names=["cat", "dog"])
    start = start_for(said, "0123456789abcdef")
    assert start is not None
    assert (start.sha256, start.class_names, start.architecture_id) == ("cd" * 32, ("cat", "dog"), None)
    assert start.words == "w.safetensors"
    vanilla = Initialization.model_validate({"name": "vanilla", "weights": str(file), "sha256": "cd" * 32})
    assert start_for(vanilla, "0123456789abcdef") is None
    assert vanilla.of_parent == weights(file, sha256="cd" * 32)
    assert Initialization.model_validate({"name": "vanilla"}).of_parent == Initialization()


def test_a_digest_is_that_of_the_file_as_it_is_now(file: Path) -> None:
    before = digest_of(file)
    file.write_bytes(b"other bytes")
    assert digest_of(file) != before
    assert len(before) == 64
