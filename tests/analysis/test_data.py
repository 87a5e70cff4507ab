from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.analysis.data import advice, dangers, described, proposed_size
from dcasearch.data.preparing import prepare
from dcasearch.errors import ConfigError, DataError
from dcasearch.space import load_study
from tests.data.support import write_folder

WriteStudy = Callable[..., Path]
PROXY: dict[str, Any] = {"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 1}, "resolution": 32, "epochs": 2}


def test_a_resolution_above_the_prepared_size_is_told_where_it_stands(write_study: WriteStudy, tmp_path: Path) -> None:
    prepare(write_folder(tmp_path / "images"), tmp_path / "out", size=24, workers=0, max_corrupt=0)
    data = {"name": "imagefolder", "root": str(tmp_path / "out")}
    study = write_study(data=data, fidelities=[PROXY, FULL])
    line = next(n for n, text in enumerate(study.read_text().splitlines(), 1) if "resolution: 32" in text)
    with pytest.raises(ConfigError) as refused:
        described(load_study(study))
    assert str(refused.value) == (
        f"{study}:{line}:15: fidelities.1.resolution: 32 is above the 24 pixels that the data was prepared at; "
        "prepare it with --size 40, or give data.root the original images"
    )
    assert described(load_study(write_study(data=data, fidelities=[PROXY]))).prepared == 24


def test_a_class_that_is_not_there_is_told_where_it_stands(write_study: WriteStudy) -> None:
    study = write_study(data={"name": "digits", "classes": ["1", "11"]})
    line = next(n for n, text in enumerate(study.read_text().splitlines(), 1) if "'11'" in text)
    with pytest.raises(ConfigError, match=rf"study\.yaml:{line}:5: data\.classes\.1: '11' is no class"):
        described(load_study(study))


def test_every_path_of_a_user_without_a_home_is_told_where_it_stands(write_study: WriteStudy) -> None:
    data = {"name": "imagefolder", "root": "~nosuchuser/x", "stage": "~nosuchuser/y", "scratch": "~nosuchuser/z"}
    with pytest.raises(ConfigError) as refused:
        described(load_study(write_study(data=data)))
    told = str(refused.value).splitlines()
    assert [line.split(": ")[1] for line in told] == ["data.root", "data.scratch", "data.stage"]
    assert "study.yaml:" in told[0]
    assert told[0].endswith("~nosuchuser/x: no home folder is known for ~nosuchuser; write the whole path")


def test_data_that_is_missing_is_no_mistake_of_the_yaml(write_study: WriteStudy) -> None:
    with pytest.raises(DataError, match="nowhere"):
        described(load_study(write_study(data={"name": "imagefolder", "root": "nowhere"})))


def test_the_advice_is_to_prepare_what_is_decoded_every_epoch_and_nothing_else(
    write_study: WriteStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(root: Path) -> str | None:
        loaded = load_study(write_study(data={"name": "imagefolder", "root": str(root)}, fidelities=[PROXY]))
        return advice(loaded, described(loaded))

    root = write_folder(tmp_path / "images")
    prepare(root, tmp_path / "out", size=24, workers=0, max_corrupt=0)
    hint = said(root)
    assert hint is not None
    assert f"`dcasearch data prepare {tmp_path / 'study.yaml'} --out DIR` decodes them once, at 16 pixels" in hint
    assert "Then `data: {name: imagefolder, root: DIR}` reads them" in hint
    assert said(tmp_path / "out") is None
    some = load_study(write_study(data={"name": "imagefolder", "root": str(root), "classes": 2}, fidelities=[PROXY]))
    assert described(some).encoded == 18
    monkeypatch.setattr("dcasearch.analysis.data.size_for", lambda study: 20_000)
    assert "(32.4 GB)" in (advice(some, described(some)) or ""), "all 27 images are prepared"
    digits = load_study(write_study())
    assert advice(digits, described(digits)) is None


@pytest.mark.parametrize(("resolution", "size"), [(128, 144), (224, 256), (160, 184), (112, 128), (32, 40), (7, 8)])
def test_the_proposed_size_is_about_eight_sevenths_of_the_resolution(resolution: int, size: int) -> None:
    assert proposed_size(resolution) == size


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "ranks", "told"), [(1, 1, 1, True), (2, 1, 1, False), (4, 4, 1, True), (4, 1, 4, True)]
)
def test_a_training_batch_of_one_image_is_told_before_any_trial(
    write_study: WriteStudy, batch_size: int, accumulate: int, ranks: int, told: bool
) -> None:
    recipe = {"batch_size": batch_size, "accumulate": accumulate}
    executor = {"name": "ray", "resources": {"proxy": {"cpu": ranks, "ranks": ranks}}}
    loaded = load_study(write_study(fidelities=[{**PROXY, "recipe": recipe}], executor=executor))
    assert [note.startswith("proxy: a training batch of one") for note in dangers(loaded.study, described(loaded))] == (
        [True] if told else []
    )


DETECTING: dict[str, Any] = {
    "task": "detection",
    "data": {"name": "shapes_boxes"},
    "detector": {"name": "retinanet"},
    "space": {"backbone": {"name": "resnet18", "width": 0.25}, "attention": {"name": "se"}, "connections": {}},
    "objectives": {"ap": "maximize"},
}
CUT: dict[str, Any] = {**PROXY, "recipe": {"augmentation": {"crop": "none"}}}


@pytest.mark.parametrize(
    ("changes", "fidelity", "said"),
    [
        ({"objectives": {"ap_large": "maximize"}}, {}, "objectives.ap_large: ap_large cannot be measured: the valid"),
        ({}, {"pruner": {"name": "median", "metric": "ar_large"}}, "fidelities.0.pruner.metric: ar_large cannot be"),
    ],
    ids=["objective", "pruner"],
)
def test_a_number_over_objects_that_no_image_shows_is_told_where_it_stands(
    write_study: WriteStudy, changes: dict[str, Any], fidelity: dict[str, Any], said: str
) -> None:
    study = write_study(**{**DETECTING, "fidelities": [{**CUT, **fidelity}], **changes})
    with pytest.raises(ConfigError) as refused:
        described(load_study(study))
    assert said in str(refused.value)
    assert "images show no large objects, only small and medium ones" in str(refused.value)


def test_numbers_over_objects_that_are_shown_are_fine(write_study: WriteStudy) -> None:
    study = write_study(**{**DETECTING, "fidelities": [CUT], "objectives": {"ap_small": "maximize"}})
    assert described(load_study(study)).classes == 3


def test_an_exported_start_that_is_missing_or_of_another_network_is_told(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    weights = {"file": "a.safetensors", "sha256": "0" * 64}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"id": "0123456789abcdef", "weights": weights}))
    for name, said in (("a", "no spec is of the network"), ("b", "No such file")):
        specs = {"name": "exported", "specs": [str(tmp_path / f"{name}.yaml")]}
        study = write_study(**{**DETECTING, "fidelities": [{**CUT, "initialize": specs}]})
        with pytest.raises(ConfigError, match=said) as refused:
            described(load_study(study))
        assert "fidelities.0.initialize.specs" in str(refused.value)
