from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.study import Study
from dcasearch.space import LoadedStudy, load_study
from tests.space.test_loaded_study import SPACE, mistakes, write_study

HALF: dict[str, Any] = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "crop": 0.9,
}
PROBE: dict[str, Any] = {"seed": 0, "images": 1, "logits": [[1.0]], "norms": [1.0], "resolution": 32}
CONTENT = b"nothing reads it here"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.pth"
    path.write_bytes(CONTENT)
    return path


def started(folder: Path, file: Path | str, *, study: dict[str, Any] | None = None, **said: Any) -> Path:
    level = {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 2, "initialize": {"weights": str(file), **said}}
    return write_study(folder, **{"fidelities": [level], **(study or {})})


def test_the_file_is_named_for_good_by_its_sha256_and_its_place(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = load_study(started(tmp_path, "w.pth", **HALF)).study.fidelities[0].initialize
    assert (start.name, start.weights, start.sha256) == ("weights", str(file), hashlib.sha256(CONTENT).hexdigest())


def preprocessing(loaded: LoadedStudy) -> DataPreprocessing | None:
    return loaded.study.data.preprocessing


def test_the_parents_preprocessing_becomes_the_studys(tmp_path: Path, file: Path) -> None:
    loaded = load_study(started(tmp_path, file, **HALF))
    assert preprocessing(loaded) == DataPreprocessing.model_validate(HALF)
    assert loaded.notes == ()


def test_the_preprocessing_may_come_from_the_probe_beside_the_file(tmp_path: Path, file: Path) -> None:
    file.with_name("w.pth.probe.json").write_text(json.dumps({**PROBE, "preprocessing": HALF}))
    assert preprocessing(load_study(started(tmp_path, file))) == DataPreprocessing.model_validate(HALF)


def test_a_bare_file_leaves_the_data_sets_own_and_the_study_says_which(tmp_path: Path, file: Path) -> None:
    loaded = load_study(started(tmp_path, file))
    assert preprocessing(loaded) is None
    [note] = loaded.notes
    assert "w.pth does not say how its images were prepared; the data set's own mean and std are taken" in note


def test_what_the_yaml_says_of_a_bare_file_counts_and_the_rest_is_warned_of(tmp_path: Path, file: Path) -> None:
    loaded = load_study(started(tmp_path, file, interpolation="bicubic"))
    assert preprocessing(loaded) == DataPreprocessing(interpolation="bicubic")
    assert len(loaded.notes) == 1


def test_a_study_without_weights_is_as_it_was(tmp_path: Path) -> None:
    loaded = load_study(write_study(tmp_path))
    assert preprocessing(loaded) is None
    assert loaded.study.fidelities[0].initialize.weights is None


def test_a_contradiction_between_data_and_weights_is_an_error_at_its_line(tmp_path: Path, file: Path) -> None:
    data = {"name": "digits", "preprocessing": {"mean": [0.1, 0.1, 0.1], "std": [0.5, 0.5, 0.5]}}
    [said] = mistakes(started(tmp_path, file, study={"data": data}, **HALF))
    assert said.startswith("data.preprocessing.mean: (0.1, 0.1, 0.1) contradicts ")
    assert "w.pth, whose images had (0.5, 0.5, 0.5)" in said


def test_data_that_says_what_the_weights_say_is_fine(tmp_path: Path, file: Path) -> None:
    data = {"name": "digits", "preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    loaded = load_study(started(tmp_path, file, study={"data": data}, **HALF))
    assert preprocessing(loaded) == DataPreprocessing.model_validate(HALF)


def test_data_may_say_what_a_bare_file_does_not(tmp_path: Path, file: Path) -> None:
    half = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    study = {"data": {"name": "digits", "preprocessing": half}}
    loaded = load_study(started(tmp_path, file, study=study, crop=1.0))
    assert preprocessing(loaded) == DataPreprocessing.model_validate({**half, "crop": 1.0})
    assert loaded.notes == ()


def test_a_contradiction_between_the_yaml_and_the_files_own_probe_is_an_error(tmp_path: Path, file: Path) -> None:
    file.with_name("w.pth.probe.json").write_text(json.dumps({**PROBE, "preprocessing": HALF}))
    [said] = mistakes(started(tmp_path, file, crop=0.5))
    assert said.startswith("fidelities.0.initialize.crop: ")
    assert said.endswith("w.pth says crop 0.9 itself, not 0.5")


def test_two_fidelities_that_want_other_images_are_an_error(tmp_path: Path, file: Path) -> None:
    levels = [
        {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 2, "initialize": {"weights": str(file), **HALF}},
        {
            "name": "full",
            "promote": {"top": 1},
            "resolution": 16,
            "epochs": 4,
            "initialize": {"weights": str(file), **HALF, "crop": 1.0},
        },
    ]
    [said] = mistakes(write_study(tmp_path, fidelities=levels))
    assert said.startswith("fidelities.1.initialize.weights: ")
    assert "a study prepares its images in one way" in said


def test_another_file_than_the_sha256_names_is_an_error(tmp_path: Path, file: Path) -> None:
    [said] = mistakes(started(tmp_path, file, sha256="ab" * 32, **HALF))
    assert said.startswith("fidelities.0.initialize.sha256: ")
    assert f"its SHA-256 is {hashlib.sha256(CONTENT).hexdigest()}, not {'ab' * 32}" in said


@pytest.mark.parametrize("said", [{"mean": [0.5, 0.5, 0.5]}, {"std": [0.5, 0.5, 0.5]}])
def test_mean_and_std_belong_together(tmp_path: Path, file: Path, said: dict[str, Any]) -> None:
    assert mistakes(started(tmp_path, file, **said)) == [
        "fidelities.0.initialize: mean and std belong together: give both"
    ]


def test_a_file_that_is_missing_is_no_mistake_of_the_yaml(tmp_path: Path) -> None:
    start = load_study(started(tmp_path, tmp_path / "none.pth", **HALF)).study.fidelities[0].initialize
    assert start.sha256 is None


def test_of_a_spec_that_is_missing_nobody_asks_how_its_images_were_prepared(tmp_path: Path) -> None:
    loaded = load_study(started(tmp_path, tmp_path / "none.yaml"))
    assert loaded.study.fidelities[0].initialize.sha256 is None
    assert loaded.notes == ()


def test_a_vanilla_parent_may_start_from_the_weights(tmp_path: Path, file: Path) -> None:
    space = {**SPACE, "connections": {"dimensions": {"channel": [True, False]}}}
    level = load_study(started(tmp_path, file, study={"space": space}, name="vanilla", **HALF)).study.fidelities[0]
    assert level.parent is not None
    assert (level.parent.initialize.name, level.parent.initialize.weights) == ("weights", str(file))
    assert level.parent.initialize.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_space_with_too_many_parents_starts_from_the_weights_alone(tmp_path: Path, file: Path) -> None:
    space = {**SPACE, "connections": {"dimensions": {"channel": [True, False]}}}
    loaded = load_study(started(tmp_path, file, study={"space": space}, name="vanilla", max_parents=1, **HALF))
    assert loaded.study.fidelities[0].initialize.name == "weights"
    assert "are trained from the weights file alone, 4 epochs each" in loaded.notes[0]


def test_a_resolved_study_is_read_back_as_it_is(tmp_path: Path, file: Path) -> None:
    study = load_study(started(tmp_path, file, **HALF)).study
    assert Study.model_validate_json(study.model_dump_json()) == study
