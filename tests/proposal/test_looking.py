from __future__ import annotations

from pathlib import Path

from PIL import Image

from dcasearch.proposal.looking import look, paths_of
from dcasearch.proposal.source import data_of
from tests.proposal.conftest import picture, write_pictures


def test_counts_sizes_and_what_cannot_be_read_are_seen(photos: Path) -> None:
    (photos / "dog" / "empty.jpg").write_bytes(b"")
    picture(50, side=40).save(photos / "dog" / "small.png")
    (photos / "dog" / "notes.txt").write_text("x")
    told: list[tuple[int, int]] = []
    looked = look(data_of(photos), lambda done, total: told.append((done, total)))
    assert looked.counts == {"cat": 18, "dog": 14}
    assert (looked.images, looked.decoded) == (32, 32)
    assert looked.sides == (40, 70, 70)
    assert [Path(path).name for path in looked.unreadable] == ["empty.jpg"]
    assert looked.copies == ()
    assert any("notes.txt" in note for note in looked.notes)
    assert told[-1] == (32, 32)
    assert looked.decode_seconds > 0


def test_near_copies_are_grouped_and_wrong_labels_among_them_counted(photos: Path) -> None:
    Image.open(photos / "cat" / "003.jpg").save(photos / "cat" / "copy.png")
    Image.open(photos / "dog" / "004.jpg").save(photos / "cat" / "wrong.png")
    looked = look(data_of(photos))
    assert [[Path(path).name for path in group] for group in looked.copies] == [
        ["003.jpg", "copy.png"],
        ["wrong.png", "004.jpg"],
    ]
    assert looked.contradicting == (looked.copies[1],)
    assert looked.torn == 0  # in one piece there are no parts yet


def test_copies_across_parts_are_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", {"cat": 5, "dog": 5})
    write_pictures(tmp_path / "test", {"cat": 3, "dog": 3}, first=100)
    Image.open(tmp_path / "train" / "cat" / "001.jpg").save(tmp_path / "test" / "cat" / "again.png")
    looked = look(data_of(tmp_path))
    assert looked.parts == {"train": 10, "val": 7}
    assert looked.torn == 1


def test_of_a_large_set_a_random_part_is_decoded_always_the_same(photos: Path) -> None:
    some = [look(data_of(photos), most=10) for _ in range(2)]
    assert [looked.decoded for looked in some] == [10, 10]
    assert some[0].images == 30
    assert some[0].sides == some[1].sides


def test_every_image_is_listed_once_with_its_class(photos: Path) -> None:
    listed = list(paths_of(data_of(photos)))
    assert len(listed) == 30
    assert {label for _, label in listed} == {"cat", "dog"}
