from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, side: int = 70) -> Image.Image:
    """A picture of coarse patches: two of other seeds are no copies, one that is resized is."""
    patches = np.random.RandomState(seed).randint(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((side + 10, side), Image.Resampling.BICUBIC)


def write_pictures(folder: Path, counts: dict[str, int], first: int = 0) -> None:
    seed = first
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            picture(seed).save(folder / name / f"{n:03}.jpg")
            seed += 1


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """30 images of two classes, in one piece."""
    write_pictures(tmp_path / "photos", {"cat": 18, "dog": 12})
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights of a library lie on this machine, unless a test puts them here."""
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder
