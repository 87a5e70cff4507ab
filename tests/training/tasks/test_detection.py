"""Detectors go through the session of classifiers: checkpoints, ranks, starts, weights and their measurement."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dcasearch.architecture import Architecture
from dcasearch.config.data_set import Data
from dcasearch.config.detector import CascadeSettings, Detector, RetinaNetSettings
from dcasearch.config.recipe import Recipe
from dcasearch.config.starts import Start
from dcasearch.config.study import Fidelity
from dcasearch.data import describe
from dcasearch.errors import Preempted, StorageError, UserError
from dcasearch.models import build_model
from dcasearch.training import Assignment, Ranks, Session, evaluate_weights, sha256_of
from dcasearch.training.tasks import learning_task
from dcasearch.training.tasks.average_precision import NUMBERS
from dcasearch.training.weights import save_weights
from tests.training.pair import Pair, pair
from tests.training.support import curve, run

SIDE = 64
DATA = Data(name="shapes_boxes", workers=0)
VANILLA: dict[str, Any] = {"backbone": {"name": "resnet18", "width": 0.125}, "attention": {"name": "se"}}
CONNECTED: dict[str, Any] = {**VANILLA, "connections": {"function": "direct"}}
RETINANET = RetinaNetSettings(channels=16, convolutions=1, anchor=8)
CASCADE = CascadeSettings(channels=16, hidden=16, anchor=8, regions=16, proposals=20, detections=20)
RECIPE: dict[str, Any] = {
    "optimizer": "adamw",
    "lr": 0.001,
    "batch_size": 4,
    "clip_norm": 35,
    "augmentation": {"crop": "none"},
}


def assignment(
    detector: Detector = RETINANET,
    architecture: dict[str, Any] = CONNECTED,
    *,
    recipe: dict[str, Any] | None = None,
    data: Data = DATA,
    start: Start | None = None,
    **fidelity: Any,
) -> Assignment:
    level = {"name": "proxy", "resolution": SIDE, "epochs": 2, "train_fraction": 0.04, **fidelity}
    return Assignment(
        architecture=Architecture.parse(architecture),
        fidelity=Fidelity.model_validate({**level, "recipe": {**RECIPE, **(recipe or {})}}),
        data=data,
        data_fingerprint=describe(data).fingerprint,
        protocol="search",
        seed=0,
        task="detection",
        detector=detector,
        start=start,
    )


def interrupted_after(steps: int, wanted: Assignment, artifacts: Path) -> None:
    """Train so many steps and batches of evaluation, then give way."""
    asked = iter([False] * steps + [True])
    session = Session(wanted, artifacts=artifacts, threads=1, device="cpu", interrupted=lambda: next(asked))
    with pytest.raises(Preempted):
        [session.next() for _ in range(wanted.fidelity.epochs)]


def test_a_detector_is_trained_measured_and_resumed_within_an_epoch_to_the_bit(tmp_path: Path) -> None:
    wanted = assignment()
    whole = run(wanted, tmp_path / "whole")
    assert set(whole.last.values) <= set(NUMBERS)
    assert {"ap", "ap50", "ar100"} <= whole.last.values.keys()
    assert whole.last.headline.name == "ap"
    assert set(whole.last.of_classes) <= {"circle", "square", "star"}
    assert all(0 <= value <= 100 for value in whole.last.of_classes.values())
    for steps in (1, 6):
        interrupted_after(steps, wanted, tmp_path / "other")
    resumed = run(wanted, tmp_path / "other")
    assert curve(resumed) == curve(whole)
    assert [epoch.of_classes for epoch in resumed.history] == [epoch.of_classes for epoch in whole.history]
    assert resumed.weights_sha256 == whole.weights_sha256


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", [{"ema": 0.9}, {"precision": "bf16", "channels_last": True}, {"accumulate": 2}], ids=str
)
def test_a_cascade_is_resumed_within_an_epoch_to_the_bit(tmp_path: Path, recipe: dict[str, Any]) -> None:
    wanted = assignment(CASCADE, recipe=recipe)
    whole = run(wanted, tmp_path / "whole")
    interrupted_after(2, wanted, tmp_path / "other")
    resumed = run(wanted, tmp_path / "other")
    assert curve(resumed) == curve(whole)
    assert resumed.weights_sha256 == whole.weights_sha256


KILLED = """
import json, sys
from pathlib import Path
from tests.training.support import curve, run
from tests.training.tasks.test_detection import learned

def report(epoch):
    print(epoch.epoch, flush=True)
    return True

