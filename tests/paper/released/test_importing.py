from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.export import load_model, load_spec
from dcasearch.export.verification import check_here
from dcasearch.models import build_model
from dcasearch.paper.released import fitting
from dcasearch.paper.released.checkpoint import read_checkpoint
from dcasearch.paper.released.fitting import named
from dcasearch.paper.released.importing import Imported, import_checkpoint
from dcasearch.paper.released.key_map import key_map
from dcasearch.paper.released.names import RESNET
from dcasearch.paper.released.unreleased import VARIANTS
from dcasearch.training import sha256_of
from tests.paper.released.support import SK_LIGHT, checkpoint, filled, keys_of, truths

SMALL, ROW = "dca_getheta_mobilenet_v2", "released_dca_getheta_mobilenet_v2"
SE18, SE18_ROW = "dca_se_resnet18", "released_dca_se_resnet18"
DEAD = 8


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return filled(truths()[SMALL].keys)


@pytest.fixture(scope="module")
def done(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Imported]:
    """An import of what a training script writes, from fp64."""
    folder = tmp_path_factory.mktemp("imported")
    wrapped = {f"module.{key}": tensor for key, tensor in state.items()}
    content = {
        "epoch": 99,
        "arch": "x",
        "state_dict": wrapped,
        "best_prec1": torch.tensor(77.6),
        "optimizer": {"lr": 1},
    }
    torch.save(content, folder / "model_best.pth.tar")
    return folder / "a.yaml", import_checkpoint(folder / "model_best.pth.tar", ROW, folder / "a.yaml")


Reader = Callable[[dict[str, Tensor]], str]


@pytest.fixture
def refusal(tmp_path: Path) -> Reader:
    """Import a state dict that cannot be imported; return the message. Nothing may be written."""

    def run(state: dict[str, Any], row: str = ROW) -> str:
        torch.save(state, tmp_path / "x.pth")
        with pytest.raises(UserError) as error:
            import_checkpoint(tmp_path / "x.pth", row, tmp_path / "x.yaml")
        assert [path.name for path in tmp_path.iterdir()] == ["x.pth"]
        return str(error.value)

    return run


def test_an_imported_spec_rebuilds_to_what_it_says(done: tuple[Path, Imported]) -> None:
    checks = check_here(done[0])
    assert {check.name: check.ok for check in checks} == {
        "id": True,
        "sha256 of the weights": True,
        "parameters": True,
        "multiply-adds": True,
        "logits": True,
        "accuracy": None,
    }


def test_an_imported_spec_says_where_its_weights_are_from_and_claims_no_number(done: tuple[Path, Imported]) -> None:
    spec = load_spec(done[0])
    assert spec == done[1].spec
    assert spec.provenance["imported_sha256"] == sha256_of(done[0].with_name("model_best.pth.tar"))
    assert spec.provenance["imported_from"] == "model_best.pth.tar"
    assert spec.provenance["factory"].startswith(SMALL)
    assert spec.provenance["row"] == ROW
    assert (spec.evaluation, spec.metrics, spec.data, spec.training, spec.measured) == (None, (), None, None, None)
    assert (spec.num_classes, spec.resolution, spec.class_names) == (1000, 224, None)


