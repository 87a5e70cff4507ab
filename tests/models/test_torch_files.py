"""Files of `torch.save` from strangers: tensors alone, and no more memory than the file has bytes."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest
import torch

from dcasearch.models.torch_files import Inflated, load_tensors


def saved(value: object) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def test_tensors_come_back() -> None:
    assert torch.equal(load_tensors(saved({"a": torch.arange(4)}))["a"], torch.arange(4))


def test_a_file_whose_parts_are_compressed_is_refused_before_it_is_unpacked() -> None:
    written = io.BytesIO()
    good = io.BytesIO(saved({"a": torch.zeros(1000)}))
    with zipfile.ZipFile(good) as parts, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in parts.namelist():
            bomb.writestr(name, b"\0" * 5_000_000 if name.endswith("data/0") else parts.read(name))
    with pytest.raises(Inflated, match=r"its parts are compressed, 5,\d+,\d+ bytes in a file of \d"):
        load_tensors(written.getvalue())


def test_what_would_run_code_is_refused() -> None:
    class Command:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("code of the file",)

    with pytest.raises(pickle.UnpicklingError):
        load_tensors(saved({"a": Command()}))
