"""Every shipped YAML is loaded and dry-run: what no test loads rots."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dcasearch.config import load_recipe, load_yaml
from dcasearch.config.study import Study
from dcasearch.models import cost
from dcasearch.paper.rows import PaperTable, detection_table, paper_tables
from dcasearch.space import ListedSpace, Row, Space, load_study, read_space, size
from tests.models.traced.support import needs_timm

ROOT = Path(__file__).parents[1]
SPACES = sorted((ROOT / "search_spaces").rglob("*.yaml"))
STUDIES = sorted((ROOT / "studies").rglob("*.yaml"))
VARIABLES = {"IMAGENET_ROOT": "imagenet", "CIFAR10_ROOT": "cifar10", "COCO_ROOT": "coco", "PHOTOS": "photos"}
PAPER = ROOT / "search_spaces" / "paper"
DETECTORS = {"retinanet": PAPER / "table7_retinanet.yaml", "cascade_rcnn": PAPER / "table7_cascade.yaml"}
"""By detector the list of its backbones in the paper's table 7."""
TABLES = sorted(
    path for path in PAPER.glob("*.yaml") if not path.stem.endswith("_small") and path not in DETECTORS.values()
)
"""The lists of the paper's other tables, each with a small variant beside it."""


def with_slow(paths: list[Path]) -> list[Any]:
    """Mark the space that takes seconds to walk, and those that need timm."""
    slow = [pytest.mark.slow]
    return [pytest.param(p, marks=[*with_timm(p), *(slow if p.stem == "any_attention" else [])]) for p in paths]


def with_timm(path: Path) -> list[pytest.MarkDecorator]:
    return [needs_timm] if "timm/" in path.read_text() else []


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
    assert space.baselines()[0].architecture.attention.name == "none"
    assert size(space) > 1


@pytest.mark.parametrize("path", [*SPACES, *STUDIES], ids=lambda path: path.stem)
def test_its_head_says_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_s_head_says_what_it_costs_and_what_to_expect(path: Path) -> None:
    head = path.read_text().split("\nname:")[0].lower()
    assert "expected:" in head
    assert any(word in head for word in ("costs", "minutes", "hours"))


@pytest.mark.parametrize("path", with_slow(SPACES), ids=lambda path: path.stem)
def test_a_space_makes_architectures(path: Path) -> None:
    dry_run(read(path))


@pytest.mark.parametrize("path", with_slow(STUDIES), ids=lambda path: path.stem)
def test_a_study_makes_architectures(path: Path) -> None:
    loaded = load_study(path, VARIABLES)
    assert loaded.missing_variables == set()
    assert loaded.study.name == path.stem
    dry_run(loaded.space)


@pytest.mark.parametrize("path", [pytest.param(path, marks=with_timm(path)) for path in STUDIES], ids=lambda p: p.stem)
def test_a_mnasnet_that_is_trained_shortly_has_a_batchnorm_that_can_follow(path: Path) -> None:
    """torchvision's momentum of 3e-4 averages over thousands of steps."""
    study: Study = load_study(path, VARIABLES).study
    written = [row["backbone"] for row in study.space.get("architectures", [study.space])]
    if any(str(backbone["name"]).startswith("mnasnet") for backbone in written):
        short = [fidelity for fidelity in study.fidelities if fidelity.epochs * fidelity.train_fraction < 50]
        assert all((fidelity.recipe.bn_momentum or 0) > 0.01 for fidelity in short)


IMAGENET = [path for path in STUDIES if "IMAGENET_ROOT" in path.read_text()]


@pytest.mark.parametrize("path", IMAGENET, ids=lambda path: path.stem)
def test_a_study_of_weeks_is_as_the_docs_advise(path: Path) -> None:
    study = load_study(path, VARIABLES).study
    assert all(len(fidelity.seeds) >= 3 for fidelity in study.fidelities[-1:])  # docs/trust.md
    assert study.final is not None or study.data.protocol == "paper"  # a table of the paper is made on the test images
    assert study.final is None or len(study.final.seeds) >= 3
    assert study.stop.failures is not None
    assert study.disk is not None
    assert (study.data.stage, study.data.stage_limit) != (None, None)  # docs/cluster.md
    assert study.throughput is not None or study.data.protocol == "paper"


def test_one_study_is_of_a_folder_of_photographs() -> None:
    study = load_study(ROOT / "studies" / "photographs.yaml", VARIABLES).study
    assert study.data.name == "imagefolder"
    assert study.final is not None


