"""What users do with a model from outside works on networks of libraries too."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from dcasearch.architecture import Architecture, started_as_vanilla, vanilla_of
from dcasearch.models import DCANet, build_model, set_constants
from dcasearch.models.constants import is_measured
from dcasearch.models.layers import synchronized
from tests.models.traced.support import CLASSES, library_network, needs_timm

pytestmark = needs_timm
REAL = ("timm/efficientnet_lite0", "timm/convnext_atto", "timm/regnety_002")
TINY: dict[str, Any] = {"backbone": {"name": "timm/test_byobnet"}, "attention": {"name": "se"}, "connections": {}}
WAYS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "se"}, {}),
    ({"name": "cbam"}, {"topology": "dense"}),
]
LARGE = [
    {"backbone": {"name": name}, "attention": attention, "connections": connections}
    for name in REAL
    for attention, connections in WAYS
]


QUICK_AND_REAL = [TINY, *(pytest.param({**TINY, "backbone": {"name": n}}, marks=pytest.mark.slow) for n in REAL)]


def name_of(written: Any) -> str:
    return f"{written['backbone']['name']}-{written['attention']['name']}"


def images(batch: int = 2, size: int = 64) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


def gradients(model: nn.Module) -> list[Tensor]:
    return [value.grad.clone() for value in model.parameters() if value.grad is not None]


@pytest.mark.parametrize("written", [TINY, *(pytest.param(row, marks=pytest.mark.slow) for row in LARGE)], ids=name_of)
def test_an_exported_program_takes_any_number_of_images(written: dict[str, Any]) -> None:
    model = build_model(written, CLASSES).eval()
    program = torch.export.export(model, (images(4),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    assert {name for name, _ in program.named_parameters()} == {name for name, _ in model.named_parameters()}
    for batch in (images(4), images(3)):
        torch.testing.assert_close(program.module()(batch), model(batch))


@pytest.mark.slow
@pytest.mark.parametrize("written", [TINY, *LARGE], ids=name_of)
def test_compiles_to_one_graph(written: dict[str, Any]) -> None:
    torch.compiler.reset()
    model = build_model(written, CLASSES).eval()
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images()), model(images()))


@pytest.mark.parametrize("written", QUICK_AND_REAL, ids=name_of)
def test_bf16_channels_last_and_meta(written: dict[str, Any]) -> None:
    model = build_model(written, CLASSES).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(images(4)).float().square().mean()
    loss.backward()
    assert all(value.isfinite().all() for value in gradients(model))
    last = copy.deepcopy(model).eval().to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        last(images().contiguous(memory_format=torch.channels_last)), model.eval()(images()), rtol=1e-4, atol=1e-5
    )
    with torch.device("meta"):
        assert build_model(written, CLASSES)(images().to("meta")).shape == (2, CLASSES)


@pytest.mark.parametrize("written", QUICK_AND_REAL, ids=name_of)
def test_gradient_checkpointing_of_the_whole_network_changes_nothing(written: dict[str, Any]) -> None:
    model, other = build_model(written, CLASSES).eval(), build_model(written, CLASSES).eval()
    model(images()).square().mean().backward()
    checkpoint(other, images(), use_reentrant=False).square().mean().backward()
    torch.testing.assert_close(gradients(other), gradients(model))


def test_distributed_data_parallel_finds_every_gradient(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    try:
        model = build_model({**TINY, "backbone": {"name": "timm/test_byobnet", "own_attention": "replace"}}, CLASSES)
        wrapped = DistributedDataParallel(model)
        for _ in range(2):  # the second pass fails if a parameter had no gradient in the first
            wrapped(images()).square().mean().backward()
        assert len(gradients(model)) == len(list(model.parameters()))
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("written", [row for row in QUICK_AND_REAL if "convnext" not in str(row)], ids=name_of)
def test_synchronised_batch_norm_takes_the_place_of_the_library_s(written: dict[str, Any]) -> None:
    model = build_model(written, CLASSES).eval()
    assert any(type(module).__name__ == "BatchNormAct2d" for module in model.modules())
    converted = synchronized(copy.deepcopy(model))
    assert any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
    torch.testing.assert_close(converted(images()), model(images()))


def test_a_constant_message_is_measured_in_the_vanilla_parent() -> None:
    written = {**TINY, "connections": {"message": "constant"}}
    model, parent = build_model(written, CLASSES), build_model({**TINY, "connections": None}, CLASSES)
    assert not is_measured(model)
    set_constants(model, parent.state_dict(), [images()])
    assert is_measured(model)
    assert model.eval()(images()).isfinite().all()


@pytest.mark.parametrize("written", QUICK_AND_REAL, ids=name_of)
def test_a_warm_started_network_begins_as_its_vanilla_parent(written: dict[str, Any]) -> None:
    architecture = Architecture.parse(written)
    started = build_model(started_as_vanilla(architecture), CLASSES).eval()
    parent = build_model(vanilla_of(architecture), CLASSES).eval()
    assert torch.equal(started(images()), parent(images()))


@pytest.mark.parametrize("name", [TINY["backbone"]["name"], *(pytest.param(n, marks=pytest.mark.slow) for n in REAL)])
def test_no_later_layer_overwrites_a_tapped_map(name: str) -> None:
    model = build_model({**TINY, "backbone": {"name": name}}, CLASSES).eval()
    seen: dict[str, Tensor] = {}
    for stage, tap in model.taps.items():
        tap.register_forward_hook(lambda module, given, answer, stage=stage: seen.update({stage: answer.clone()}))
    found = model.features(images())
    assert set(found) == {stage.name for stage in model.stages} == set(seen)
    assert all(torch.equal(found[stage], seen[stage]) for stage in seen)


class Operations(TorchDispatchMode):
    """Lists the operations that run under it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def operations(model: nn.Module) -> list[str]:
    with Operations() as seen:
        model(images()).square().mean().backward()
    return seen.names


@pytest.mark.parametrize("name", ["timm/test_byobnet", *(pytest.param(name, marks=pytest.mark.slow) for name in REAL)])
@pytest.mark.parametrize("mode", [True, False])
def test_with_nothing_inserted_the_same_operations_run(name: str, mode: bool) -> None:
    model: DCANet = build_model({"backbone": {"name": name}}, CLASSES).train(mode)
    assert operations(model) == operations(library_network(name).train(mode))
