from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.interpretation.subjects import load_subjects, names_of, words_of
from dcasearch.models import DCANet
from tests.interpretation.conftest import NETWORKS, TINY


def test_a_spec_is_loaded_with_its_weights_and_its_own_normalisation(specs: dict[str, Path]) -> None:
    plain, connected = load_subjects(list(specs.values()))
    assert [subject.name for subject in (plain, connected)] == ["plain", "connected"]
    assert isinstance(plain.model, DCANet)
    assert not plain.model.training
    assert plain.resolution == 32
    assert load_subjects([specs["plain"]], 48)[0].resolution == 48
    assert plain.spec.preprocessing is not None
    assert plain.normalization == (plain.spec.preprocessing.mean, plain.spec.preprocessing.std)
    assert plain.normalization[0] != (0.485, 0.456, 0.406)


def test_a_spec_without_its_weights_is_an_error(specs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(specs["plain"], tmp_path / "alone.yaml")
    with pytest.raises(UserError, match="is missing: the weights lie beside"):
        load_subjects([tmp_path / "alone.yaml"])


def test_a_class_is_found_by_name_and_by_number(specs: dict[str, Path]) -> None:
    (subject,) = load_subjects([specs["plain"]])
    assert subject.class_number("ring") == 4
    assert subject.class_number("7") == 7
    assert subject.class_name(4) == "ring"
    for wanted, said in (("rang", "did you mean 'ring'"), ("8", "has 8"), ("-1", "is no class")):
        with pytest.raises(UserError, match=said):
            subject.class_number(wanted)


def test_words_say_what_a_network_is() -> None:
    def words(**written: object) -> str:
        return words_of(Architecture.parse({"backbone": TINY, **written}).network)

    assert words() == "plain resnet18"
    assert words(attention={"name": "se"}) == "vanilla se"
    assert words(attention={"name": "se"}, stage_attention={"name": "bam"}) == "vanilla bam+se"
    assert words_of(Architecture.parse(NETWORKS["connected"]).network) == "connected cbam (spatial)"


def test_names_of_files_differ() -> None:
    assert names_of([Path("a/x.yaml"), Path("b/y.yaml")]) == ["x", "y"]
    assert names_of([Path("a/model.yaml"), Path("b/model.yaml")]) == ["a", "b"]
    assert names_of([Path("a/model.yaml")]) == ["a"]
    assert names_of([Path("a/model.yaml"), Path("b/best.yaml")]) == ["a", "best"]
    assert names_of([Path("a/model.yaml"), Path("a/model.yaml")]) == ["1-a", "2-a"]


def test_the_weights_are_those_of_the_file(specs: dict[str, Path]) -> None:
    one, again, other = load_subjects([specs["plain"], specs["plain"], specs["connected"]])
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one.model(batch), again.model(batch))
    assert not torch.equal(one.model(batch), other.model(batch))
