"""A study over networks of a library, from its first score to a verified export, in real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dcasearch.analysis.wholeness import broken_invariants
from dcasearch.store import Store
from tests.models.traced.support import needs_timm
from tests.test_end_to_end import WriteStudy, _own_folder, call

__all__ = ["_own_folder"]  # a fixture: each test has a folder and a database of its own
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), needs_timm]
RECIPE: dict[str, Any] = {"batch_size": 32, "lr": 0.02}
TRAINED: dict[str, Any] = {"resolution": 32, "train_fraction": 0.1, "recipe": RECIPE}
STUDY: dict[str, Any] = {
    "space": {
        "backbone": {
            "name": "timm/test_byobnet",
            "own_attention": ["keep", "replace"],
            "arguments": {"drop_rate": 0.1},
        },
        "attention": {"name": ["se", "cbam"]},
        "connections": {"granularity": "stage", "dimensions": {"channel": [True, False]}},
    },
    "fidelities": [
        {
            "name": "zero",
            "kind": "zero_cost",
            "score": "grad_norm",
            "trials": 3,
            "batches": 1,
            "resolution": 32,
            "recipe": {"batch_size": 32},
        },
        {
            "name": "proxy",
            "promote": {"top": 2},
            "epochs": 2,
            "initialize": {"name": "vanilla", "epochs": 1},
            **TRAINED,
        },
    ],
}


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_study_over_a_library_s_networks_is_run_exported_and_verified(
    write_study: WriteStudy, tmp_path: Path, executor: str
) -> None:
    path = write_study(**STUDY, executor={"name": executor, "max_concurrent": 1})
    call("run", path)
    with Store.open(f"sqlite:///{tmp_path}/study.db") as store:
        assert broken_invariants(store, "tiny") == []
    call("export", "tiny", "--out", "best.yaml")
    assert yaml.safe_load(Path("best.yaml").read_text())["architecture"]["backbone"]["name"] == "timm/test_byobnet"
    call("verify", "best.yaml")
    call("inspect", "best.yaml", "--svg", "best.svg")
    assert Path("best.svg").read_text().startswith("<svg")
    call("report", "tiny", "--out", "report")
    assert "timm/test_byobnet" in Path("report/report.html").read_text()


IN_USE = ("timm/efficientnet_lite0", "timm/convnext_atto", "timm/regnety_002")


@pytest.mark.ray
def test_networks_in_use_are_warm_started_on_ray_and_each_is_exported_verified_and_drawn(
    write_study: WriteStudy, tmp_path: Path
) -> None:
    space = {
        "backbone": {"name": [*IN_USE]},
        "attention": {"name": "se"},
        "connections": {"granularity": "stage", "dimensions": {"channel": True}},
    }
    warm = {"name": "vanilla", "epochs": 1}
    proxy = {"name": "proxy", "trials": 3, "epochs": 1, "initialize": warm, **TRAINED}
    path = write_study(
        space=space,
        sampler={"name": "grid"},
        fidelities=[proxy],
        executor={"name": "ray", "max_concurrent": 1},
    )
    assert "3 distinct architectures" in call("check", path)
    call("run", path)
    with Store.open(f"sqlite:///{tmp_path}/study.db") as store:
        assert broken_invariants(store, "tiny") == []
    exported = set()
    for number in range(3):
        call("export", f"tiny/proxy/{number}", "--out", "best.yaml")
        exported.add(yaml.safe_load(Path("best.yaml").read_text())["architecture"]["backbone"]["name"])
        assert "DIFFERS" not in call("verify", "best.yaml")
        call("inspect", "best.yaml", "--svg", "best.svg")
        assert Path("best.svg").read_text().startswith("<svg")
    assert exported == set(IN_USE)