def test_images_are_prepared_as_the_authors_measured(done: tuple[Path, Imported]) -> None:
    preprocessing = done[1].spec.preprocessing
    assert preprocessing is not None
    resize, crop = preprocessing.steps
    assert (resize.resize, resize.interpolation, crop.crop) == (256, "bilinear", 224)
    assert (preprocessing.mean, preprocessing.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_weights_are_the_checkpoints_in_fp32(done: tuple[Path, Imported], state: dict[str, Tensor]) -> None:
    found = load_model(done[0]).state_dict()
    theirs = state["features2.16.ge.conv.0.weight"].float()
    assert torch.equal(found["backbone.classifier.1.weight"], state["classifier.1.weight"].float())
    name = "connections.features_17.channel.branches.0"
    assert found[f"{name}.function.weight"] == theirs[0, 0]
    assert found[f"{name}.edges.features_16.weight"] == theirs[0, 1]
    assert done[1].rounded


def test_what_is_dropped_is_the_first_blocks_connection_and_is_counted(done: tuple[Path, Imported]) -> None:
    assert (done[1].tensors, done[1].dropped) == (len(truths()[SMALL].keys) - DEAD, DEAD)
    assert all(key.startswith("features2.0.ge.") for key in keys_of(SMALL).dead)


def test_a_safetensors_file_without_wrappings_is_read_alike(
    done: tuple[Path, Imported], state: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(state, tmp_path / "plain.safetensors")
    assert read_checkpoint(tmp_path / "plain.safetensors").tensors.keys() == state.keys()


@pytest.mark.slow
def test_a_file_of_an_old_torch_without_counters_fits(state: dict[str, Tensor], tmp_path: Path) -> None:
    old = {key: tensor.half() for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    imported = import_checkpoint(tmp_path / "old.pth", ROW, tmp_path / "old.yaml")
    weights = load_model(tmp_path / "old.yaml").state_dict()
    assert not weights["backbone.features.0.1.num_batches_tracked"]
    assert weights["backbone.classifier.1.bias"].dtype == torch.float32
    assert not imported.rounded


def test_a_file_that_names_code_is_not_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"state_dict": Trap()}, protocol=2))
    torch.save({"state_dict": Trap()}, tmp_path / "trap2.pth")
    for name in ("trap.pth", "trap2.pth"):
        with pytest.raises(UserError, match=r"is not read.*Save its state dict alone"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_a_broken_file_is_a_user_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 this is no archive")
    with pytest.raises(UserError, match=name):
        read_checkpoint(tmp_path / name)


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("content", [{"epoch": 1, "weights": {}}, [torch.zeros(1)], {}, {"state_dict": {"a": 1}}])
def test_a_file_without_a_state_dict_says_what_it_has(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match="has no state dict: expected tensors by name"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_key_that_is_missing_left_over_or_of_another_shape_is_named(
    state: dict[str, Tensor], refusal: Reader
) -> None:
    changed = {key: tensor for key, tensor in state.items() if key != "classifier.1.bias"}
    changed |= {"extra.weight": torch.zeros(3), "features1.0.weight": torch.zeros(32, 3, 5, 5)}
    message = refusal(changed)
    assert (
        "1 missing (classifier.1.bias); 1 left over (extra.weight); 1 of another shape (features1.0.weight [32, 3, "
        in message
    )
    assert "no known network fits. The nearest is dca_getheta_mobilenet_v2 (import it with --row" in message
    assert "3 keys differ" in message


def test_numbers_that_are_not_finite_are_refused(state: dict[str, Tensor], refusal: Reader) -> None:
    bias = state["classifier.1.bias"].clone()
    bias[3] = torch.nan
    assert "classifier.1.bias holds numbers that are not finite" in refusal({**state, "classifier.1.bias": bias})


def test_quantised_weights_are_refused(state: dict[str, Tensor], refusal: Reader) -> None:
    weight = state["classifier.1.weight"].to(torch.int8)
    assert "holds torch.int8; weights are floating-point numbers" in refusal({**state, "classifier.1.weight": weight})


@pytest.mark.slow
def test_another_released_model_is_named_with_its_row(refusal: Reader) -> None:
    message = refusal(filled(truths()["getheta_mobilenet_v2"].keys))
    assert f"is not {SMALL}" in message
    assert "are those of old_mobilenet_v2 (import it with --row t1_mbv2) and of getheta_mobilenet_v2 (" in message


def shaped_like(number: int) -> dict[str, Tensor]:
    """A state dict with the keys and shapes of a known variant."""
    variant = VARIANTS[number]
    keys = key_map(variant.architecture, variant.names).keys
    return {key: torch.zeros(()).expand(shape) for key, shape in keys.items()}


def test_a_variant_that_no_released_code_builds_is_named_and_not_mapped() -> None:
    two_fc = len(VARIANTS) - 1
    said = named(checkpoint(shaped_like(two_fc)))
    assert said == (
        "Its keys and shapes are those of a DCA-SE-ResNet18 with two FCs, r = 16: the released file has one FC (no "
        "released code builds it, so it is not imported)."
    )


@pytest.mark.slow
def test_the_later_28_65m_network_is_named_and_not_mapped(refusal: Reader) -> None:
    state = {key: tensor.clone() for key, tensor in shaped_like(0).items()}
    assert fitting.parameters(state) == 28_651_736
    message = refusal(state, "t1_dca_se_resnet50")
    assert "those of the 28.65M DCA-SE-ResNet50 with two FCs, r = 16: row t4_2fc_r16, a network of the later" in message


def test_keys_of_no_released_backbone_are_shown() -> None:
    assert named(checkpoint({"blocks.0.weight": torch.zeros(1)})) == (
        "Its keys are of no backbone of the released code; its first keys: blocks.0.weight."
    )


@pytest.fixture(scope="module")
def unscaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sk") / "sk.pth"
    torch.save(filled(truths()[SK_LIGHT].keys), path)
    return path


def test_the_network_that_computes_otherwise_here_is_refused_and_says_what_it_would_mean(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'t1_dca_sk_mbv2' is not imported: the released network sends SK's softmax"):
        import_checkpoint(tmp_path / "never.read", "t1_dca_sk_mbv2", tmp_path / "x.yaml")


@pytest.mark.slow
def test_it_is_imported_on_demand_and_its_spec_says_that_it_differs(unscaled: Path, tmp_path: Path) -> None:
    imported = import_checkpoint(unscaled, "t1_dca_sk_mbv2", tmp_path / "x.yaml", despite_differences=True)
    assert "the outputs are not those of the authors' network" in imported.spec.provenance["differs"]


def test_the_names_of_one_fc_and_of_two_never_meet() -> None:
    one = Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "se"}})
    assert key_map(one, RESNET["se"]).dead == {}
    with torch.device("meta"):
        assert len(build_model(one).state_dict()) == len(key_map(one, RESNET["se"]).keys)
