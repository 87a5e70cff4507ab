from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.interpretation.claims import Claim, claims, verdicts
from dcasearch.interpretation.contribution_reading import CSV_COLUMNS, Read, csv_of, reading_of
from dcasearch.interpretation.contributions import Contribution, contributions_of, stages_along
from dcasearch.interpretation.images import images_of, sample
from dcasearch.interpretation.subjects import load_subjects
from dcasearch.models import build_model
from tests.interpretation.samples import tiny, write_spec
from tests.models.samples import images

CPU = torch.device("cpu")
RESNET50 = {"backbone": {"name": "resnet50"}, "attention": {"name": "se"}, "connections": {"function": "learned"}}


class Batches:
    """A loader of given batches."""

    def __init__(self, *batches: torch.Tensor) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, epoch: int, first_batch: int = 0) -> Any:
        return ((batch, torch.zeros(len(batch), dtype=torch.int64)) for batch in self._batches)


def test_connection_k_leads_into_block_k_plus_one_and_bears_the_stage_of_that_block() -> None:
    with torch.device("meta"):
        model = build_model(RESNET50)
    assert stages_along(model, "channel") == (1,) * 2 + (2,) * 4 + (3,) * 6 + (4,) * 3
    read = contributions_of(tiny("se", function="direct"))
    assert [c.connection for c in read] == [1, 2, 3, 4, 5, 6, 7]
    assert [(c.node, c.stage, c.sources) for c in read[1:3]] == [
        ("layer2.0", 2, ("layer1.1",)),
        ("layer2.1", 2, ("layer2.0",)),
    ]


def test_a_block_that_receives_nothing_leaves_its_number_free() -> None:
    model = tiny("se", topology="custom", edges={"channel": [[1, 4], [3, 4], [7, 8]]})
    assert [(c.connection, len(c.sources)) for c in contributions_of(model)] == [(3, 2), (7, 1)]


def test_each_branch_has_a_line_of_its_own() -> None:
    read = contributions_of(tiny("sk", function="direct"))
    assert {c.line for c in read} == {"channel, branch 1", "channel, branch 2"}
    assert len(read) == 14


def test_the_share_over_images_is_the_mean_over_all_batches_with_an_interval_around_it() -> None:
    model = tiny("se", function="softmax")
    first, second = images(6, 32, seed=1), images(3, 32, seed=2)
    halves, whole = (contributions_of(model, Batches(*b)) for b in ((first, second), (torch.cat((first, second)),)))
    for half, of_all in zip(halves, whole, strict=True):
        assert half.weights is None
        assert half.over_images is not None
        assert of_all.over_images is not None
        assert (half.over_images.images, half.over_images.left_out) == (9, 0)
        assert half.over_images.share.value == pytest.approx(of_all.over_images.share.value)
        assert half.over_images.share.low < half.over_images.share.value < half.over_images.share.high


def test_images_without_extraction_and_message_are_left_out_and_counted() -> None:
    model = tiny("ge_theta_minus", function="direct")
    part: Any = model.attention["layer1_1"].channel
    part.extract = lambda features: ((features.mean((2, 3)) * torch.tensor([[1.0], [0.0]])),)
    sender: Any = model.attention["layer1_0"].channel
    sender.message = lambda raw, transformed: (raw[0] * torch.tensor([[1.0], [0.0]]),)
    first = contributions_of(model, Batches(images(2, 32)))[0].over_images
    assert first is not None
    assert (first.images, first.left_out) == (1, 1)


def claim(**bounds: Any) -> Claim:
    return Claim(says="so it is", backbone="resnet50", **bounds)


@pytest.mark.parametrize(
    ("bounds", "shares", "holds"),
    [
        ({"range": 10}, [12.0, 22.0, 15.0], True),
        ({"range": 10}, [12.0, 22.1], False),
        ({"near": 20, "within": 5}, [25.0], True),
        ({"near": 20, "within": 5}, [25.1], False),
        ({"below": 20}, [19.9, 3.0], True),
        ({"below": 20}, [20.0, 3.0], False),
    ],
)
def test_a_claim_holds_within_its_bounds(bounds: dict[str, Any], shares: list[float], holds: bool) -> None:
    assert claim(**bounds).holds(shares) is holds


