"""A kind of attention with a dimension of its own goes from a study's YAML to trained trials, and to a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch.drawing import draw
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.study import run
from dcasearch.trial import State
from tests.executors.support import InProcess
from tests.kinds import enter

SPACE: dict[str, Any] = {
    "backbone": {"name": "mobilenet_v2", "width": 0.1},
    "attention": {"name": "tall", "strength": [0.5, 2.0]},
    "stage_attention": {"name": ["none", "after"], "granularity": "stage"},
    "connections": {"dimensions": {"row": [True, False], "energy": True}, "topology": ["chain", "dense"]},
}
LEVEL: dict[str, Any] = {
    "name": "proxy",
    "trials": 3,
    "resolution": 16,
    "epochs": 1,
    "train_fraction": 0.05,
    "recipe": {"batch_size": 16, "bn_momentum": 0.3},
}


def test_a_kind_with_a_dimension_of_its_own_goes_from_yaml_to_trained_trials(
    write_study: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "tall", "after")
    loaded = load_study(write_study(space=SPACE, fidelities=[LEVEL]))
    with Store.open(f"sqlite:///{tmp_path}/study.db", create=True) as store:
        run(loaded, store, InProcess(tmp_path))
        trials = store.trials("tiny", "proxy")
        assert [trial.state for trial in trials if trial.state is not State.DUPLICATE] == [State.COMPLETE] * 3
        networks = [loaded.space.point(trial.params).architecture.network for trial in trials]
    assert {edge.dimension for network in networks for edge in network.edges} & {"row", "energy"}
    assert any({"tall", "after"} <= {node.kind for node in network.nodes} for network in networks)
    for network in networks:
        svg = draw(network)
        assert all(f'class="{edge.dimension} edge' in svg for edge in network.edges)
