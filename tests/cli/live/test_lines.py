from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dcasearch.analysis.eta import Estimate
from dcasearch.cli.live.lines import Words, cropped, json_line, lead_of, left, line_of, sentence, span
from dcasearch.search.work import Event
from tests.cli.live.support import PHASE, epoch, event

NETWORK = "SE r=16 in all stages; channel chain into stages 2–4, direct, fc"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (event("started"), "proxy trial 3 started"),
        (event("resumed"), "proxy trial 3 goes on from its checkpoint"),
        (epoch("proxy trial 3", 2), "proxy trial 3 epoch 2/4 top-1 81.23%"),
        (event("complete", top1=90.0, epochs=4, seconds=61.0), "proxy trial 3 complete: top-1 90.00% in 0:01:01"),
        (event("pruned", top1=9.0, epochs=2, seconds=2.5), "proxy trial 3 pruned after epoch 2: top-1 9.00% in 2.5 s"),
        (event("infeasible", message="params 9 > 5"), "proxy trial 3 infeasible (params 9 > 5)"),
        (event("duplicate", message="of trial 1"), "proxy trial 3 duplicate (of trial 1)"),
        (event("failed", message="nan: epoch 2"), "proxy trial 3 failed (nan: epoch 2)"),
        (event("lost", message="exit code -9"), "proxy trial 3 lost (exit code -9)"),
        (event("note", "proxy", "8 trials are done"), "proxy: 8 trials are done"),
        (event("complete", score=-3.25, epochs=1, seconds=0.5), "proxy trial 3 complete: score -3.25 in 0.5 s"),
        (
            event("phase", "zero trials", total=500, epochs=1, rungs="", score="synflow", metric="score"),
            "zero trials: 500, scored by synflow",
        ),
        (PHASE, "proxy trials: 8, 4 epochs each, pruned after epoch 1, 2"),
        (
            event("phase", "full trials", total=None, epochs=9, rungs="", metric="top1", complete=2, best=91.0),
            "full trials: as many as there are, 9 epochs each; so far 2 complete",
        ),
    ],
)
def test_every_event_is_one_sentence(told: Event, said: str) -> None:
    assert sentence(told) == said


def test_an_end_names_its_network_as_far_as_there_is_room() -> None:
    told = event("complete", top1=90.0, epochs=4, seconds=2.0)
    begins = "proxy trial 3 complete: top-1 90.00% in 2.0 s"
    assert sentence(told, NETWORK) == f"{begins} ({NETWORK})"
    assert sentence(told, NETWORK, 90) == f"{begins} (SE r=16 in all stages; channel chain into…)"
    assert sentence(told, NETWORK, 60) == begins


def test_a_line_has_its_time_and_no_backbone_that_all_networks_have() -> None:
    words = Words()
    assert line_of(Event("run", "study", fields={"backbone": "resnet18"}), words) is None
    line = line_of(event("pruned", top1=9.0, epochs=1, seconds=1.0, network=f"resnet18: {NETWORK}"), words, 150)
    assert line is not None
    assert line.split(" ", 1)[1].endswith(f"in 1.0 s ({NETWORK})")
    other = line_of(event("pruned", top1=9.0, epochs=1, seconds=1.0, network="resnet50: no attention"), words)
    assert other is not None
    assert other.endswith("(resnet50: no attention)")


def test_json_lines_hold_kind_time_label_message_and_fields() -> None:
    line = json_line(epoch("proxy trial 0", 1, float("nan")), datetime(2026, 12, 1, 8, tzinfo=UTC))
    read: dict[str, Any] = json.loads(line)
    assert read == {
        "event": "epoch",
        "time": "2026-12-01T08:00:00.000+00:00",
        "label": "proxy trial 0",
        "message": "",
        "epoch": 1,
        "of": 4,
        "top1": None,
        "seconds": 1.0,
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": "top1", "value": 91.666, "direction": "maximize"}, "best top-1 91.67%"),
        ({"metric": "macs", "value": 1.25e9, "direction": "minimize"}, "least multiply-adds 1.25G"),
        ({"metric": "params", "value": 2e6, "direction": "maximize"}, "most parameters 2M"),
    ],
)
def test_a_leader_is_told_by_what_it_leads_in(fields: dict[str, Any], said: str) -> None:
    assert lead_of(Event("leader", "proxy trial 1", fields=fields)) == said


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (None, "time left: no estimate yet"),
        (Estimate(7900, 10000, 13000, 0.5), "2 h 10 min to 3 h 40 min left (8 of 10 times)"),
        (Estimate(43, 50, 71, 0.5), "40 s to 1 min 15 s left (8 of 10 times)"),
        (Estimate(0.5, 3, 18, 0.9), "less than 18 s left (8 of 10 times)"),
        (Estimate(600, 600, 600, 0.9), "10 min left at most"),
    ],
)
def test_the_time_left_is_a_range_in_words(estimate: Estimate | None, said: str) -> None:
    assert left(estimate) == said


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (90, "1 min 30 s"), (7200, "2 h"), (100_000, "1 d 3 h")])
def test_a_span_has_two_units_at_most(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_what_is_cropped_shows_that_it_is() -> None:
    assert [cropped("connected", width) for width in (9, 8, 1, 0)] == ["connected", "connect…", "…", ""]
