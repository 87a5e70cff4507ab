"""A study whose networks start from vanilla parents, with attention that starts as the identity, is fine-tuned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dcasearch.config import load_recipe
from dcasearch.space import load_study
from dcasearch.store import Store
from dcasearch.study import run
from dcasearch.trial import State
from tests.executors.support import InProcess

SPACE: dict[str, Any] = {
    "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
    "attention": {"name": "se", "reduction": 4},
    "attention_init": ["usual", "identity"],
    "connections": {"dimensions": {"channel": True}},
}
LEVEL: dict[str, Any] = {
    "name": "proxy",
    "resolution": 16,
    "epochs": 1,
    "train_fraction": 0.05,
    "recipe": {**load_recipe("finetune").recipe.model_dump(mode="json"), "batch_size": 16, "freeze": ["stem", 1]},
    "initialize": {"name": "vanilla", "recipe": {"lr": 0.05, "batch_size": 16, "bn_momentum": 0.3}},
}


@pytest.mark.slow
def test_a_fine_tuned_study_keeps_its_parents_statistics_and_frozen_stages(
    write_study: Callable[..., Path], tmp_path: Path
) -> None:
    changes = {"sampler": {"name": "grid"}, "baselines": False, "keep_weights": 2}
    loaded = load_study(write_study(space=SPACE, fidelities=[LEVEL], **changes))
    with Store.open(f"sqlite:///{tmp_path}/study.db", create=True) as store:
        run(loaded, store, InProcess(tmp_path))
        trials = store.trials("tiny", "proxy")
    assert [trial.state for trial in trials] == [State.COMPLETE] * 2
    starts = [loaded.space.point(trial.params).architecture.attention_init for trial in trials]
    assert sorted(starts) == ["identity", "usual"]
    states = [load_file(path) for path in sorted(tmp_path.rglob("weights/*.safetensors"))]
    assert len(states) == 4, "each network and its parent"
    with_gains = [state for state in states if any(name.endswith("gain.s") for name in state)]
    [child] = [state for state in with_gains if any(name.startswith("connections.") for name in state)]
    [parent] = [state for state in with_gains if state is not child]
    changed = {name for name, value in parent.items() if not torch.equal(value, child[name])}
    assert not any(name.startswith("backbone.") and "running" in name for name in changed)
    assert not any(name.startswith(("backbone.features.0.", "backbone.features.1.")) for name in changed)
    assert any(name.endswith("gain.s") for name in changed)