evaluation = run(learned(), Path(sys.argv[1]), report)
print(json.dumps([curve(evaluation), evaluation.weights_sha256]))
"""


def learned() -> Assignment:
    """Return a training long enough that its detector finds something."""
    detector = RetinaNetSettings(channels=32, convolutions=1, anchor=16)
    wide = {**CONNECTED, "backbone": {"name": "resnet18", "width": 0.25}}
    return assignment(detector, wide, resolution=128, train_fraction=1.0, epochs=3)


@pytest.mark.slow
def test_a_killed_detector_goes_on_to_equal_weights_and_average_precision(tmp_path: Path) -> None:
    whole = run(learned(), tmp_path / "whole")
    assert whole.last.values["ap"] > 0
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    for epoch in ("1", "2"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == epoch:
                    process.kill()
                    break
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    values, digest = json.loads(done.stdout.splitlines()[-1])
    assert [tuple(epoch) for epoch in values] == curve(whole)
    assert digest == whole.weights_sha256


def test_stored_weights_are_measured_as_they_were_in_training(tmp_path: Path) -> None:
    wanted = assignment(epochs=1, train_fraction=0.02)
    evaluation = run(wanted, tmp_path)
    measured = evaluate_weights(
        wanted.architecture,
        tmp_path / str(evaluation.weights),
        DATA,
        "search",
        resolution=SIDE,
        batch_size=4,
        task="detection",
        detector=RETINANET,
    )
    assert measured == evaluation.last.values


def exported_start(folder: Path, architecture: dict[str, Any], classes: int = 5) -> Start:
    network = build_model(architecture, classes, seed=7)
    save_weights(network, folder / "start.safetensors")
    id = Architecture.parse(architecture).id
    return Start(
        architecture_id=id, weights=str(folder / "start.safetensors"), sha256=sha256_of(folder / "start.safetensors")
    )


def test_a_detector_begins_with_the_weights_of_the_exported_network_but_for_its_classifier(tmp_path: Path) -> None:
    start = exported_start(tmp_path, CONNECTED)
    session = Session(assignment(start=start), artifacts=tmp_path, threads=1, device="cpu")
    begun = session._network.model.get_submodule("backbone.network").state_dict()
    wanted = build_model(CONNECTED, 5, seed=7).state_dict()
    assert not any(name.startswith("backbone.fc.") for name in begun)
    assert all(torch.equal(value, wanted[name]) for name, value in begun.items())


def test_another_networks_weights_and_another_file_are_no_start(tmp_path: Path) -> None:
    vanilla = exported_start(tmp_path, VANILLA)
    with pytest.raises(UserError, match="another network's"):
        Session(assignment(start=vanilla), artifacts=tmp_path, threads=1, device="cpu")
    other = Start(architecture_id=vanilla.architecture_id, weights=vanilla.weights, sha256="0" * 64)
    with pytest.raises(StorageError, match="SHA-256 differs"):
        Session(assignment(start=other), artifacts=tmp_path, threads=1, device="cpu")


def test_detector_and_start_are_in_the_key_and_presets_are_not(tmp_path: Path) -> None:
    plain = assignment()
    assert assignment(RetinaNetSettings(channels=32)).key != plain.key
    assert assignment(CASCADE).key != plain.key
    assert assignment(start=exported_start(tmp_path, CONNECTED)).key != plain.key
    paper, released = (assignment(RetinaNetSettings(preset=preset)) for preset in ("paper", "released"))
    assert paper.key == released.key


def test_what_is_frozen_stays_through_a_training_and_so_do_fixed_statistics(tmp_path: Path) -> None:
    detector = RETINANET.model_copy(update={"frozen_stages": 1, "bn": "eval"})
    session = Session(assignment(detector, epochs=1), artifacts=tmp_path, threads=1, device="cpu")
    network = session._network.model
    before = {name: value.clone() for name, value in network.state_dict().items()}
    session.next()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    first = (*(f"backbone.{part}" for part in ("conv1", "bn1", "layer1")), "attention.layer1", "connections.layer1")
    assert not any(name.startswith(tuple(f"backbone.network.{part}" for part in first)) for name in moved)
    assert not any("running" in name for name in moved)
    assert "backbone.network.backbone.layer2.0.bn1.weight" in moved


def test_statistics_over_ranks_need_gpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"detector\.bn: sync\) needs GPUs"):
        Session(assignment(CASCADE.model_copy(update={"bn": "sync"})), artifacts=tmp_path, threads=1, device="cpu")


def test_a_batch_without_a_readable_image_has_no_size_and_micro_batches_hold_every_image() -> None:
    task = learning_task("detection", Recipe(), RETINANET)
    assert task.size(([], [])) == 0
    images, targets = [torch.zeros(3, 8, 8)] * 5, [{"labels": torch.tensor([n])} for n in range(5)]
    parts = task.parts((images, targets), 2)
    assert [task.size(part) for part in parts] == [2, 3]
    assert [int(target["labels"]) for _, part in parts for target in part] == [0, 1, 2, 3, 4]


def test_a_detector_is_named() -> None:
    task = learning_task("detection", Recipe())
    with pytest.raises(UserError, match=r"needs a detector, e\.g\. detector: \{name: retinanet\}"):
        task.build(Architecture.parse(VANILLA), 3, resolution=SIDE)


def test_images_with_a_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="images of digits have no boxes"):
        Session(assignment(data=Data(name="digits")), artifacts=tmp_path, threads=1, device="cpu")


def trained_as_rank(ranks: Ranks, folder: str) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    session = Session(assignment(), artifacts=Path(folder), threads=1, device="cpu", ranks=ranks)
    epochs = [session.next() for _ in range(2)]
    return [dict(epoch.values) for epoch in epochs], [dict(epoch.of_classes) for epoch in epochs]


@pytest.fixture(scope="module")
def two() -> Any:
    with pair() as made:
        yield made


@pytest.mark.slow
def test_two_ranks_measure_the_images_of_both(two: Pair, tmp_path: Path) -> None:
    first, second = two.run(trained_as_rank, str(tmp_path))
    assert first == second
    alone = Session(assignment(), artifacts=tmp_path, threads=1, device="cpu")
    values, of_classes = alone._measure(2)
    assert values == pytest.approx(first[0][1])
    assert of_classes == pytest.approx(first[1][1])
