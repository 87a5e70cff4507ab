from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcasearch.data.augment import resize
from dcasearch.errors import UserError
from dcasearch.interpretation import grad_cam
from dcasearch.interpretation.looking import Picture, look, network_input, read_pictures
from dcasearch.interpretation.subjects import load_subjects


def noise(height: int, width: int, seed: int = 0) -> Picture:
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)
    return Picture(f"noise{seed}", pixels)


def test_files_are_read_upright_and_named_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned by a quarter
        Image.fromarray(noise(20, 30).pixels).save(tmp_path / folder / "x.png", exif=exif)
    pictures = read_pictures([tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"])
    assert [picture.name for picture in pictures] == ["1-x", "2-x"]
    assert [picture.size for picture in pictures] == [(30, 20)] * 2
    (tmp_path / "no.png").write_text("no image")
    with pytest.raises(UserError, match=r"no\.png cannot be read"):
        read_pictures([tmp_path / "no.png"])


def test_a_picture_is_resized_whole_and_normalised_by_the_spec(specs: dict[str, Path]) -> None:
    (subject,) = load_subjects([specs["plain"]])
    picture = noise(40, 60)
    (found,) = network_input([picture], subject)
    pixels = resize(torch.tensor(picture.pixels).permute(2, 0, 1)[None].float(), 32)[0] / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in subject.normalization)
    torch.testing.assert_close(found, (pixels - mean) / std, rtol=1e-5, atol=1e-5)


def test_every_picture_is_looked_at_in_order(specs: dict[str, Path]) -> None:
    (subject,) = load_subjects([specs["connected"]])
    pictures = [noise(32, 32, seed) for seed in range(35)]
    looks = list(look(subject, pictures))
    assert [each.picture.name for each in looks] == [picture.name for picture in pictures]
    inputs = network_input([pictures[34]], subject)
    logits = subject.model(inputs)[0].detach()
    assert looks[34].predicted == looks[34].target == int(logits.argmax())
    assert looks[34].probability == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
    for stage, map_ in grad_cam(subject.model, inputs).items():
        torch.testing.assert_close(looks[34].maps[stage], map_[0], rtol=1e-3, atol=1e-6)


def test_a_class_can_be_asked_for(specs: dict[str, Path]) -> None:
    (subject,) = load_subjects([specs["plain"]])
    (found,) = look(subject, [noise(32, 32)], "star")
    assert subject.class_name(found.target) == "star"
    expected = grad_cam(subject.model, network_input([noise(32, 32)], subject), torch.tensor([found.target]))
    assert all(torch.equal(map_, expected[stage][0]) for stage, map_ in found.maps.items())


def test_an_empty_map_is_said_and_stays_zero(specs: dict[str, Path]) -> None:
    (subject,) = load_subjects([specs["plain"]])
    (found,) = look(subject, [noise(32, 32)])
    maps = {"stage1": torch.zeros(4, 4), "stage2": torch.ones(1, 1), "stage3": torch.eye(2)}
    blank = type(found)(**{**vars(found), "maps": maps})
    assert blank.empty == {"stage1": "zero everywhere", "stage2": "equal everywhere"}
    assert not blank.scaled("stage1", (8, 8)).any()
    assert (blank.scaled("stage3", (8, 6)).min(), blank.scaled("stage3", (8, 6)).max()) == (0, 1)
    assert np.isfinite(blank.scaled("stage2", (8, 8))).all()
