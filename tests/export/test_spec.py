from __future__ import annotations

from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.errors import UserError
from dcasearch.export import load_model, load_spec
from tests.export.conftest import Exporter


def rewrite(path: Path, **changes: Any) -> Path:
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


@pytest.fixture
def spec_file(exported: Exporter, tmp_path: Path) -> Path:
    exported()
    return tmp_path / "best.yaml"


def test_a_spec_of_a_newer_version_says_to_upgrade(spec_file: Path) -> None:
    with pytest.raises(UserError, match=r"schema_version 2, and this dcasearch knows 1\. Upgrade"):
        load_spec(rewrite(spec_file, schema_version=2, invented_later=True))


def test_every_mistake_is_named_at_once(spec_file: Path) -> None:
    with pytest.raises(UserError) as error:
        load_spec(rewrite(spec_file, macs="many", surprise=1, id="xyz"))
    assert {line.split(": ")[1] for line in str(error.value).splitlines()} == {"macs", "surprise", "id"}


@pytest.mark.parametrize(
    "file", ["../best.safetensors", "/etc/best.safetensors", "..\\best.safetensors", "best.pt", "best.pkl"]
)
def test_weights_cannot_point_out_of_the_folder_or_be_pickled(spec_file: Path, file: str) -> None:
    with pytest.raises(UserError, match=r"weights\.file"):
        load_spec(rewrite(spec_file, weights={"file": file, "sha256": "0" * 64}))


def test_the_weights_evaluation_is_one_of_the_metrics(spec_file: Path) -> None:
    with pytest.raises(UserError, match="evaluation: 0000000000000000 is none of"):
        load_spec(rewrite(spec_file, evaluation="0" * 16))


@pytest.mark.parametrize("change", [{"logits": [[1.0], [1.0, 2.0]]}, {"norms": [1.0]}, {"images": 10**9}])
def test_a_probe_without_an_answer_for_each_image_is_refused(spec_file: Path, change: dict[str, Any]) -> None:
    probe = yaml.safe_load(spec_file.read_text())["probe"]
    with pytest.raises(UserError, match="probe"):
        load_spec(rewrite(spec_file, probe={**probe, **change}))


BASELINE = {
    "name": "plain",
    "id": "0" * 16,
    "fidelity": "full",
    "protocol": "test",
    "seeds": [0],
    "top1": 90.0,
    "difference": None,
}
IMAGES = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
BEYOND: dict[str, tuple[dict[str, Any], str]] = {
    "parameters": ({"parameters": 10**19}, "parameters: .*1000000000000000000"),
    "negative parameters": ({"parameters": -1}, "parameters: .*greater than or equal to 0"),
    "macs": ({"macs": 10**30}, "macs: .*1000000000000000000"),
    "classes": ({"num_classes": 10**7}, "num_classes: .*1000000"),
    "resolution": ({"resolution": 10**5}, "resolution: .*4096"),
    "a value": ({"metrics.0.top1": 1e300}, r"metrics\.0\.values\.top1"),
    "a seed": ({"metrics.0.seed": 2**63}, r"metrics\.0\.seed"),
    "seeds of a baseline": ({"baselines": [{**BASELINE, "seeds": [0] * 1001}]}, r"baselines\.0\.seeds: has 1,001 e"),
    "a baseline's mean": ({"baselines": [{**BASELINE, "top1": 1e300}]}, r"baselines\.0\.mean"),
    "splits": ({"over_splits": {"splits": 0, "mean": 1.0, "margin": None, "says": ""}}, r"over_splits\.splits"),
    "a split's seed": ({"data.split_seed": -1}, r"data\.split_seed"),
    "a held-out share": ({"data.validation_fraction": 5.0}, r"data\.validation_fraction: .*less than 1"),
    "a trained share": (
        {"training": {"epochs": 1, "train_fraction": 5.0, "recipe": {}}},
        r"training\.train_fraction",
    ),
    "a side": ({"preprocessing": {**IMAGES, "steps": [{"resize": 10**9}]}}, r"preprocessing\.steps\.0\.resize.*16384"),
    "a logit": ({"probe.logits.0.0": -1e300}, r"probe\.logits\.0\.0"),
    "logits": ({"probe.logits.0": [0.0] * 1001}, r"probe\.logits\.0: has 1,001 entries, at most 1,000"),
}


@pytest.mark.parametrize(("changes", "message"), BEYOND.values(), ids=BEYOND)
def test_a_number_or_a_list_beyond_any_use_is_refused_at_its_field(
    spec_file: Path, changes: dict[str, Any], message: str
) -> None:
    content = yaml.safe_load(spec_file.read_text())
    for dotted, value in changes.items():
        *path, last = [int(part) if part.isdigit() else part for part in dotted.split(".")]
        reduce(getitem, path, content)[last] = value
    spec_file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=message):
        load_spec(spec_file)


@pytest.mark.parametrize("text", ["", "[1, 2]", "backbone: {name: resnet18}", "a: [", "\x00"])
def test_a_file_that_is_no_spec_is_a_user_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=r"x\.yaml"):
        load_spec(tmp_path / "x.yaml")


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_spec(tmp_path / "x.yaml")


def test_a_yaml_from_a_stranger_cannot_run_code(spec_file: Path, tmp_path: Path) -> None:
    spec_file.write_text(f"!!python/object/apply:os.system ['touch {tmp_path}/ran']\n")
    with pytest.raises(UserError, match=r"the tag !!python.object.apply:os.system is not allowed"):
        load_model(spec_file)
    assert not (tmp_path / "ran").exists()


def test_a_spec_shows_itself_in_a_notebook(spec_file: Path) -> None:
    spec = load_spec(spec_file)
    html = spec._repr_html_()
    assert 'src="data:image/svg+xml;base64,' in html
    assert f"architecture {spec.id}, {spec.parameters:,} parameters, {spec.macs:,} multiply-adds" in html
    assert "on the held-out images" in html
