from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.errors import ConfigError, UserError
from dcasearch.space import load_study

SPACE: dict[str, Any] = {
    "backbone": {"name": "resnet18", "stem": "small"},
    "attention": {"name": "se", "reduction": [4, 8]},
    "connections": {
        "granularity": "stage",
        "dimensions": {"channel": [True, False]},
        "function": ["direct", "softmax"],
    },
}


def write_study(folder: Path, **changes: Any) -> Path:
    study = {
        "name": "tiny",
        "space": SPACE,
        "data": {"name": "digits"},
        "fidelities": [{"name": "proxy", "trials": 2, "resolution": 16, "epochs": 2}],
        **changes,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_study(path)
    return [problem.message for problem in error.value.problems]


def test_a_space_is_read_inline_or_from_its_file_beside_the_study(tmp_path: Path) -> None:
    inline = load_study(write_study(tmp_path))
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "se.yaml").write_text(yaml.safe_dump(SPACE))
    apart = load_study(write_study(tmp_path, space="spaces/se.yaml"))
    assert inline.space.fingerprint == apart.space.fingerprint
    assert inline.study.space == apart.study.space == SPACE


def test_mistakes_in_the_space_s_file_have_places_in_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text("backbone: {name: resnet18}\natention: {name: se}\n")
    path = write_study(tmp_path, space="space.yaml", sampler={"name": "tpee"})
    with pytest.raises(ConfigError) as error:
        load_study(path)
    assert {Path(p.file).name: p.line for p in error.value.problems} == {"space.yaml": 2, "study.yaml": 11}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("nowhere.yaml", "space: nowhere.yaml: No such file or directory"),
        (3, "space: input should be a mapping; got 3"),
    ],
)
def test_a_space_that_cannot_be_read_is_a_mistake_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: object, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mistakes(write_study(tmp_path, space=space)) == [message]


def test_a_space_that_is_no_yaml_is_told_with_the_study_s_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("a: [")
    found = mistakes(write_study(tmp_path, space="space.yaml", sampler={"name": "tpee"}))
    assert len(found) == 2
    assert any(message.startswith("is no YAML") for message in found)


def test_a_study_that_is_not_there_is_a_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_study(tmp_path / "none.yaml")


def test_variables_that_are_not_set_are_named_and_no_mistake(tmp_path: Path) -> None:
    path = write_study(tmp_path, data={"name": "imagenet", "root": "${IMAGENET_ROOT}"})
    assert load_study(path, {}).missing_variables == {"IMAGENET_ROOT"}
    loaded = load_study(path, {"IMAGENET_ROOT": "images"})
    assert loaded.missing_variables == set()
    assert loaded.study.data.root == "images"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"connections.functio": "direct"}, "did you mean 'connections.function'?"),
        ({"connections.function": "learned"}, "'learned' is not a choice; Known: direct, softmax."),
        ({"attention.reduction": "8"}, "got '8', expected one of 4, 8"),
        ({"connections.channel.stage1": 1}, "got 1, expected one of True, False"),
        ({"attention.name": "se"}, "'attention.name' is not a parameter of the space"),
    ],
)
def test_an_enqueued_configuration_must_name_parameters_and_choices(
    tmp_path: Path, params: dict[str, Any], message: str
) -> None:
    [said] = mistakes(write_study(tmp_path, enqueue=[{"connections.function": "direct"}, params]))
    assert said.startswith("enqueue.1.")
    assert message in said


def test_an_enqueued_configuration_may_leave_parameters_open(tmp_path: Path) -> None:
    params = {"attention.reduction": 8, "connections.channel.stage2": False}
    assert load_study(write_study(tmp_path, enqueue=[params])).study.enqueue == (params,)


def test_a_baseline_that_is_wanted_must_exist(tmp_path: Path) -> None:
    [said] = mistakes(write_study(tmp_path, baselines=["plain", "vanilla see"]))
    assert "did you mean 'vanilla se'?" in said