@cache
def rows(path: Path) -> dict[str, Row]:
    space = read(path)
    assert isinstance(space, ListedSpace)
    return {row.label: row for row in space.rows}


@pytest.mark.parametrize("table", paper_tables(), ids=lambda table: f"table{table.number}")
def test_a_table_of_the_paper_has_all_its_rows(table: PaperTable) -> None:
    paths = [path for path in TABLES if path.stem.startswith(f"table{table.number}_")]
    held = {row.architecture.id for path in paths for row in rows(path).values()}
    known = [row for row in table.rows if row.evidence != "count"]  # of the others nobody knows the form
    assert not [row.name for row in known if row.architecture.id not in held]


@pytest.mark.parametrize("detector", DETECTORS)
def test_table_7_of_the_paper_has_its_rows_of_a_detector_and_no_other_ones(detector: str) -> None:
    held = [row.architecture.id for row in rows(DETECTORS[detector]).values()]
    assert held == [row.architecture.id for row in detection_table().rows if row.detector == detector]


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_study_of_table_7_has_the_paper_s_settings(detector: str) -> None:
    study: Study = load_study(ROOT / "studies" / "paper" / DETECTORS[detector].name, VARIABLES).study
    assert study.detector is not None
    assert (study.task, study.detector.name, study.detector.preset) == ("detection", detector, "paper")
    (fidelity,) = study.fidelities
    assert (study.data.name, study.data.protocol, fidelity.resolution, fidelity.epochs) == ("coco", "paper", 800, 24)
    assert fidelity.recipe == load_recipe(DETECTORS[detector].stem.removeprefix("table7_")).recipe
    assert len(fidelity.initialize.specs) == len(rows(DETECTORS[detector]))


def test_the_functions_of_table_2_are_all_and_concat_beside_them() -> None:
    found = {
        e.function for row in rows(PAPER / "table2_functions.yaml").values() for e in row.architecture.network.edges
    }
    assert found == {"direct", "weighted", "softmax", "learned", "concat"}


def test_the_init_study_crosses_initial_values_with_what_is_connected() -> None:
    crossed = {(row.role, row.architecture.init) for row in rows(PAPER / "init_mnasnet.yaml").values()}
    assert crossed == {(role, init) for role in ("plain", "vanilla", "connected") for init in ("ours", "authors")}


@pytest.mark.parametrize("path", [*TABLES, *DETECTORS.values()], ids=lambda path: path.stem)
def test_every_table_has_the_plain_backbone_and_vanilla_attention_among_its_rows(path: Path) -> None:
    assert {row.role for row in rows(path).values()} == {"plain", "vanilla", "connected"}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_table_has_its_controls(path: Path) -> None:
    messages = [
        {edge.message for edge in row.architecture.network.edges}
        for row in rows(path).values()
        if row.role == "connected"
    ]
    assert all({message} in messages for message in ("sender", "own", "shuffled", "constant"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_small_variant_has_the_rows_of_its_table(path: Path) -> None:
    """Same labels, roles, and what is written of attention and connections; only the backbone differs."""
    large, small = rows(path), rows(path.with_stem(f"{path.stem}_small"))
    if path.stem != "table3_depth":  # whose labels name the depth
        assert list(large) == list(small)
    for ours, theirs in zip(large.values(), small.values(), strict=True):
        assert (ours.role, ours.written.get("connections")) == (theirs.role, theirs.written.get("connections"))
        assert ours.written["backbone"] != theirs.written["backbone"]
        by_site = {"blocks", "stages"} & ours.written.get("attention", {}).keys()
        if not by_site:  # its length is that of the backbone
            assert ours.written.get("attention") == theirs.written.get("attention")


AS_LARGE = [PAPER / "table2_functions.yaml", *(path.with_stem(f"{path.stem}_small") for path in TABLES)]
"""One of full size: they take a second each."""


@pytest.mark.parametrize("path", AS_LARGE, ids=lambda path: path.stem)
def test_a_network_as_large_has_as_many_parameters(path: Path) -> None:
    for label, row in rows(path).items():
        if label.endswith("as many parameters"):
            assert row.role == "vanilla"
            other = rows(path)[str(row.against)]
            ours, theirs = (cost(r.architecture, 32, 10).params for r in (row, other))
            assert abs(ours - theirs) <= 100, label