def line_of(written: dict[str, Any]) -> tuple[Any, list[Contribution]]:
    with torch.device("meta"):
        network = build_model(written).network
    kind = written["attention"]["name"]
    about: dict[str, Any] = {"node": "", "stage": 1, "kind": kind, "dimension": "channel", "branch": 1, "branches": 1}
    rest: dict[str, Any] = {"function": "learned", "sources": (), "weights": None, "over_images": None}
    return network, [Contribution(connection=k, **about, **rest) for k in range(1, 16)]


def test_the_papers_claims_are_checked_on_the_papers_network() -> None:
    network, line = line_of(RESNET50)
    percent = dict.fromkeys(range(1, 16), 30.0) | {10: 39.0, 14: 24.0}
    stable, fourteenth = verdicts(network, line, percent)
    assert stable == ("connections 7 to 13 are stable: holds, 30.0% to 39.0% (the shares lie within 10 points)")
    assert fourteenth == "connection 14 is near 20%: holds, 24.0% (each share is 20 ± 5%)"
    stable, fourteenth = verdicts(network, line, percent | {10: 41.0, 14: 26.0})
    assert "does not hold, 30.0% to 41.0%" in stable
    assert "does not hold, 26.0%" in fourteenth


def test_the_claim_on_gc_is_checked_on_gc_alone() -> None:
    network, line = line_of({**RESNET50, "attention": {"name": "gc"}})
    *_, below = verdicts(network, line, dict.fromkeys(range(1, 16), 19.0))
    assert below == "the connections of GC stay below 20%: holds, 19.0% to 19.0% (each share is below 20%)"


def test_a_claim_about_a_connection_that_is_not_there_cannot_be_said() -> None:
    network, line = line_of(RESNET50)
    stable, fourteenth = verdicts(network, line, dict.fromkeys(range(1, 10), 30.0))
    assert stable == "connections 7 to 13 are stable: cannot be said, without a share of connection 10, 11, 12, 13"
    assert "cannot be said" in fourteenth


def test_every_claim_names_a_known_network_and_has_a_bound() -> None:
    for each in claims():
        Architecture.parse({"backbone": {"name": each.backbone}, "attention": {"name": each.attention or "se"}})
        assert each.bounds


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("specs"), "dense", "cbam", topology="dense", function="direct")


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("specs"), "soft", "se", function="softmax")


def test_the_csv_has_every_connection_and_the_edges_of_those_with_several(dense: Path) -> None:
    subjects = load_subjects([dense])
    read = Read(subjects[0], tuple(contributions_of(subjects[0].model)))
    rows = list(csv.DictReader(io.StringIO(csv_of([read]))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert sum(row["sender"] == "all" for row in rows) == 14
    assert len(rows) == 14  # stages of two blocks: dense is a chain
    assert all(row["images_share"] == "" for row in rows)


def test_edges_stand_below_their_connection(tmp_path: Path) -> None:
    edges = {"channel": [[1, 3], [2, 3]]}
    subjects = load_subjects([write_spec(tmp_path, "two", topology="custom", edges=edges, function="direct")])
    read = Read(subjects[0], tuple(contributions_of(subjects[0].model)))
    whole, first, second = csv.DictReader(io.StringIO(csv_of([read])))
    assert [row["sender"] for row in (whole, first, second)] == ["all", "layer1.0", "layer1.1"]
    shares = [float(row["weights_share"]) for row in (whole, first, second)]
    assert shares[0] == pytest.approx(shares[1] + shares[2])


def test_what_cannot_be_read_is_said(dense: Path, soft: Path) -> None:
    subjects = load_subjects([soft, dense])
    shown = images_of(subjects, None)
    read = [
        Read(subjects[0], tuple(contributions_of(subjects[0].model, sample(shown, subjects[0], 20, CPU)))),
        Read(subjects[1], tuple(contributions_of(subjects[1].model))),
    ]
    reading = reading_of(read, "20 of digits", {}, "<svg/>")
    said = "\n".join(reading.says)
    assert "soft: softmax has no share from the weights: it weighs each image anew." in said
    assert "dense: direct" not in said
    assert "soft, the paper's claims on its Figure 5 do not apply: they are about resnet50." in said
    assert "another training may differ by more" in said
    with_images = [row for row in reading.rows if row[0] == "soft"]
    assert all(row[-2] == "" and row[-1].count("%") == 1 for row in with_images)
    json.dumps(reading.numbers, allow_nan=False)
