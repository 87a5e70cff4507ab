"""`dcasearch ablate`, from the cost to the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.ablation.support import write_spec
from tests.cli.conftest import Command

PARTS = ("--toggle", "dimensions", "--toggle", "attention")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path / "best.yaml")


def test_a_plan_prints_its_cost_and_writes_nothing(dcasearch: Command, spec: Path) -> None:
    done = dcasearch("ablate", spec, *PARTS, "--plan")
    assert done.code == 0, done.err
    assert "3 networks, 5 seeds each, 15 trainings" in done.out.replace("\n", " ")
    assert list(Path.cwd().glob("*.yaml")) == [Path.cwd() / "best.yaml"]


@pytest.mark.usefixtures("simulated")
def test_it_trains_every_variant_with_each_seed_and_says_what_each_part_is_worth(
    dcasearch: Command, spec: Path
) -> None:
    done = dcasearch("ablate", spec, *PARTS, "--seeds", 3, "--margin", 50)
    assert done.code == 0, done.err
    said = done.out.replace("\n", " ")
    assert "What each part is worth" in said
    assert "without connections" in said
    assert "'Not worse' means: less than 50 points of top-1" in said
    again = dcasearch("ablate", spec, *PARTS, "--seeds", 3, "--margin", 50)
    assert (again.code, again.out.split("What each part")[1]) == (0, done.out.split("What each part")[1])


@pytest.mark.usefixtures("simulated")
def test_more_seeds_extend_the_study_and_another_plan_is_refused(dcasearch: Command, spec: Path) -> None:
    assert dcasearch("ablate", spec, *PARTS, "--seeds", 3).code == 0
    more = dcasearch("ablate", spec, *PARTS, "--seeds", 4)
    assert more.code == 0, more.err
    assert yaml.safe_load(Path("best_ablation.yaml").read_text())["fidelities"][0]["seeds"] == [4, 5, 6, 7]
    other = dcasearch("ablate", spec, "--toggle", "function", "--seeds", 4)
    assert other.code != 0
    assert "holds another plan" in other.err.replace("\n", " ")


def test_an_unknown_part_names_the_known_ones(dcasearch: Command, spec: Path) -> None:
    done = dcasearch("ablate", spec, "--toggle", "dimension")
    assert done.code != 0
    assert "did you mean 'dimensions'?" in done.err
