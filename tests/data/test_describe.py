from pathlib import Path

from dcasearch.config.data_set import Data
from dcasearch.data import describe
from tests.data.support import write_folder


def test_digits_are_described() -> None:
    info = describe(Data(name="digits"))
    assert (info.classes, info.channels) == (10, 3)
    assert (info.train_images, info.validation_images, info.test_images) == (1294, 144, 359)


def test_the_paper_protocol_counts_all_of_train() -> None:
    info = describe(Data(name="digits", protocol="paper"))
    assert (info.train_images, info.validation_images, info.test_images) == (1438, 359, 359)


def test_the_fingerprint_covers_the_split_and_nothing_that_does_not_change_the_images() -> None:
    usual = describe(Data(name="digits")).fingerprint
    assert describe(Data(name="digits", workers=7, max_corrupt=0.5, protocol="paper")).fingerprint == usual
    assert describe(Data(name="digits", split_seed=1)).fingerprint != usual
    assert describe(Data(name="digits", validation_fraction=0.2)).fingerprint != usual


def test_equal_files_under_another_name_are_other_data(tmp_path: Path) -> None:
    write_folder(tmp_path)
    first, other = (describe(Data(name=name, root=str(tmp_path))) for name in ("cifar10", "imagefolder"))
    assert first.fingerprint != other.fingerprint


def test_describing_decodes_no_image_and_writes_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    for image in (tmp_path / "data" / "train").rglob("*.jpg"):
        image.write_bytes(b"broken")
    info = describe(Data(name="cifar10", root=str(tmp_path / "data")))
    assert info.train_images + info.validation_images == 18
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
