"""docs/evidence.md shows what the committed trainings say, and the script that makes them pairs seed by seed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "benchmarks" / "evidence.py"))
SMALL, CIFAR10 = SCRIPT["TABLES"]["small"], SCRIPT["TABLES"]["cifar10"]


def line(top1: float, device: str = "GPU") -> dict[str, Any]:
    return {"top1": [0.0, top1], "loss": 1.0, "seconds": 1.0, "device": device}


def test_the_documents_table_is_what_the_committed_trainings_say() -> None:
    found = SCRIPT["read"](SCRIPT["FOLDER"] / SMALL.file)
    text = (ROOT / "docs" / "evidence.md").read_text()
    block = text.partition("<!-- small -->\n")[2].partition("\n<!-- end -->")[0]
    assert block == SCRIPT["shown"](SMALL, found)
    assert all(key in found for key in SCRIPT["wanted"](SMALL))


def test_every_network_of_the_tables_can_be_built_and_twenty_seeds_are_the_end() -> None:
    for table in (SMALL, CIFAR10):
        keys = list(SCRIPT["wanted"](table))
        assert len(set(keys)) == len(keys)
        for key in keys:
            SCRIPT["architecture"](table, key)
    assert {key[3] for key in SCRIPT["wanted"](CIFAR10)} == set(range(20))
    assert {key[2] for key in SCRIPT["wanted"](CIFAR10)} == {"plain", "vanilla", "connected", "placebo"}


def test_a_pair_has_one_seed_and_one_model_of_device() -> None:
    found = {
        ("ResNet-18", "SE", "vanilla", 0): line(50.0),
        ("ResNet-18", "SE", "connected", 0): line(52.0),
        ("ResNet-18", "SE", "vanilla", 1): line(51.0),
        ("ResNet-18", "SE", "connected", 1): line(53.5),
        ("ResNet-18", "SE", "connected", 2): line(99.0),
        ("ResNet-18", "SE", "vanilla", 3): line(1.0, "another GPU"),
        ("ResNet-18", "SE", "connected", 3): line(99.0),
        ("ResNet-18", "", "plain", 1): line(50.0),
    }
    connected, vanilla = SCRIPT["rows"](CIFAR10, found)
    assert (connected.kind, connected.other, connected.top1) == ("connected", "vanilla", (2.0, 2.5))
    assert (vanilla.kind, vanilla.other, vanilla.top1) == ("vanilla", "plain", (1.0,))
    assert connected.means == pytest.approx((52.75, 50.5))
    assert "| ? |" in SCRIPT["shown"](CIFAR10, found)  # one seed tells nothing of its noise


def test_a_line_that_was_cut_off_is_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"key": ["a", "b", "vanilla", 0], "top1": [1.0]}\n{"key": ["a", "b", "conn')
    assert list(SCRIPT["read"](path)) == [("a", "b", "vanilla", 0)]
