from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import yaml
from upath import UPath

from dcasearch.analysis.power import power
from dcasearch.architecture import Architecture
from dcasearch.architecture.words import sentence_of
from dcasearch.config.data_set import Data
from dcasearch.errors import UserError
from dcasearch.evaluation import Epoch
from dcasearch.export import Candidate, load_spec
from dcasearch.models import cost
from tests.export.conftest import ARCHITECTURE, RESOLUTION, Exporter, Trained


def measured(trained: Trained, name: str, top1: float, seed: int, fidelity: str = "proxy") -> Candidate:
    key = dataclasses.replace(trained.evaluation.key, seed=seed, architecture_id=f"{hash(name) & 0xFFFF:016x}")
    epoch = Epoch(epoch=1, train_loss=1.0, values={"loss": 1.0, "top1": top1, "top5": 100.0}, seconds=1.0)
    return Candidate(name, fidelity, dataclasses.replace(trained.evaluation, key=key, history=(epoch,)))


def test_a_spec_reads_back_as_it_was_written(exported: Exporter, tmp_path: Path) -> None:
    spec = exported()
    assert load_spec(tmp_path / "best.yaml") == spec
    assert spec.build() == ARCHITECTURE
    assert spec.architecture["connections"]["topology"] == "chain", "also what is a default today is written"
    expected = cost(ARCHITECTURE, RESOLUTION, 10)
    assert (spec.id, spec.parameters, spec.macs) == (ARCHITECTURE.id, expected.params, expected.macs)


def test_the_weights_lie_beside_the_spec_under_their_recorded_hash(
    exported: Exporter, trained: Trained, tmp_path: Path
) -> None:
    spec = exported()
    written = (tmp_path / spec.weights.file).read_bytes()
    assert spec.weights.file == "best.safetensors"
    assert hashlib.sha256(written).hexdigest() == spec.weights.sha256 == trained.evaluation.weights_sha256
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.safetensors", "best.yaml"]


def test_weights_behind_a_url_are_exported(exported: Exporter, trained: Trained, tmp_path: Path) -> None:
    store = UPath(f"memory://{tmp_path.name}")
    assert trained.evaluation.weights is not None
    weights = store / trained.evaluation.weights
    weights.parent.mkdir(parents=True)
    weights.write_bytes((trained.artifacts / trained.evaluation.weights).read_bytes())
    spec = exported(artifacts=store)
    written = (tmp_path / spec.weights.file).read_bytes()
    assert hashlib.sha256(written).hexdigest() == trained.evaluation.weights_sha256
    store.fs.rm(store.path, recursive=True)


def test_the_spec_says_what_was_measured_on_what_and_where_it_comes_from(
    exported: Exporter, trained: Trained, tmp_path: Path
) -> None:
    exported()
    content = yaml.safe_load((tmp_path / "best.yaml").read_text())
    last = trained.evaluation.last
    assert content["metrics"] == [
        {
            "fidelity": "proxy",
            "protocol": "search",
            "seed": 0,
            "epochs": 1,
            "top1": last.values["top1"],
            "top5": last.values["top5"],
            "loss": last.values["loss"],
            "evaluation": trained.evaluation.key.id,
        }
    ]
    assert content["data"]["fingerprint"] == trained.evaluation.key.data
    assert content["provenance"]["study"] == "digits"
    assert content["provenance"]["commit"] == trained.evaluation.provenance["commit"]
    assert content["provenance"]["device"] == "cpu"


def test_a_spec_begins_with_the_network_in_words(exported: Exporter, tmp_path: Path) -> None:
    network = exported().build().network
    assert (tmp_path / "best.yaml").read_text().startswith(f"# {sentence_of(network)}.\n")


def test_the_place_of_the_data_is_not_written(exported: Exporter, tmp_path: Path) -> None:
    exported(data=Data(name="digits", root="/home/ann/secret"))
    assert "secret" not in (tmp_path / "best.yaml").read_text()


def test_baselines_stand_per_fidelity_with_their_seeds_and_the_difference_to_them(
    exported: Exporter, trained: Trained
) -> None:
    spec = exported(
        winner=[measured(trained, "winner", top1, seed) for seed, top1 in enumerate((90.0, 92.0))],
        evaluation=measured(trained, "winner", 90.0, 0).evaluation,
        baselines=[
            measured(trained, "plain", 89.0, 0),
            measured(trained, "chain", 91.25, 0),
            measured(trained, "plain", 90.0, 1),
            measured(trained, "plain", 95.0, 0, fidelity="full"),
        ],
    )
    assert [(b.name, b.fidelity, b.seeds, b.mean, b.difference) for b in spec.baselines] == [
        ("plain", "proxy", (0, 1), 89.5, 1.5),
        ("chain", "proxy", (0,), 91.25, -0.25),
        ("plain", "full", (0,), 95.0, None),
    ]


def test_ids_of_digits_alone_stay_texts(exported: Exporter, trained: Trained, tmp_path: Path) -> None:
    key = dataclasses.replace(trained.evaluation.key, data="1234567890123456")
    evaluation = dataclasses.replace(trained.evaluation, key=key)
    exported(evaluation=evaluation, winner=[Candidate("winner", "proxy", evaluation)])
    assert "'1234567890123456'" in (tmp_path / "best.yaml").read_text()


def test_exporting_again_replaces_both_files(exported: Exporter, tmp_path: Path) -> None:
    exported()
    exported(provenance={"study": "other"})
    assert load_spec(tmp_path / "best.yaml").provenance["study"] == "other"


def test_weights_that_are_gone_or_changed_are_refused_and_nothing_is_written(
    exported: Exporter, trained: Trained, tmp_path: Path
) -> None:
    for changes, message in (
        ({"weights": None}, "only the best `keep_weights`"),
        ({"weights": "weights/gone.safetensors"}, "only the best `keep_weights`"),
        ({"weights_sha256": "0" * 64}, "its sha256 differs"),
    ):
        with pytest.raises(UserError, match=message):
            exported(evaluation=dataclasses.replace(trained.evaluation, **changes))
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network_are_refused(exported: Exporter) -> None:
    other = Architecture.parse({"backbone": {"name": "resnet18", "stem": "small"}})
    with pytest.raises(UserError, match=r"x\.safetensors holds another network: \d+ tensors differ, first "):
        exported(architecture=other)


@pytest.mark.parametrize("name", ["elsewhere/best.safetensors", "best.pt"])
def test_weights_can_only_be_a_safetensors_file_beside_the_spec(exported: Exporter, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="beside"):
        exported(weights=tmp_path / name)


def test_a_difference_that_is_not_resolved_is_said_to_be_so(exported: Exporter, trained: Trained) -> None:
    top1 = trained.evaluation.last.values["top1"]
    found = power("proxy", [], images=144, seeds=1)
    baselines = [measured(trained, "plain", top1 - 1, seed=0)]
    (baseline,) = exported(baselines=baselines, powers={("proxy", "search"): found}).baselines
    assert baseline.resolved is False
    assert baseline.margin is not None
    assert baseline.said.startswith("+1.00 ± ")
    assert baseline.counts == "needs 3 seeds"
    (untold,) = exported(baselines=baselines).baselines
    assert (untold.resolved, untold.margin, untold.said) == (None, None, "")
