"""Exported specs and weights of any content: loaded, or refused by a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.errors import UserError
from dcasearch.export import load_model, load_spec
from dcasearch.models import build_model
from dcasearch.models.weight_files import parse_weights
from dcasearch.training.checkpoint import read_checkpoint
from dcasearch.training.weights import save_weights
from tests.export.conftest import ARCHITECTURE, Trained, exporter, trained
from tests.fuzz.damage import broken, damaged, thousand
from tests.fuzz.measured import refused_by

__all__ = ["trained"]  # a fixture of the exports
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def spec(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported spec with its weights beside it."""
    folder = tmp_path_factory.mktemp("exported")
    exporter(trained, folder)()
    return folder / "best.yaml"


@thousand
@given(data=st.data())
def test_a_spec_of_any_content_is_read_or_refused(data: st.DataObject, spec: Path, folder: Path) -> None:
    text = spec.read_bytes()
    dumped = broken(yaml.safe_load(text)).map(lambda one: yaml.safe_dump(one).encode("utf-8", "surrogatepass"))
    path = folder / "hostile.yaml"
    path.write_bytes(data.draw(st.one_of(st.binary(max_size=200), damaged(text), dumped)))
    refused_by(UserError, lambda: load_spec(path))


@thousand
@given(data=st.data())
def test_weights_of_any_content_are_loaded_or_refused(data: st.DataObject, folder: Path) -> None:
    path = folder / "small.safetensors"
    if not path.exists():
        save_weights(build_model(ARCHITECTURE, 10), path)
    content = data.draw(st.one_of(st.binary(max_size=200), damaged(path.read_bytes())))
    refused_by(UserError, lambda: parse_weights(content, "the file"))


@thousand
@given(data=st.data())
def test_a_checkpoint_of_any_content_is_set_aside_and_named(data: st.DataObject, spec: Path, folder: Path) -> None:
    weights = (spec.parent / "best.safetensors").read_bytes()[:4096]
    path = folder / f"{'a' * 16}.pt"
    path.write_bytes(data.draw(st.one_of(st.binary(min_size=1, max_size=400), damaged(weights), damaged(PICKLE))))
    assert read_checkpoint(path) is None
    assert not path.exists()


PICKLE = b"\x80\x02cposix\nsystem\nX\x0b\x00\x00\x00touch owned.\x85R."
"""Would run a command where it is unpickled without care."""


def test_the_good_ones_are_loaded(spec: Path) -> None:
    assert load_model(spec).training is False
