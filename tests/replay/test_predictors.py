"""What ranks a table's architectures as its truth does."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.architecture import vanilla_of
from dcasearch.replay.predictors import Predictor, predictors
from dcasearch.replay.table import Head, Member, Row, Table, append, read_table
from dcasearch.space.reading import read_space

SPACE = {
    "backbone": {"name": "resnet18"},
    "attention": {"name": "se", "reduction": [8, 16, 32]},
    "connections": {"dimensions": {"channel": [True, False]}, "function": ["direct", "weighted", "softmax"]},
}
WARM = {"name": "warm", "promote": {"top": 1}, "resolution": 16, "epochs": 1, "initialize": {"name": "vanilla"}}
LONG = {"name": "long", "promote": {"top": 1}, "resolution": 16, "epochs": 2}
STUDY = {
    "name": "t",
    "space": SPACE,
    "data": {"name": "digits"},
    "fidelities": [{"name": "proxy", "trials": 1, "resolution": 16, "epochs": 1}, WARM, LONG],
}


def write(path: Path) -> Table:
    """Write a table in which the proxy is right, its loss is wrong, and a first epoch of `long` says nothing."""
    append(path, [Head(name="t", study=STUDY, classes=10, data="d", truth="long", truth_from=100)])
    found = {p.architecture.id: p.architecture for p in read_space(SPACE).enumerate()}
    for n, (id, architecture) in enumerate(found.items()):
        parent = vanilla_of(architecture).id
        append(path, [Member(architecture=id, spec=architecture.to_dict(), params=-n, macs=n % 2, parent=parent)])
        for name, seed, values, losses in (
            ("proxy", 0, (float(n),), (float(n),)),
            ("warm", 0, (float(n),), (-float(n),)),
            ("synflow", 0, (n**3,), ()),
            ("long", 0, (float(n * 7 % 12), float(n)), (1.0, -float(n))),
            ("long", 100, (0.0, float(n)), (0.0, 0.0)),
            ("long", 101, (0.0, n + (n % 3) / 2), (0.0, 0.0)),
        ):
            seconds = tuple(1.0 for _ in values)
            append(path, [Row(of=id, fidelity=name, seed=seed, values=values, losses=losses, seconds=seconds)])
        warm = Row(of=parent, fidelity="warm.parent", seed=0, values=(0.0,), seconds=(10.0,), weights_sha256="s")
        append(path, [warm])
    return read_table(path)


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Predictor]:
    return {predictor.name: predictor for predictor in predictors(write(tmp_path / "t.jsonl"))}


def test_a_right_proxy_correlates_and_one_by_its_loss_is_told_apart(found: dict[str, Predictor]) -> None:
    right, wrong = found["proxy"].correlation, found["proxy, by loss"].correlation
    assert right is not None
    assert right.tau == pytest.approx(1)
    assert wrong is not None
    assert wrong.tau == pytest.approx(-1)


def test_costs_and_scores_are_predictors_too(found: dict[str, Predictor]) -> None:
    params, synflow = found["params"].correlation, found["synflow"].correlation
    assert params is not None
    assert params.rho == pytest.approx(-1)
    assert synflow is not None
    assert synflow.rho == pytest.approx(1)
    assert found["params"].cost == 0


def test_the_truths_fidelity_is_told_after_every_epoch(found: dict[str, Predictor]) -> None:
    first, last = found["long, epoch 1 of 2"].correlation, found["long"].correlation
    assert first is not None
    assert last is not None
    assert abs(first.tau) < 0.6 < last.tau


def test_the_ceiling_is_a_seed_of_the_truth_against_another(found: dict[str, Predictor]) -> None:
    ceiling = found["another seed against a seed"].correlation
    assert ceiling is not None
    assert 0.8 < ceiling.tau <= 1


def test_a_warm_start_is_charged_its_parents_once_each(found: dict[str, Predictor]) -> None:
    networks, parents = 12, 3
    all_of_them = 2.0 * networks
    assert found["proxy"].cost == pytest.approx(networks / all_of_them)
    assert found["warm"].cost == pytest.approx((networks + 10 * parents) / all_of_them)
    assert found["long, epoch 1 of 2"].cost == pytest.approx(networks / all_of_them)
