"""What `check` and `run` say of a study's weights files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch.analysis.data import described
from dcasearch.analysis.starts import check_starts, fetched, store_starts
from dcasearch.config.starts import Origin
from dcasearch.errors import ConfigError, UserError
from dcasearch.models import build_model
from dcasearch.models.probe import ask
from dcasearch.space import LoadedStudy, load_study
from tests.models.weights import SMALL, safe, values_of

WriteStudy = Callable[..., Path]
SPACE: dict[str, Any] = {
    "backbone": SMALL,
    "attention": {"name": "se"},
    "connections": {"topology": ["chain", "dense"]},
}
SIDE = 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    path.write_bytes(safe(values_of()))
    return path


@pytest.fixture
def study(write_study: WriteStudy, file: Path) -> Callable[..., LoadedStudy]:
    def load(weights: Path | str = file, space: dict[str, Any] = SPACE, **said: Any) -> LoadedStudy:
        level = {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 2}
        start = {"name": "weights", "weights": str(weights), **said}
        return load_study(write_study(space=space, fidelities=[{**level, "initialize": start}]))

    return load


def lines(loaded: LoadedStudy, *, data: bool = True) -> list[str]:
    return [line for start in check_starts(loaded, described(loaded) if data else None) for line in start.lines]


def test_what_becomes_of_a_file_is_said(study: Callable[..., LoadedStudy], file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert lines(study()) == [
        f"{file}: 0.5 MB, SHA-256 {digest[:16]}…",
        f"mobilenet_v2 takes {len(values_of())} tensors; attention and connections are drawn",
        "the classifier is drawn: 20 classes in the file, 10 in the data",
        "no probe: nothing shows that mobilenet_v2 computes what the weights were trained with",
    ]


def test_without_the_data_nobody_knows_what_becomes_of_the_classifier(study: Callable[..., LoadedStudy]) -> None:
    assert "the file's classifier has 20 classes: it is kept where the data has as many" in lines(study(), data=False)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (None, "the classifier is kept: the file and the data have 10 classes"),
        (list("abcdefghij"), "the classifier is drawn: the 10 classes of the file have other names"),
    ],
    ids=["unknown", "others"],
)
def test_a_classifier_of_as_many_classes_is_kept_unless_they_are_others(
    study: Callable[..., LoadedStudy], file: Path, names: list[str] | None, said: str
) -> None:
    file.write_bytes(safe(values_of(classes=10)))
    assert said in lines(study(**({} if names is None else {"class_names": names})))


def test_another_networks_file_is_an_error_at_its_line(study: Callable[..., LoadedStudy]) -> None:
    loaded = study(space={**SPACE, "backbone": {"name": "resnet18", "width": 0.125}})
    with pytest.raises(ConfigError) as refused:
        check_starts(loaded, None)
    [problem] = refused.value.problems
    assert problem.line > 1
    assert problem.message.startswith("fidelities.0.initialize.weights: resnet18: ")
    assert "w.safetensors is another network's: " in problem.message


def test_a_file_that_is_not_here_is_said_and_needed_to_run(study: Callable[..., LoadedStudy], tmp_path: Path) -> None:
    loaded = study(tmp_path / "none.pth")
    [start] = check_starts(loaded, None)
    assert start.missing
    assert "there is no file" in start.lines[0]
    with pytest.raises(ConfigError, match=r"study\.yaml:\d+:\d+: fidelities\.0\.initialize\.weights: there is no file"):
        check_starts(loaded, described(loaded))
    with pytest.raises(UserError, match="there is no file"):
        fetched(loaded)


def write_probe(file: Path, seed: int) -> None:
    model = build_model({"backbone": SMALL}, 20, seed=seed)
    probe = {**ask(model, SIDE).model_dump(), "resolution": SIDE}
    file.with_name(file.name + ".probe.json").write_text(json.dumps(probe))


def test_a_probe_that_is_met_is_said(study: Callable[..., LoadedStudy], file: Path) -> None:
    write_probe(file, seed=5)
    assert lines(study())[-1] == "mobilenet_v2 answers as the probe says (off by 0.0e+00 of the largest logit)"


def test_a_probe_that_is_missed_is_an_error_that_says_by_how_much(
    study: Callable[..., LoadedStudy], file: Path
) -> None:
    write_probe(file, seed=6)
    with pytest.raises(ConfigError, match=r"still is another network: it is off the probe by \d.*, 0.0001 is allowed"):
        check_starts(study(), None)


def test_the_file_is_stored_by_its_sha256(study: Callable[..., LoadedStudy], file: Path, tmp_path: Path) -> None:
    store_starts(fetched(study()), tmp_path / "store")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (tmp_path / "store" / "starts" / digest).read_bytes() == file.read_bytes()


def test_a_file_that_changes_after_the_study_was_read_is_an_error(
    study: Callable[..., LoadedStudy], file: Path
) -> None:
    loaded = study()
    file.write_bytes(safe(values_of(seed=6)))
    with pytest.raises(UserError, match="is another file than before: its SHA-256 is"):
        fetched(loaded)


def test_a_librarys_weights_are_fetched_by_the_run_alone(
    study: Callable[..., LoadedStudy], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetches: list[str] = []
    there: list[Path] = []

    def published(name: str) -> Origin:
        found = there[0] if there else None
        return Origin(words=name, file=found, missing="" if found else "not here, 14 MB", fetch=not there)

    def fetch(name: str) -> Path:
        fetches.append(name)
        there.append(file)
        return file

    monkeypatch.setattr("dcasearch.models.published.published", published)
    monkeypatch.setattr("dcasearch.analysis.starts.fetch", fetch)
    loaded = study("torchvision/mobilenet_v2.IMAGENET1K_V1")
    [start] = check_starts(loaded, None)
    assert (start.missing, start.lines, fetches) == (True, ("not here, 14 MB",), [])
    ready = fetched(loaded)
    assert fetches == ["torchvision/mobilenet_v2.IMAGENET1K_V1"]
    assert ready.study.fidelities[0].initialize.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    said = lines(ready)
    assert said[0].startswith("torchvision/mobilenet_v2.IMAGENET1K_V1: 0.5 MB, SHA-256 ")
    assert said[-1] == "the library publishes these weights for mobilenet_v2 itself"


def test_a_study_without_weights_says_nothing(write_study: WriteStudy) -> None:
    loaded = load_study(write_study())
    assert check_starts(loaded, None) == ()
    assert fetched(loaded).study == loaded.study
