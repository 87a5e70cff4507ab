import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dcasearch.data import cache
from dcasearch.data.cache import cached
from dcasearch.data.sets import Pixels
from dcasearch.errors import StorageError

PIXELS = Pixels(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2), {1: ("b.jpg", "cut off")})


def refuse() -> Pixels:
    raise AssertionError("decoded again")


def test_images_are_decoded_once(tmp_path: Path) -> None:
    first = cached(tmp_path / "set" / "train", lambda: PIXELS)
    again = cached(tmp_path / "set" / "train", refuse)
    for pixels in (first, again):
        np.testing.assert_array_equal(pixels.array, PIXELS.array)
        assert pixels.unreadable == PIXELS.unreadable
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [".train.lock", "train"]


def test_of_two_processes_one_decodes_and_the_other_waits(tmp_path: Path) -> None:
    decoding, decoded = threading.Event(), list[str]()

    def slowly() -> Pixels:
        decoding.set()
        time.sleep(0.2)
        decoded.append("here")
        return PIXELS

    first = threading.Thread(target=cached, args=(tmp_path / "train", slowly))
    first.start()
    assert decoding.wait(10)
    np.testing.assert_array_equal(cached(tmp_path / "train", refuse).array, PIXELS.array)
    assert decoded == ["here"]
    first.join()


def test_a_process_that_dies_while_it_writes_leaves_no_half_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache.np, "save", die)
        with pytest.raises(KeyboardInterrupt):
            cached(tmp_path / "train", lambda: PIXELS)
    np.testing.assert_array_equal(cached(tmp_path / "train", lambda: PIXELS).array, PIXELS.array)


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot keep decoded images"):
        cached(tmp_path / "file" / "train", lambda: PIXELS)
