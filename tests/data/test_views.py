from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from dcasearch.config.recipe import Augmentation
from dcasearch.data.images import decode
from dcasearch.data.views import Transform, evaluation_transform, reduction_for, training_transform


def photo(width: int, height: int) -> Image.Image:
    """A JPEG of smooth shapes, not decoded yet: what a resize keeps of it is known whatever it goes through."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(x / (19 + n)) * np.cos(y / (23 + n)) for n in range(3)]
    file = BytesIO()
    Image.fromarray(np.stack(waves, 2).astype(np.uint8)).save(file, "jpeg", quality=95)
    return Image.open(file)


def seen(transform: Transform, image: Image.Image, *, seed: int = 0, reduce: bool = True) -> torch.Tensor:
    torch.manual_seed(seed)
    view = transform.look(image)
    return view(decode(image, view.reduction if reduce else 1)).float()


def test_evaluation_takes_the_centre_of_the_image_at_256_to_224() -> None:
    columns = np.broadcast_to(np.arange(512, dtype=np.uint16)[None, :, None] // 2, (256, 512, 3)).astype(np.uint8)
    picture = Image.fromarray(columns)
    pixels = evaluation_transform(224).look(picture)(picture)
    assert pixels.shape == (3, 224, 224)
    # Columns 144 to 367 of 512 are left.
    assert (int(pixels[0, 0, 0]), int(pixels[0, 0, -1])) == (72, 183)


@pytest.mark.parametrize(("crop", "zeros"), [("none", False), ("pad", True), ("random_resized", False)])
@pytest.mark.parametrize("prepared", [False, True])
def test_each_crop_gives_the_resolution(crop: str, zeros: bool, prepared: bool) -> None:
    transform = training_transform(16, Augmentation(crop=crop, flip=False))
    white = torch.full((3, 30, 30), 255, dtype=torch.uint8) if prepared else Image.new("RGB", (40, 30), "white")
    crops = torch.stack([transform.look(white)(white) for _ in range(20)])
    assert crops.shape == (20, 3, 16, 16)
    assert bool((crops == 0).any()) == zeros


@pytest.mark.parametrize(("size", "wants", "expected"), [
    ((500, 375), 128, 2), ((500, 375), 188, 1), ((256, 300), 128, 2), ((255, 300), 128, 1), ((512, 512), 64, 8),
    ((4000, 3000), 64, 8), ((100, 100), 128, 1),
])  # fmt: skip
def test_an_image_is_decoded_as_small_as_still_holds_the_pixels_that_are_wanted(
    size: tuple[int, int], wants: int, expected: int
) -> None:
    assert reduction_for(size, wants) == expected


def test_a_random_crop_is_decoded_as_small_as_the_crop_allows_and_not_the_image() -> None:
    transform = training_transform(64, Augmentation())
    reductions = set()
    for _ in range(200):
        view = transform.look(Image.new("RGB", (500, 375)))
        assert min(view.width, view.height) >= view.reduction * 64 or view.reduction == 1  # type: ignore[attr-defined]  # of this view
        reductions.add(view.reduction)
    assert reductions == {1, 2, 4}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(500, 375), (333, 501)])
@pytest.mark.parametrize("training", [True, False])
def test_a_jpeg_that_is_decoded_smaller_shows_the_same(seed: int, size: tuple[int, int], training: bool) -> None:
    transform = training_transform(32, Augmentation()) if training else evaluation_transform(32)
    small, whole = (seen(transform, photo(*size), seed=seed, reduce=reduce) for reduce in (True, False))
    other = seen(training_transform(32, Augmentation()), photo(*size), seed=seed + 100)
    assert (small - whole).abs().mean() < 6 < (other - whole).abs().mean()


@pytest.mark.parametrize("size", [(501, 377), (333, 503), (1031, 769)])
def test_the_exact_box_of_a_smaller_decoding_shows_the_whole_image(size: tuple[int, int]) -> None:
    """A JPEG that is decoded at an eighth has a last column that covers less than eight of the image's."""

    def off(*, exact: bool) -> float:
        transform = training_transform(32, Augmentation(crop="none", flip=False), exact=exact)
        small, whole = (seen(transform, photo(*size), reduce=reduce) for reduce in (True, False))
        return float((small - whole).pow(2).mean())

    assert off(exact=True) < off(exact=False) / 2


def test_without_a_smaller_decoding_crops_are_torchvisions() -> None:
    image = photo(100, 80)
    expected = v2.Compose([v2.RandomResizedCrop(96, (0.1, 1.0), (0.8, 1.25), antialias=True), v2.PILToTensor()])
    torch.manual_seed(3)
    ours = seen(training_transform(96, Augmentation(area=(0.1, 1.0), aspect=(0.8, 1.25))), image, seed=3)
    torch.manual_seed(3)
    assert torch.equal(ours, expected(photo(100, 80).convert("RGB")).float())


@pytest.mark.parametrize("seed", range(5))
def test_crops_of_prepared_pixels_are_torchvisions(seed: int) -> None:
    pixels = torch.randint(0, 256, (60, 60, 3), dtype=torch.uint8).permute(2, 0, 1)
    torch.manual_seed(seed)
    ours = training_transform(32, Augmentation()).look(pixels)(pixels)
    torch.manual_seed(seed)
    assert torch.equal(ours, v2.RandomResizedCrop(32, antialias=True)(pixels))


def test_an_image_of_another_format_is_decoded_whole() -> None:
    file = BytesIO()
    photo(500, 400).save(file, "png")
    transform = training_transform(32, Augmentation())
    image = Image.open(file)
    torch.manual_seed(0)
    view = transform.look(image)
    assert view.reduction > 1
    decoded = decode(image, view.reduction)
    assert decoded.size == (500, 400)
    assert view(decoded).shape == (3, 32, 32)
