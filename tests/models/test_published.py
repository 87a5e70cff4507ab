"""Weights that libraries publish: the libraries' own tables, a cache that is made up, and no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.initialization import Initialization
from dcasearch.config.starts import origin_of
from dcasearch.errors import ArchitectureError, UserError
from dcasearch.models import published as room
from dcasearch.models.published import fetch, published
from tests.models.traced.support import needs_timm

RESNET, FILE = "torchvision/resnet18.IMAGENET1K_V1", "resnet18-f37072fd.pth"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both libraries' caches, empty; and whoever fetches fails."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)

    def offline(*arguments: Any, **options: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline, raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_torchvision_says_the_preprocessing_and_how_large_the_fetch_is() -> None:
    origin = published(RESNET)
    assert (origin.file, origin.fetch) == (None, True)
    assert origin.missing == f"{RESNET} is not on this machine; `dcasearch run` fetches it, 45 MB"
    assert origin.preprocessing == DataPreprocessing(
        mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation="bilinear", crop=0.875
    )


def test_without_a_tag_it_is_the_librarys_own_choice() -> None:
    assert published("torchvision/resnet50").preprocessing != published("torchvision/resnet50.IMAGENET1K_V1")
    crop = published("torchvision/resnet50").preprocessing
    assert crop is not None
    assert crop.crop == pytest.approx(224 / 232)


@needs_timm
def test_timm_says_the_preprocessing_and_about_how_large_the_fetch_is() -> None:
    origin = published("timm/tf_efficientnet_lite0.in1k")
    assert origin.missing.endswith("`dcasearch run` fetches it, about 19 MB")
    assert origin.preprocessing == DataPreprocessing(
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic", crop=0.875
    )
    assert published("timm/tf_efficientnet_lite0").preprocessing == origin.preprocessing


def test_a_file_in_the_cache_is_taken_and_nothing_is_fetched(caches: Path) -> None:
    caches.mkdir(parents=True)
    (caches / FILE).write_bytes(b"weights")
    origin = origin_of(Initialization(name="weights", weights=RESNET))
    assert (origin.file, origin.fetch, origin.missing) == (caches / FILE, False, "")
    assert fetch(RESNET) == caches / FILE


@needs_timm
def test_timms_file_is_looked_for_in_the_hub_and_where_older_versions_put_it(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def cached(repository: str, file: str) -> str | None:
        asked.append((repository, file))
        return str(tmp_path / file) if file == found else None

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", cached)
    for found in ("model.safetensors", "pytorch_model.bin"):
        assert published("timm/tf_efficientnet_lite0.in1k").file == tmp_path / found
    assert asked[0] == ("timm/tf_efficientnet_lite0.in1k", "model.safetensors")
    found = ""
    caches.mkdir(parents=True)
    (caches / "tf_efficientnet_lite0-0aa007d2.pth").write_bytes(b"weights")
    assert published("timm/tf_efficientnet_lite0").file == caches / "tf_efficientnet_lite0-0aa007d2.pth"


def test_torchvisions_file_is_fetched_into_its_cache_and_held_against_its_name(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[dict[str, Any]] = []

    def download(url: str, target: str, **options: Any) -> None:
        fetched.append(options)
        Path(target).write_bytes(b"weights")

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    assert fetch(RESNET) == caches / FILE
    assert fetched == [{"hash_prefix": "f37072fd", "progress": False}]


@needs_timm
def test_timms_file_is_fetched_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def download(repository: str, file: str) -> str:
        return str(tmp_path / repository.replace("/", "_") / file)

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *where: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert fetch("timm/tf_efficientnet_lite0.in1k") == tmp_path / "timm_tf_efficientnet_lite0.in1k/model.safetensors"


@pytest.mark.parametrize("name", [RESNET, pytest.param("timm/tf_efficientnet_lite0.in1k", marks=needs_timm)])
def test_without_a_network_a_sentence_says_what_to_do(name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} cannot be fetched \(OSError: no network\).*copy the file"):
        fetch(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchvision/resnet18.IMAGENET", "has no weights 'IMAGENET' for resnet18; did you mean 'IMAGENET1K_V1'"),
        ("torchvision/resnet19", "torchvision has no network 'resnet19'"),
        pytest.param("timm/resnet50.a1", "timm has no weights 'a1' for resnet50; ", marks=needs_timm),
        pytest.param("timm/efficientnet_b8", "timm has no weights for efficientnet_b8", marks=needs_timm),
    ],
)
def test_a_name_that_no_library_has_is_an_error(name: str, said: str) -> None:
    with pytest.raises((UserError, ArchitectureError), match=said):
        published(name)


def test_an_interpolation_that_images_cannot_have_here_is_an_error() -> None:
    with pytest.raises(UserError, match="were resized by 'nearest', which this package does not have"):
        room._interpolation("timm/x", "nearest")