@pytest.mark.parametrize(
    ("attention", "connections", "place", "message"),
    [
        ("{name: [sse, gc]}", "{}", (4, 22), "'sse' is not an attention block; did you mean 'se' or 'sge'?"),
        ("{name: se, reduction: 8.5}", "{}", (4, 36), "got 8.5, expected a positive integer"),
        ("{name: se}", "{function: []}", (5, 17), "is an empty list of choices"),
        ("{name: se}", "{alpha: {shape: matrix}}", (5, 32), "'matrix' is not a shape of alpha"),
    ],
)
def test_mistakes_that_the_space_alone_has_are_told_at_their_places(
    tmp_path: Path, attention: str, connections: str, place: tuple[int, int], message: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        f"""\
name: tiny
space:
  backbone: {{name: resnet18}}
  attention: {attention}
  connections: {connections}
data: {{name: digits}}
enqueue: [{{attention.name: se}}]
fidelities: [{{name: proxy, trials: 2, resolution: 16, epochs: 2}}]
"""
    )
    with pytest.raises(ConfigError) as error:
        load_study(path)
    [problem] = error.value.problems
    assert (problem.line, problem.column) == place
    assert message in problem.message


BROKEN = """\
name: broken
space:
  backbone: {name: resnet18}
  attention: {name: se, reducton: 16}
  connections:
    dimensions: {channel: [true, false], spatial: [true, false]}
data: {name: digits}
sampler: {name: tpee}
fidelities:
  - {name: proxy, trials: 4, resolution: 16, epochs: four, recipe: smal}
"""
FIVE = [
    "broken.yaml:4:25: space.attention.reducton: 'reducton' is not a key of attention; did you mean 'reduction'?",
    "broken.yaml:6:52: space.connections.dimensions.spatial.0: no spatial connection is possible: se has no spatial",
    "broken.yaml:8:17: sampler.name: 'tpee' is not allowed; did you mean 'tpe'? Known: grid, nsga2, random, tpe.",
    "broken.yaml:10:54: fidelities.0.epochs: input should be a valid integer",
    "broken.yaml:10:68: fidelities.0.recipe: 'smal' is not a recipe; did you mean 'small'? Known:",
]


@pytest.mark.parametrize("command", ["check", "run"])
def test_five_mistakes_are_printed_at_once_and_nothing_is_written(tmp_path: Path, command: str) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    ended = subprocess.run(
        [sys.executable, "-m", "dcasearch", command, "broken.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == len(FIVE)
    for line, expected in zip(lines, FIVE, strict=True):
        assert line.startswith(expected)
    assert ended.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["broken.yaml"]


def test_a_grid_of_several_seeds_is_no_larger_than_can_be_planned(tmp_path: Path) -> None:
    fidelity = {"name": "proxy", "resolution": 16, "epochs": 2, "seeds": [0, 1]}
    grid: dict[str, Any] = {"fidelities": [fidelity], "sampler": {"name": "grid"}}
    assert load_study(write_study(tmp_path, **grid)).study.fidelities[0].seeds == (0, 1)
    blocks = {**SPACE, "connections": {**SPACE["connections"], "granularity": "block", "topology": ["chain", "tree"]}}
    large = {**blocks, "backbone": {"name": "resnet34"}}
    [said] = mistakes(write_study(tmp_path, **grid, space=large))
    assert said.startswith("fidelities.0.seeds: a grid of ")
    assert said.endswith(" points is too large for several seeds: at most 20,000 are planned")


def test_a_list_is_read_from_its_file_and_its_rows_may_be_enqueued_and_be_baselines(tmp_path: Path) -> None:
    backbone = {"name": "resnet18", "stem": "small"}
    rows = [
        {"label": "plain", "backbone": backbone},
        {"label": "SE", "backbone": backbone, "attention": {"name": "se"}},
    ]
    (tmp_path / "rows.yaml").write_text(yaml.safe_dump({"architectures": rows}))
    listed = {"space": "rows.yaml", "enqueue": [{"architecture": "SE"}], "baselines": ["plain"]}
    loaded = load_study(write_study(tmp_path, **listed))
    assert [baseline.name for baseline in loaded.space.baselines(loaded.study.baselines)] == ["plain"]
    wrong = write_study(tmp_path, **{**listed, "enqueue": [{"architecture": "SEE"}], "baselines": ["plian"]})
    assert mistakes(wrong) == [
        "enqueue.0.architecture: 'SEE' is not a choice; did you mean 'SE'? Known: SE, plain.",
        "baselines.0: 'plian' is not a baseline; did you mean 'plain'? Known: SE, plain.",
    ]
