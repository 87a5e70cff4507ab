"""`dcasearch compare`, and the short forms of networks that `inspect` takes too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command

WriteStudy = Callable[..., Path]


@pytest.fixture
def storage(dcasearch: Command, write_study: WriteStudy, simulated: None, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/study.db"
    done = dcasearch("run", write_study(storage=url, baselines=True))
    assert done.code == 0, done.err
    return url


def test_networks_stand_side_by_side_with_what_differs_and_whether_it_counts(dcasearch: Command, storage: str) -> None:
    done = dcasearch("compare", "tiny/proxy/vanilla se", "tiny/proxy/plain", "--storage", storage)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "first − this does it count? architecture" in said
    assert "needs 3 seeds" in said
    assert "tiny/proxy/vanilla se: resnet18, small stem: SE r=8 in all stages; not connected" in said
    assert "tiny/proxy/plain: no attention, not SE r=8 in all stages" in said


def test_a_comparison_for_programs(dcasearch: Command, storage: str) -> None:
    done = dcasearch("compare", "tiny/proxy/0", "tiny/proxy/plain", "--storage", storage, "--json")
    first, plain = json.loads(done.out)
    assert (first["metric"], first["first_minus_this"]) == ("top1", None)
    assert plain["first_minus_this"] == pytest.approx(first["values"]["0"] - plain["values"]["0"])
    assert plain["resolved"] is False


def test_files_are_compared_without_a_database(dcasearch: Command, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("backbone: {name: resnet18}\nattention: {name: se}\n")
    (tmp_path / "b.yaml").write_text("backbone: {name: resnet18}\nattention: {name: se}\nconnections: {}\n")
    done = dcasearch("compare", "a.yaml", "b.yaml", "a.yaml")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "a.yaml: resnet18: SE r=16 in all stages; not connected",
        "b.yaml: channel chain into all stages, direct, fc",
        "a.yaml: the same network",
    ]


def test_what_differs_is_drawn_for_any_number_of_networks(dcasearch: Command, tmp_path: Path) -> None:
    for name, rest in (("a", ""), ("b", "connections: {}\n"), ("c", "connections: {function: softmax}\n")):
        (tmp_path / f"{name}.yaml").write_text(f"backbone: {{name: resnet18}}\nattention: {{name: se}}\n{rest}")
    done = dcasearch("compare", "a.yaml", "b.yaml", "c.yaml", "--svg", "new/d.svg", "--png", "d.png", "--json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)) == 3
    assert "drawing: new/d.svg, d.png" in done.err
    drawn = (tmp_path / "new" / "d.svg").read_text()
    assert "b.yaml against a.yaml" in drawn
    assert "c.yaml against a.yaml" in drawn
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_no_network_is_an_error_with_the_forms(dcasearch: Command, storage: str) -> None:
    for arguments, said in (
        (("a.yaml", "b.yaml"), "'a.yaml' is neither a file nor a network of a database; write STUDY/FIDELITY/NUMBER"),
        (("tiny/proxy/0",), "name two networks or more"),
        (("tiny/proxy/0", "tiny/proxy/77"), "has no '77'"),
    ):
        done = dcasearch("compare", *arguments, "--storage", storage)
        assert done.code == 2
        assert said in " ".join(done.err.split())


def test_inspect_takes_the_short_forms(dcasearch: Command, storage: str) -> None:
    done = dcasearch("inspect", "tiny/proxy/plain", "--storage", storage, "--resolution", 16)
    assert done.code == 0, done.err
    assert done.out.startswith("resnet18, small stem: no attention\n")
    id = done.out.splitlines()[1].split()[1].rstrip(",")
    again = dcasearch("inspect", id[:10], "--storage", storage, "--resolution", 16)
    assert again.out == done.out


def test_every_command_that_takes_a_spec_takes_the_short_forms(dcasearch: Command, storage: str) -> None:
    """The study was simulated, so that its weights are not there: they were looked for."""
    network = "tiny/proxy/plain"
    for command in (
        ("verify", network),
        ("boxes", network),
        ("ablate", network),
        ("evaluate", network, "--data", "digits"),
        ("gradcam", "a.jpg", "--spec", network),
        ("contributions", "--spec", network),
        ("drift", "--spec", network),
        ("export", network),
    ):
        done = dcasearch(*command, "--storage", storage)
        assert done.code == 2, command
        assert "only the best `keep_weights` of a fidelity are kept" in " ".join(done.err.split()), command


def test_a_network_whose_weights_are_gone_can_still_be_trained_from_its_architecture(
    dcasearch: Command, storage: str
) -> None:
    done = dcasearch("train", "tiny/proxy/plain", "--storage", storage)
    assert done.code == 2
    assert "does not say everything that a training needs; add --recipe, --resolution, --data" in done.err
