"""Every shipped YAML is loaded and dry-run: what no test loads rots."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dcasearch.architecture import Architecture
from dcasearch.config import load_yaml
from dcasearch.config.study import Study
from dcasearch.space import Space, load_study, read_space, size

ROOT = Path(__file__).parents[1]
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
VARIABLES = {"IMAGENET_ROOT": "imagenet", "CIFAR10_ROOT": "cifar10"}
ABLATIONS = {
    "ablation_function": {"direct", "softmax", "weighted", "learned"},
    "ablation_matching": {"fc", "fc2"},
    "ablation_pooling": {"average", "max"},
    "ablation_dimensions": {"", "channel", "spatial", "channel spatial"},
}
"""What the networks of an ablation differ in."""


def read(path: Path) -> Space:
    document = load_yaml(path, VARIABLES)
    space = read_space(document.data, document.report)
    assert document.problems == []
    return space


def dry_run(space: Space) -> None:
    rng = random.Random(0)
    for _ in range(20):
        point = space.random(rng)
        assert space.point(point.params).architecture == point.architecture
    assert space.baselines()[0].name == "plain"
    assert size(space) > 1


@pytest.mark.parametrize("path", [*SPACES, *STUDIES], ids=lambda path: path.stem)
def test_its_head_says_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_s_head_says_what_it_costs_and_what_to_expect(path: Path) -> None:
    head = path.read_text().split("\nname:")[0].lower()
    assert "expected:" in head
    assert any(word in head for word in ("costs", "minutes", "hours"))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_space_makes_architectures(path: Path) -> None:
    dry_run(read(path))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_makes_architectures(path: Path) -> None:
    loaded = load_study(path, VARIABLES)
    assert loaded.missing_variables == set()
    assert loaded.study.name == path.stem
    dry_run(loaded.space)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_mnasnet_that_is_trained_shortly_has_a_batchnorm_that_can_follow(path: Path) -> None:
    """torchvision's momentum of 3e-4 averages over thousands of steps."""
    study: Study = load_study(path, VARIABLES).study
    if str(study.space["backbone"]["name"]).startswith("mnasnet"):
        short = [fidelity for fidelity in study.fidelities if fidelity.epochs * fidelity.train_fraction < 50]
        assert all((fidelity.recipe.bn_momentum or 0) > 0.01 for fidelity in short)


def kinds_of(name: str, architecture: Architecture) -> set[str]:
    edges = architecture.network.edges
    if name == "ablation_dimensions":
        return {" ".join(sorted({edge.dimension for edge in edges}))}
    if name == "ablation_function":
        return {edge.function for edge in edges}
    if name == "ablation_pooling":
        return {edge.resize.mode for edge in edges if edge.resize}
    return {"fc2" if edge.matching.hidden else "fc" for edge in edges if edge.matching}


@pytest.mark.parametrize(("name", "expected"), ABLATIONS.items(), ids=ABLATIONS)
def test_an_ablation_holds_the_rows_of_the_paper_s_table(name: str, expected: set[str]) -> None:
    points = list(read(ROOT / "search_spaces" / f"{name}.yaml").enumerate())
    assert len(points) == len({point.architecture.id for point in points}) <= 4
    assert set().union(*(kinds_of(name, point.architecture) for point in points)) == expected
